// Random numbers by the array: the bits of the plain loops on every instruction set, and as accurate as libm's.
#include "kernels/random_fill.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <numbers>
#include <vector>

#include "tests/kernels/variants.h"

namespace fovea::kernels {
namespace {

const std::vector<std::int64_t> kSizes = {0, 1, 2, 3, 7, 16, 17, 31, 32, 33, 63, 16384, 16385, 40001};   // one past a vector, past a task

TEST(RandomFill, TheSameBitsOnEveryInstructionSetAndInPlainLoops) {
  for (const PhiloxKey key : {PhiloxKey{}, PhiloxKey{.seed = 0x123456789abcdef, .stream = 0xfedcba9876543210}})
    for (const std::int64_t n : kSizes) {
      std::vector<float> normal(static_cast<std::size_t>(n) + 1, -1.f), uniform = normal;   // the last element is not to be touched
      fill_normal(Reference{}, normal.data(), n, 0.3, key);
      fill_uniform(Reference{}, uniform.data(), n, 0.7, key);
      on_every_isa([&] {
        std::vector<float> y(static_cast<std::size_t>(n) + 1, -1.f), z = y;
        fill_normal(Cpu{}, y.data(), n, 0.3, key);
        fill_uniform(Cpu{}, z.data(), n, 0.7, key);
        EXPECT_EQ(std::memcmp(y.data(), normal.data(), y.size() * sizeof(float)), 0) << n;
        EXPECT_EQ(std::memcmp(z.data(), uniform.data(), z.size() * sizeof(float)), 0) << n;
      });
    }
}

// 2e-15: logarithm, sine and cosine to about 1 ulp each; the angle of libm's is rounded before its cosine is taken, which near a zero of
// the cosine is an error of 2^-52 of the length, not of the number.
TEST(RandomFill, BoxMullerIsAsLibmHasIt) {
  const PhiloxKey key{.seed = 5, .stream = 1};
  const auto fraction_of = [](std::uint32_t a, std::uint32_t b) {
    return static_cast<double>((std::uint64_t{a >> 5} << 26) | (b >> 6)) * 0x1p-53;
  };
  const auto compare = [&](std::uint32_t a, std::uint32_t b, std::uint32_t c, std::uint32_t d) {
    const auto pair = box_muller<double, std::uint64_t>(a, b, c, d);
    const double u = fraction_of(a, b), angle = 2 * std::numbers::pi * fraction_of(c, d), length = std::sqrt(-2 * std::log1p(-u));
    const double radius = std::sqrt(pair.radius2);
    ASSERT_NEAR(radius, length, 2e-16 * std::max(1., length) * 2) << u;
    ASSERT_NEAR(radius * pair.cosine, length * std::cos(angle), 2e-15 * length) << angle;
    ASSERT_NEAR(radius * pair.sine, length * std::sin(angle), 2e-15 * length) << angle;
  };
  for (std::uint64_t i = 0; i < 200000; ++i) compare(key.bits(4 * i), key.bits(4 * i + 1), key.bits(4 * i + 2), key.bits(4 * i + 3));
  for (const std::uint32_t a : {0u, 1u << 31, ~0u})   // the ends, and every multiple of an eighth of a turn
    for (const std::uint32_t c : {0u, 1u << 29, 2u << 29, 3u << 29, 4u << 29, 5u << 29, 6u << 29, 7u << 29, ~0u}) {
      compare(a, a, c, 0);
      compare(a, a, c, ~0u);
    }
}

}   // namespace
}   // namespace fovea::kernels
