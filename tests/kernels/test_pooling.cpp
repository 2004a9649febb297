// test_pooling.cpp: maximum and mean over windows, bins and images: by hand, Cpu against Reference, gradients against central differences.
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

struct Window {
  std::int64_t kernel, stride, pad = 0;
  bool ceil_mode = false;
};
Pool2dShape windows(std::int64_t n, std::int64_t h, std::int64_t w, std::int64_t c, Window rows, Window columns) {
  return {.n = n,
          .c = c,
          .rows = PoolAxis::windows(h, rows.kernel, rows.stride, rows.pad, rows.ceil_mode),
          .columns = PoolAxis::windows(w, columns.kernel, columns.stride, columns.pad, columns.ceil_mode)};
}
Pool2dShape windows(std::int64_t n, std::int64_t h, std::int64_t w, std::int64_t c, Window both) { return windows(n, h, w, c, both, both); }
Pool2dShape bins(std::int64_t n, std::int64_t h, std::int64_t w, std::int64_t c, std::int64_t p, std::int64_t q) {
  return {.n = n, .c = c, .rows = PoolAxis::bins(h, p), .columns = PoolAxis::bins(w, q)};
}

const std::vector<Pool2dShape> kShapes{
    windows(1, 1, 1, 1, {1, 1}),
    windows(2, 7, 9, 16, {3, 2, 1}),
    windows(3, 8, 5, 3, {2, 2}),
    windows(1, 6, 11, 33, {2, 1, 1}, {5, 3, 2}),
    windows(2, 9, 9, 17, {2, 3}, {1, 4}),      // some pixels in no window
    windows(1, 15, 17, 5, {15, 1}, {17, 1}),   // 255 places
    windows(2, 40, 40, 24, {3, 1, 1}),
    windows(2, 8, 10, 17, {3, 2, 1, true}),   // the last window hangs over
    windows(1, 5, 8, 3, {2, 3, 1, true}, {3, 3, 1, true}),
    windows(1, 2, 4, 16, {3, 2, 0, true}, {5, 4, 2, true}),   // smaller than the window
    windows(0, 4, 4, 3, {2, 2}),
    bins(2, 7, 9, 17, 3, 4),
    bins(1, 4, 5, 33, 7, 5),   // more bins than pixels
    bins(3, 12, 12, 16, 6, 1),
};
/// Windows of more than 256 pixels.
const std::vector<Pool2dShape> kWide{windows(1, 20, 30, 3, {17, 2, 8}), bins(2, 18, 17, 19, 1, 1)};

/// Values from a small set, so that equals are common; every 50th is a NaN or -inf.
template <class T> std::vector<T> with_ties(std::size_t n, std::uint64_t seed) {
  auto x = spread<T>(std::int64_t(n), seed);
  for (std::size_t i = 0; i < n; ++i) {
    x[i] = T(std::floor(float(x[i]) * 3));
    if (i % 50 == 7) x[i] = T(i % 100 == 7 ? std::numeric_limits<float>::quiet_NaN() : -std::numeric_limits<float>::infinity());
  }
  return x;
}

template <class T, class Place> void check_max(const Pool2dShape& s) {
  const auto x = with_ties<T>(std::size_t(s.inputs()), 21);
  const auto fx = as<float>(x);
  std::vector<T> y(std::size_t(s.outputs()));
  std::vector<float> y_want(y.size());
  std::vector<Place> which(y.size()), which_want(y.size());
  max_pool2d_forward(Cpu{}, x.data(), y.data(), which.data(), s);
  max_pool2d_forward(Reference{}, fx.data(), y_want.data(), which_want.data(), s);
  expect_close(y, y_want, 0, 0, "y");   // a maximum is not rounded
  EXPECT_EQ(which, which_want);
  const auto dy = spread<T>(s.outputs(), 22);
  const auto fdy = as<float>(dy);
  for (bool accumulate : {false, true}) {
    auto dx = spread<T>(s.inputs(), 23);
    auto dx_want = as<float>(dx);
    max_pool2d_backward(Cpu{}, dy.data(), which.data(), dx.data(), s, accumulate);
    max_pool2d_backward(Reference{}, fdy.data(), which.data(), dx_want.data(), s, accumulate);
    expect_close(dx, dx_want, unit_roundoff<T>, 16 * 0x1p-23, "dx");   // up to 10 terms below 1 in float
  }
}
TYPED_TEST(Pooling, MaxMatchesReference) {
  on_every_isa([&] {
    for (const auto& s : kShapes) check_max<TypeParam, std::uint8_t>(s);
    for (const auto& s : kShapes) check_max<TypeParam, std::int64_t>(s);
    for (const auto& s : kWide) check_max<TypeParam, std::int64_t>(s);
  });
}

