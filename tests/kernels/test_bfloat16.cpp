// test_bfloat16.cpp: rounding to nearest even against an exhaustive definition, and conversions between all dtypes.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "kernels/convert.h"
#include "tests/kernels/variants.h"

namespace fovea::kernels {
namespace {

bfloat16 from_bits(unsigned bits) {
  bfloat16 b;
  b.bits = std::uint16_t(bits);
  return b;
}

TEST(BFloat16, HoldsKnownValues) {
  EXPECT_EQ(bfloat16(1.f).bits, 0x3f80);
  EXPECT_EQ(bfloat16(-2.f).bits, 0xc000);
  EXPECT_EQ(float(bfloat16(3.14159265f)), 3.140625f);
  EXPECT_EQ(bfloat16(-0.f).bits, 0x8000);
}

TEST(BFloat16, TiesGoToEven) {   // the step above 1 is 2^-7
  EXPECT_EQ(float(bfloat16(1 + 0x1p-8f)), 1.f);
  EXPECT_EQ(float(bfloat16(1 + 0x3p-8f)), 1 + 0x1p-6f);
  EXPECT_EQ(float(bfloat16(1 + 0x1p-8f + 0x1p-23f)), 1 + 0x1p-7f);
  EXPECT_EQ(float(bfloat16(1 + 0x3p-8f - 0x1p-23f)), 1 + 0x1p-7f);
}

TEST(BFloat16, KeepsInfinitiesAndNaN) {
  const float inf = std::numeric_limits<float>::infinity();
  EXPECT_EQ(float(bfloat16(inf)), inf);
  EXPECT_EQ(float(bfloat16(-inf)), -inf);
  EXPECT_EQ(float(bfloat16(std::numeric_limits<float>::max())), inf);
  EXPECT_TRUE(std::isnan(float(bfloat16(std::bit_cast<float>(0x7f800001u)))));   // its upper half alone would be inf
  EXPECT_TRUE(std::isnan(float(bfloat16(std::bit_cast<float>(0xffffffffu)))));   // rounding up would wrap around
}

TEST(BFloat16, EveryValueSurvivesTheWayToFloatAndBack) {
  for (unsigned bits = 0; bits < 0x10000; ++bits) {
    const bfloat16 b = from_bits(bits);
    if (std::isnan(float(b))) continue;
    ASSERT_EQ(bfloat16(float(b)).bits, bits);
  }
}

TEST(BFloat16, RoundsToTheNearest) {
  for (unsigned bits = 0; bits < 0x7f7f; bits += 7) {   // between two neighbours, denormal ones included
    const float low = float(from_bits(bits)), high = float(from_bits(bits + 1));
    const float middle = std::bit_cast<float>((bits << 16) + 0x8000u);
    ASSERT_EQ(float(bfloat16(std::nextafter(middle, 0.f))), low);
    ASSERT_EQ(float(bfloat16(std::nextafter(middle, high))), high);
    ASSERT_EQ(bfloat16(middle).bits, bits + (bits & 1));
  }
}

/// The vector code must round as the scalar code does, denormals and NaN included, in its 16-lane body and in its tail.
TEST(BFloat16, CpuConversionsMatchTheScalarOnes) {
  std::vector<float> x;
  for (std::uint64_t bits = 0; bits < 0x100000000u; bits += 0xffffu * 3 + 2) x.push_back(std::bit_cast<float>(std::uint32_t(bits)));
  for (std::uint32_t bits : {0u, 1u, 0x80000001u, 0x7f800000u, 0xff800000u, 0x7f800001u, 0x7fffffffu, 0xffffffffu, 0x3f808000u})
    x.push_back(std::bit_cast<float>(bits));
  ASSERT_NE(x.size() % 16, 0u);
  const auto n = std::int64_t(x.size());
  on_every_isa([&] {
    std::vector<bfloat16> y(x.size());
    std::vector<float> back(x.size());
    convert(Cpu{}, x.data(), y.data(), n);
    convert(Cpu{}, y.data(), back.data(), n);
    for (std::size_t i = 0; i < x.size(); ++i) {
      ASSERT_EQ(y[i].bits, bfloat16(x[i]).bits) << std::hex << std::bit_cast<std::uint32_t>(x[i]);
      ASSERT_EQ(std::bit_cast<std::uint32_t>(back[i]), std::uint32_t{y[i].bits} << 16);
    }
  });
}

TEST(Convert, BetweenDoubleAndTheOthers) {
  const std::vector<double> x{1 + 0x1p-40, -0.1, 1e300, 1 + 0x1p-8 + 0x1p-40, 1 + 0x1p-8 - 0x1p-40, 1 + 0x1p-8, 0};
  const auto n = std::int64_t(x.size());
  std::vector<float> f(x.size());
  std::vector<bfloat16> b(x.size());
  convert(Cpu{}, x.data(), f.data(), n);
  convert(Cpu{}, x.data(), b.data(), n);
  for (std::size_t i = 0; i < x.size(); ++i) EXPECT_EQ(f[i], float(x[i]));
  // Rounded once: by way of float, 1 + 2^-8 + 2^-40 would become a tie, and then 1.
  EXPECT_EQ(float(b[3]), 1 + 0x1p-7f);
  EXPECT_EQ(float(b[4]), 1.f);
  EXPECT_EQ(float(b[5]), 1.f);
  EXPECT_EQ(float(b[2]), std::numeric_limits<float>::infinity());
  std::vector<double> from_f(x.size()), from_b(x.size());
  convert(Cpu{}, f.data(), from_f.data(), n);
  convert(Cpu{}, b.data(), from_b.data(), n);
  for (std::size_t i = 0; i < x.size(); ++i) {
    EXPECT_EQ(from_f[i], double(f[i]));
    EXPECT_EQ(from_b[i], double(float(b[i])));
  }
}

}   // namespace
}   // namespace fovea::kernels
