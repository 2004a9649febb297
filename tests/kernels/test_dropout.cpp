// test_dropout.cpp: the vector form of Philox word by word, and with it dropout and drop_rows: masks, edges, aliasing, bits.
#include "kernels/dropout.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "tests/kernels/variants.h"

namespace fovea::kernels {
namespace {

constexpr PhiloxKey kKey{.seed = 0x123456789abcdef0, .stream = 0xfedcba9876543210};   // all four words of counter and key matter

template <class T> class Dropout : public testing::Test {};
using Types = testing::Types<float, bfloat16>;
TYPED_TEST_SUITE(Dropout, Types);

// The mask is exact, the values are one product of floats: u.
TYPED_TEST(Dropout, CpuMatchesReference) {
  using T = TypeParam;
  on_every_isa([&] {
    for (const std::int64_t n : {0, 1, 15, 16, 17, 31, 32, 33, 63, 1000, 16384 + 33, 50001})
      for (const double p : {0., 0.2, 0.5, 0.999, 1.}) {
        const auto x = spread<T>(n, 1), y0 = spread<T>(n, 2);
        const auto fx = as<float>(x);
        std::vector<float> want(x.size()), sum = as<float>(y0);
        dropout(Reference{}, fx.data(), want.data(), n, p, kKey, false);
        dropout(Reference{}, fx.data(), sum.data(), n, p, kKey, true);
        std::vector<T> y = x, added = y0;   // in place
        dropout(Cpu{}, y.data(), y.data(), n, p, kKey, false);
        dropout(Cpu{}, x.data(), added.data(), n, p, kKey, true);
        expect_close(y, want, 2 * unit_roundoff<T>, 0, "dropout");
        expect_close(added, sum, unit_roundoff<T>, 1001 * 0x1p-23, "dropout, accumulated");
        for (std::size_t i = 0; i < y.size(); ++i) ASSERT_EQ(float(y[i]) != 0, float(x[i]) != 0 && KeepRule(p).keeps(kKey.bits(i))) << i;
      }
  });
}

TYPED_TEST(Dropout, RowsMatchReference) {
  using T = TypeParam;
  on_every_isa([&] {
    for (const RowShape s : {RowShape{7, 1}, {5, 33}, {3, 16384 + 17}, {1, 100}, {40000, 3}, {0, 4}, {4, 0}})
      for (const double p : {0., 0.4, 1.}) {
        const std::int64_t n = s.rows * s.cols;
        const auto x = spread<T>(n, 3), y0 = spread<T>(n, 4);
        const auto fx = as<float>(x);
        std::vector<float> want(x.size()), sum = as<float>(y0);
        drop_rows(Reference{}, fx.data(), want.data(), s, p, kKey, false);
        drop_rows(Reference{}, fx.data(), sum.data(), s, p, kKey, true);
        std::vector<T> y = x, added = y0;
        drop_rows(Cpu{}, y.data(), y.data(), s, p, kKey, false);
        drop_rows(Cpu{}, x.data(), added.data(), s, p, kKey, true);
        expect_close(y, want, 2 * unit_roundoff<T>, 0, "rows");
        expect_close(added, sum, unit_roundoff<T>, 4 * 0x1p-23, "rows, accumulated");
      }
  });
}

TEST(DropoutReference, KeepsAShareOfOneMinusP) {
  const std::int64_t n = 100000;
  const std::vector<double> ones(n, 1.);
  std::vector<double> y(n);
  for (const double p : {0.1, 0.5, 0.8}) {
    dropout(Reference{}, ones.data(), y.data(), n, p, kKey, false);
    double kept = 0, sum = 0;
    for (const double v : y) kept += v != 0, sum += v;
    EXPECT_NEAR(kept / double(n), 1 - p, 5 * std::sqrt(p * (1 - p) / double(n)));   // five sigma
    EXPECT_NEAR(sum, kept / (1 - p), 1e-6);
  }
}

TYPED_TEST(Dropout, WhatIsDroppedIsZeroWhateverItWas) {
  using T = TypeParam;
  on_every_isa([&] {
    std::vector<T> y(67, T(std::numeric_limits<float>::quiet_NaN()));
    dropout(Cpu{}, y.data(), y.data(), 67, 0.5, kKey, false);
    for (std::size_t i = 0; i < y.size(); ++i) {
      const bool stays = KeepRule(0.5).keeps(kKey.bits(i));
      EXPECT_EQ(std::isnan(float(y[i])), stays);
      EXPECT_EQ(float(y[i]) == 0, !stays);
    }
  });
}

TYPED_TEST(Dropout, SameBits) {
  using T = TypeParam;
  const std::int64_t n = 50001;
  const auto x = spread<T>(n, 5);
  expect_same_bits(std::is_same_v<T, float> ? 0xa85cdc40d82c572f : 0x9156cb462e9acd85, [&] {
    std::vector<T> y = x, rows = x;
    dropout(Cpu{}, x.data(), y.data(), n, 0.3, kKey, true);
    drop_rows(Cpu{}, x.data(), rows.data(), {.rows = 21, .cols = 2381}, 0.3, kKey, true);
    return hash_of(rows, hash_of(y));
  });
}

}   // namespace
}   // namespace fovea::kernels