TYPED_TEST(Pooling, MeanMatchesReference) {
  using T = TypeParam;
  on_every_isa([&] {
    for (const auto* shapes : {&kShapes, &kWide})
      for (const auto& s : *shapes)
        for (const AverageDivisor d : {AverageDivisor{}, {.count_include_pad = true}, {.override_with = 3}}) {
          const auto x = spread<T>(s.inputs(), 31), dy = spread<T>(s.outputs(), 32);
          const auto fx = as<float>(x), fdy = as<float>(dy);
          std::vector<T> y(std::size_t(s.outputs()));
          std::vector<float> want(y.size());
          avg_pool2d_forward(Cpu{}, x.data(), y.data(), s, d);
          avg_pool2d_forward(Reference{}, fx.data(), want.data(), s, d);
          // lines of up to 17 terms below 1, then up to 18 lines; with a divisor of 3, up to 100 times a mean
          expect_close(y, want, unit_roundoff<T> + 0x1p-23, 36 * 0x1p-24 * (d.override_with ? 100 : 1), "y");
          for (bool accumulate : {false, true}) {
            auto dx = spread<T>(s.inputs(), 33);
            auto dx_want = as<float>(dx);
            avg_pool2d_backward(Cpu{}, dy.data(), dx.data(), s, d, accumulate);
            avg_pool2d_backward(Reference{}, fdy.data(), dx_want.data(), s, d, accumulate);
            expect_close(dx, dx_want, unit_roundoff<T> + 0x1p-23, 64 * 0x1p-23, "dx");   // up to 50 terms below 1
          }
        }
  });
}

TEST(PoolAxis, CeilModeAndBins) {
  EXPECT_EQ(PoolAxis::windows(6, 3, 2, 0, false).out, 2);
  const PoolAxis up = PoolAxis::windows(6, 3, 2, 0, true);
  EXPECT_EQ(up.out, 3);
  EXPECT_EQ(up.begin(2), 4);
  EXPECT_EQ(up.end(2), 6);
  EXPECT_EQ(up.padded_length(2), 2);
  // (5 + 2 - 2 + 2) / 3 + 1 = 3, but the third window would begin at 5, beyond the image and its first padding: not taken
  EXPECT_EQ(PoolAxis::windows(5, 2, 3, 1, true).out, 2);
  const PoolAxis three = PoolAxis::bins(7, 3);   // [0, 3), [2, 5), [4, 7)
  for (std::int64_t i = 0; i < 3; ++i) {
    EXPECT_EQ(three.begin(i), 2 * i);
    EXPECT_EQ(three.end(i), 2 * i + 3);
  }
  for (const Pool2dShape& s : kShapes)   // first .. last are the windows that see a pixel, no more and no less
    for (const PoolAxis& axis : {s.rows, s.columns})
      for (std::int64_t x = 0; x < axis.in; ++x)
        for (std::int64_t i = 0; i < axis.out; ++i) {
          EXPECT_EQ(i >= axis.first(x) && i <= axis.last(x), axis.begin(i) <= x && x < axis.end(i)) << x << " of " << axis.in << ", " << i;
          EXPECT_LE(axis.end(i) - axis.origin(i), axis.longest());
        }
}

TEST(MeanReference, DividesAsAsked) {
  const Pool2dShape s = windows(1, 2, 2, 1, {2, 2, 1});   // each of the four windows has one pixel, and three of padding
  const std::vector<double> x{4, 8, 12, 16};
  std::vector<double> y(4);
  avg_pool2d_forward(Reference{}, x.data(), y.data(), s, {.count_include_pad = true});
  EXPECT_EQ(y, (std::vector<double>{1, 2, 3, 4}));
  avg_pool2d_forward(Reference{}, x.data(), y.data(), s, {});
  EXPECT_EQ(y, x);
  avg_pool2d_forward(Reference{}, x.data(), y.data(), s, {.override_with = 2});
  EXPECT_EQ(y, (std::vector<double>{2, 4, 6, 8}));
}

TEST(MaxPoolReference, ByHand) {
  const Pool2dShape s = windows(1, 3, 3, 1, {2, 1});
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
  const Pool2dShape s = windows(1, 2, 2, 1, {2, 2, 1});
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
  auto x = spread<double>(s.inputs(), 24);   // no two within 2 h of each other, or the maximum would jump
  const auto direction = spread<double>(s.outputs(), 25);
  std::vector<double> y(std::size_t(s.outputs())), dx(std::size_t(s.inputs()));
  std::vector<std::uint8_t> which(std::size_t(s.outputs())), scratch(std::size_t(s.outputs()));
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
  const auto x = spread<T>(s.inputs(), 28), dy = spread<T>(s.outputs(), 29);
  const GlobalPoolShape g{.images = 50, .pixels = 70, .c = 21};
  expect_same_bits(std::is_same_v<T, float> ? 0xec8a8b6d8659b7cc : 0xb99db0517a0fcdca, [&] {
    std::vector<T> y(std::size_t(s.outputs())), dx = x, mean(std::size_t(g.images * g.c)), spread_out = x;
    std::vector<std::uint8_t> which(std::size_t(s.outputs()));
    max_pool2d_forward(Cpu{}, x.data(), y.data(), which.data(), s);
    max_pool2d_backward(Cpu{}, dy.data(), which.data(), dx.data(), s, true);
    global_avg_pool_forward(Cpu{}, x.data(), mean.data(), g);
    global_avg_pool_backward(Cpu{}, mean.data(), spread_out.data(), g, false);
    std::vector<T> average(y.size()), average_dx = x;
    avg_pool2d_forward(Cpu{}, x.data(), average.data(), s, {.count_include_pad = true});
    avg_pool2d_backward(Cpu{}, dy.data(), average_dx.data(), s, {}, true);
    return hash_of(average_dx, hash_of(average, hash_of(spread_out, hash_of(mean, hash_of(dx, hash_of(which, hash_of(y)))))));
  });
}

}   // namespace
}   // namespace fovea::kernels
