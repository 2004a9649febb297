// test_pooling.cpp: max and global average pooling: by hand, Cpu against Reference, gradients against central differences.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "kernels/pooling.h"
#include "tests/kernels/variants.h"

namespace fovea::kernels {
namespace {

template <class T> class Pooling : public testing::Test {};
using Types = testing::Types<float, bfloat16>;
TYPED_TEST_SUITE(Pooling, Types);

std::size_t inputs(const Pool2dShape& s) { return std::size_t(s.n * s.h * s.w * s.c); }
std::size_t outputs(const Pool2dShape& s) { return std::size_t(s.n * s.p() * s.q() * s.c); }

const std::vector<Pool2dShape> kShapes{
    {.n = 1, .h = 1, .w = 1, .c = 1, .kernel_h = 1, .kernel_w = 1, .stride_h = 1, .stride_w = 1},
    {.n = 2, .h = 7, .w = 9, .c = 16, .kernel_h = 3, .kernel_w = 3, .stride_h = 2, .stride_w = 2, .pad_h = 1, .pad_w = 1},
    {.n = 3, .h = 8, .w = 5, .c = 3, .kernel_h = 2, .kernel_w = 2, .stride_h = 2, .stride_w = 2},
    {.n = 1, .h = 6, .w = 11, .c = 33, .kernel_h = 2, .kernel_w = 5, .stride_h = 1, .stride_w = 3, .pad_h = 1, .pad_w = 2},
    {.n = 2, .h = 9, .w = 9, .c = 17, .kernel_h = 2, .kernel_w = 1, .stride_h = 3, .stride_w = 4},      // some pixels in no window
    {.n = 1, .h = 15, .w = 17, .c = 5, .kernel_h = 15, .kernel_w = 17, .stride_h = 1, .stride_w = 1},   // 255 places
    {.n = 2, .h = 40, .w = 40, .c = 24, .kernel_h = 3, .kernel_w = 3, .stride_h = 1, .stride_w = 1, .pad_h = 1, .pad_w = 1},
};

/// Values from a small set, so that equals are common; every 50th is a NaN or -inf.
template <class T> std::vector<T> with_ties(std::size_t n, std::uint64_t seed) {
  auto x = spread<T>(std::int64_t(n), seed);
  for (std::size_t i = 0; i < n; ++i) {
    x[i] = T(std::floor(float(x[i]) * 3));
    if (i % 50 == 7) x[i] = T(i % 100 == 7 ? std::numeric_limits<float>::quiet_NaN() : -std::numeric_limits<float>::infinity());
  }
  return x;
}

TYPED_TEST(Pooling, MaxMatchesReference) {
  using T = TypeParam;
  on_every_isa([&] {
    for (const auto& s : kShapes) {
      const auto x = with_ties<T>(inputs(s), 21);
      const auto fx = as<float>(x);
      std::vector<T> y(outputs(s));
      std::vector<float> y_want(outputs(s));
      std::vector<std::uint8_t> which(outputs(s)), which_want(outputs(s));
      max_pool2d_forward(Cpu{}, x.data(), y.data(), which.data(), s);
      max_pool2d_forward(Reference{}, fx.data(), y_want.data(), which_want.data(), s);
      expect_close(y, y_want, 0, 0, "y");   // a maximum is not rounded
      EXPECT_EQ(which, which_want);
      const auto dy = spread<T>(std::int64_t(outputs(s)), 22);
      const auto fdy = as<float>(dy);
      for (bool accumulate : {false, true}) {
        auto dx = spread<T>(std::int64_t(inputs(s)), 23);
        auto dx_want = as<float>(dx);
        max_pool2d_backward(Cpu{}, dy.data(), which.data(), dx.data(), s, accumulate);
        max_pool2d_backward(Reference{}, fdy.data(), which.data(), dx_want.data(), s, accumulate);
        expect_close(dx, dx_want, unit_roundoff<T>, 16 * 0x1p-23, "dx");   // up to 10 terms below 1 in float
      }
    }
  });
}

TEST(MaxPoolReference, ByHand) {
  const Pool2dShape s{.n = 1, .h = 3, .w = 3, .c = 1, .kernel_h = 2, .kernel_w = 2, .stride_h = 1, .stride_w = 1};
  const std::vector<double> x{1, 5, 2,   //
                              5, 4, 7,   //
                              0, 7, 7};
  std::vector<double> y(4), dx(9);
  std::vector<std::uint8_t> which(4);
  max_pool2d_forward(Reference{}, x.data(), y.data(), which.data(), s);
  EXPECT_EQ(y, (std::vector<double>{5, 7, 7, 7}));
  EXPECT_EQ(which, (std::vector<std::uint8_t>{1, 3, 3, 1}));   // the first of equals
  const std::vector<double> dy{1, 10, 100, 1000};
  max_pool2d_backward(Reference{}, dy.data(), which.data(), dx.data(), s, false);
  EXPECT_EQ(dx, (std::vector<double>{0, 1, 0, 0, 0, 1010, 0, 100, 0}));
}

TEST(MaxPoolReference, PaddingNeverWinsAndNaNDoes) {
  const Pool2dShape s{.n = 1, .h = 2, .w = 2, .c = 1, .kernel_h = 2, .kernel_w = 2, .stride_h = 2, .stride_w = 2, .pad_h = 1, .pad_w = 1};
  const double inf = std::numeric_limits<double>::infinity(), nan = std::numeric_limits<double>::quiet_NaN();
  const std::vector<double> x{-inf, -3, nan, -2};
  std::vector<double> y(4);
  std::vector<std::uint8_t> which(4);
  max_pool2d_forward(Reference{}, x.data(), y.data(), which.data(), s);
  EXPECT_EQ(y[0], -inf);
  EXPECT_EQ(which[0], 3);   // the pixel itself, not padding that is just as small
  EXPECT_EQ(y[1], -3);
  EXPECT_TRUE(std::isnan(y[2]));
  EXPECT_EQ(y[3], -2);
}

TEST(MaxPoolReference, GradientMatchesCentralDifferences) {
  const Pool2dShape s = kShapes[1];
  auto x = spread<double>(std::int64_t(inputs(s)), 24);   // no two within 2 h of each other, or the maximum would jump
  const auto direction = spread<double>(std::int64_t(outputs(s)), 25);
  std::vector<double> y(outputs(s)), dx(inputs(s));
  std::vector<std::uint8_t> which(outputs(s)), scratch(outputs(s));
  const auto projected = [&] {
    max_pool2d_forward(Reference{}, x.data(), y.data(), scratch.data(), s);
    double sum = 0;
    for (std::size_t i = 0; i < y.size(); ++i) sum += y[i] * direction[i];
    return sum;
  };
  max_pool2d_forward(Reference{}, x.data(), y.data(), which.data(), s);
  max_pool2d_backward(Reference{}, direction.data(), which.data(), dx.data(), s, false);
  const double h = 1e-8;
  for (std::size_t i = 0; i < x.size(); i += 7) {
    const double kept = x[i];
    x[i] = kept + h;
    const double up = projected();
    x[i] = kept - h;
    const double down = projected();
    x[i] = kept;
    EXPECT_NEAR(dx[i], (up - down) / (2 * h), 1e-5) << i;   // 1e-16 * sum |y| / h
  }
}

TYPED_TEST(Pooling, AverageMatchesReference) {
  using T = TypeParam;
  on_every_isa([&] {
    for (GlobalPoolShape s : {GlobalPoolShape{1, 1, 1}, {3, 49, 64}, {2, 65, 17}, {5, 200, 3}, {1, 3000, 35}, {40, 16, 33}}) {
      const auto x = spread<T>(s.images * s.pixels * s.c, 26), dy = spread<T>(s.images * s.c, 27);
      const auto fx = as<float>(x), fdy = as<float>(dy);
      std::vector<T> y(std::size_t(s.images * s.c));
      std::vector<float> want(y.size());
      global_avg_pool_forward(Cpu{}, x.data(), y.data(), s);
      global_avg_pool_forward(Reference{}, fx.data(), want.data(), s);
      expect_close(y, want, unit_roundoff<T>, 16 * 0x1p-24, "y");   // chains of 64 terms below 1, then the mean
      for (bool accumulate : {false, true}) {
        auto dx = x;
        auto dx_want = fx;
        global_avg_pool_backward(Cpu{}, dy.data(), dx.data(), s, accumulate);
        global_avg_pool_backward(Reference{}, fdy.data(), dx_want.data(), s, accumulate);
        expect_close(dx, dx_want, unit_roundoff<T> + 0x1p-23, 2 * 0x1p-24, "dx");
      }
    }
  });
}

TEST(AveragePoolReference, ByHandWithGradient) {
  const GlobalPoolShape s{.images = 2, .pixels = 2, .c = 2};
  const std::vector<double> x{1, 10, 3, 30, 5, 50, 7, 70}, dy{2, 4, 6, 8};
  std::vector<double> y(4), dx(8, 1);
  global_avg_pool_forward(Reference{}, x.data(), y.data(), s);
  EXPECT_EQ(y, (std::vector<double>{2, 20, 6, 60}));
  global_avg_pool_backward(Reference{}, dy.data(), dx.data(), s, true);   // linear, so this is the whole Jacobian
  EXPECT_EQ(dx, (std::vector<double>{2, 3, 2, 3, 4, 5, 4, 5}));
}

TYPED_TEST(Pooling, SameBits) {
  using T = TypeParam;
  const Pool2dShape s = kShapes[6];
  const auto x = spread<T>(std::int64_t(inputs(s)), 28), dy = spread<T>(std::int64_t(outputs(s)), 29);
  const GlobalPoolShape g{.images = 50, .pixels = 70, .c = 21};
  expect_same_bits(std::is_same_v<T, float> ? 0xcdab3fe62ed54f1f : 0x51ea0e6f75641b65, [&] {
    std::vector<T> y(outputs(s)), dx = x, mean(std::size_t(g.images * g.c)), spread_out = x;
    std::vector<std::uint8_t> which(outputs(s));
    max_pool2d_forward(Cpu{}, x.data(), y.data(), which.data(), s);
    max_pool2d_backward(Cpu{}, dy.data(), which.data(), dx.data(), s, true);
    global_avg_pool_forward(Cpu{}, x.data(), mean.data(), g);
    global_avg_pool_backward(Cpu{}, mean.data(), spread_out.data(), g, false);
    return hash_of(spread_out, hash_of(mean, hash_of(dx, hash_of(which, hash_of(y)))));
  });
}

}   // namespace
}   // namespace fovea::kernels
