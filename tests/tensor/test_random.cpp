// Philox against its authors' known answers, and the distributions by their moments.
#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <vector>

#include "tensor/random.h"
#include "tensor/tensor.h"

namespace fovea {
namespace {

using Words = std::array<std::uint32_t, 4>;

// kat_vectors of Random123 1.14, philox4x32 with 10 rounds.
TEST(Philox, KnownAnswers) {
  constexpr std::uint32_t kOnes = 0xffffffff;
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox4x32({kOnes, kOnes, kOnes, kOnes}, {kOnes, kOnes}), (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Random, BitsAreTheCountersWords) {
  const RandomKey key{.seed = 0x299f31d0a4093822, .stream = 0x0370734413198a2e};
  const std::uint64_t block = 0x85a308d3243f6a88;   // the third known answer; 4 * block wraps, so only the low half is reachable
  const RandomKey zero{};
  EXPECT_EQ(zero.bits(0), 0x6627e8d5u);
  EXPECT_EQ(zero.bits(3), 0x9b00dbd8u);
  const std::uint64_t reachable = block >> 2;
  const Words words =
      philox4x32({static_cast<std::uint32_t>(reachable), static_cast<std::uint32_t>(reachable >> 32), 0x13198a2e, 0x03707344},
                 {0xa4093822, 0x299f31d0});
  for (std::uint64_t i = 0; i < 4; ++i) EXPECT_EQ(key.bits(4 * reachable + i), words[i]);
  EXPECT_EQ(key.uniform(4 * reachable), static_cast<float>(words[0] >> 8) / 16777216.f);
}

// Standard errors with n = 200000: mean 1/sqrt(n) = 0.0022, variance sqrt(2/n) = 0.0032, fourth moment sqrt(96/n) = 0.022.
// Tested at 5 of them.
TEST(Random, NormalHasItsMoments) {
  const RandomKey key{.seed = 3, .stream = 5};
  constexpr int n = 200000;
  double m1 = 0, m2 = 0, m3 = 0, m4 = 0, neighbours = 0, before = 0;
  for (int i = 0; i < n; ++i) {
    const double x = key.normal(static_cast<std::uint64_t>(i));
    ASSERT_TRUE(std::isfinite(x));
    m1 += x, m2 += x * x, m3 += x * x * x, m4 += x * x * x * x, neighbours += x * before;
    before = x;
  }
  EXPECT_NEAR(m1 / n, 0, 0.011);
  EXPECT_NEAR(m2 / n, 1, 0.016);
  EXPECT_NEAR(m3 / n, 0, 5 * std::sqrt(15.0 / n));
  EXPECT_NEAR(m4 / n, 3, 0.11);
  EXPECT_NEAR(neighbours / n, 0, 0.011);   // cosine and sine of one angle are uncorrelated
}

TEST(Random, UniformIsFlatOnItsInterval) {
  const RandomKey key{.seed = 1};
  constexpr int n = 100000, bins = 20;
  std::vector<int> counts(bins), counts_f64(bins);
  for (int i = 0; i < n; ++i) {
    const float u = key.uniform(static_cast<std::uint64_t>(i));
    const double d = key.uniform_f64(static_cast<std::uint64_t>(i));
    ASSERT_TRUE(0 <= u && u < 1 && 0 <= d && d < 1);
    ++counts[static_cast<std::size_t>(u * bins)];
    ++counts_f64[static_cast<std::size_t>(d * bins)];
  }
  for (int b = 0; b < bins; ++b) {   // 5 standard deviations of a binomial count
    EXPECT_NEAR(counts[static_cast<std::size_t>(b)], n / bins, 5 * std::sqrt(n / bins));
    EXPECT_NEAR(counts_f64[static_cast<std::size_t>(b)], n / bins, 5 * std::sqrt(n / bins));
  }
}

TEST(Random, BelowIsInRangeAndHitsAll) {
  const RandomKey key{.seed = 9};
  std::vector<int> counts(7);
  for (std::uint64_t i = 0; i < 7000; ++i) ++counts.at(key.below(i, 7));
  for (const int c : counts) EXPECT_NEAR(c, 1000, 5 * std::sqrt(1000));
  EXPECT_EQ(key.below(3, 1), 0u);
  std::uint64_t largest = 0;
  for (std::uint64_t i = 0; i < 100; ++i) largest = std::max(largest, key.below(i, ~std::uint64_t{0}));
  EXPECT_GT(largest, std::uint64_t{1} << 63);   // all 64 bits take part
}

TEST(Random, ForksDifferByPurposeNumberAndParent) {
  const RandomKey a{.seed = 4, .stream = 0}, b{.seed = 4, .stream = 1};
  std::set<std::uint64_t> streams{a.stream, b.stream};
  for (const RandomKey& parent : {a, b})
    for (const char* purpose : {"shuffle", "shift", ""})
      for (std::uint64_t number = 0; number < 50; ++number) {
        const RandomKey fork = parent.fork(purpose, number);
        EXPECT_EQ(fork.seed, 4u);
        streams.insert(fork.stream);
      }
  EXPECT_EQ(streams.size(), 2u + 2 * 3 * 50);
  EXPECT_EQ(a.fork("shuffle", 3).stream, a.fork("shuffle", 3).stream);
}

TEST(Random, GeneratorStateIsTwoNumbers) {
  manual_seed(11);
  const RandomKey first = default_generator().next(), second = default_generator().next();
  EXPECT_EQ(first.seed, 11u);
  EXPECT_NE(first.stream, second.stream);
  Generator resumed;
  resumed.set_state(11, 1);
  EXPECT_EQ(resumed.next().stream, second.stream);
  EXPECT_EQ(resumed.used(), 2u);
}

TEST(Random, TensorsAreTheKeysNumbersInEveryDtype) {
  const RandomKey key{.seed = 2, .stream = 7};
  const std::int64_t n = 40001;   // several chunks of work and a rest
  const Tensor normal = Tensor::randn({n}, key, DType::f64, Device::reference), normal_f32 = Tensor::randn({n}, key);
  const Tensor uniform = Tensor::rand({n}, key, DType::f64), uniform_f32 = Tensor::rand({n}, key),
               uniform_bf16 = Tensor::rand({n}, key, DType::bf16);
  for (std::int64_t i = 0; i < n; ++i) {
    const auto u = static_cast<std::uint64_t>(i);
    ASSERT_EQ(normal.data<double>()[i], key.normal(u));
    ASSERT_EQ(normal_f32.data<float>()[i], static_cast<float>(key.normal(u)));
    ASSERT_EQ(uniform.data<double>()[i], key.uniform_f64(u));
    ASSERT_LT(uniform_f32.data<float>()[i], 1.f);
    ASSERT_LT(static_cast<float>(uniform_bf16.data<bfloat16>()[i]), 1.f);   // plain rounding would give 1 for one in 512
    ASSERT_NEAR(uniform_bf16.data<bfloat16>()[i], key.uniform_f64(u), 0x1p-8);
  }
  EXPECT_THROW(Tensor::randn({3}, key, DType::i64), ShapeError);
  EXPECT_THROW(Tensor::rand({3}, key, DType::u8), ShapeError);
}

}   // namespace
}   // namespace fovea
