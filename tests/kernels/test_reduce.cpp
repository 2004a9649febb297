// test_reduce.cpp: sums, squared deviations and maxima: Cpu against Reference, on shapes around every seam of the cut.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "kernels/reduce.h"
#include "tests/kernels/variants.h"

namespace fovea::kernels {
namespace {

template <class T> class Reduce : public testing::Test {};
using Types = testing::Types<float, bfloat16>;
TYPED_TEST_SUITE(Reduce, Types);

// A chain of at most 1024 float additions of terms below 1, the chains joined in double: |error| <= 1024 u sum |x| at the very
// worst; rounding errors of either sign stay below 32 u sum |x| with a wide margin.
double tolerance(std::int64_t terms) { return 32 * 0x1p-24 * double(terms); }

TYPED_TEST(Reduce, CpuMatchesReference) {
  using T = TypeParam;
  const RowShape shapes[] = {{1, 1},     {3, 5},    {5, 16},    {513, 1},   {1025, 3},  {700, 17}, {511, 33}, {300, 127}, {129, 128},
                             {260, 130}, {2, 1000}, {1, 16384}, {1, 50001}, {3, 16385}, {40, 300}, {0, 7},    {7, 0}};
  on_every_isa([&] {
    for (RowShape s : shapes) {
      SCOPED_TRACE(std::to_string(s.rows) + " x " + std::to_string(s.cols));
      const auto x = spread<T>(s.rows * s.cols, 11, 0.3);
      const auto fx = as<float>(x);
      std::vector<unsigned char> workspace(reduce_workspace_bytes<T>(Cpu{}, s));
      for (bool accumulate : {false, true}) {
        auto rows = spread<float>(s.cols, 12), cols = spread<float>(s.rows, 13);
        auto rows_want = rows, cols_want = cols;
        sum_rows(Cpu{}, x.data(), 0.5f, rows.data(), s, accumulate, workspace.data());
        sum_rows(Reference{}, fx.data(), 0.5f, rows_want.data(), s, accumulate, nullptr);
        expect_close(rows, rows_want, 0x1p-23, tolerance(s.rows), "sum_rows");
        sum_cols(Cpu{}, x.data(), 0.5f, cols.data(), s, accumulate, workspace.data());
        sum_cols(Reference{}, fx.data(), 0.5f, cols_want.data(), s, accumulate, nullptr);
        expect_close(cols, cols_want, 0x1p-23, tolerance(s.cols), "sum_cols");
      }
    }
  });
}

TEST(ReduceReference, ByHand) {
  const std::vector<double> x{1, 2, 3, 4, 5, 6};
  std::vector<double> rows{100, 100, 100}, cols(2);
  sum_rows(Reference{}, x.data(), 2., rows.data(), {2, 3}, true, nullptr);
  sum_cols(Reference{}, x.data(), 1., cols.data(), {2, 3}, false, nullptr);
  EXPECT_EQ(rows, (std::vector<double>{110, 114, 118}));
  EXPECT_EQ(cols, (std::vector<double>{6, 15}));
}

/// Whole numbers below 2^24 are summed exactly in any order: what is left out or counted twice shows.
TEST(Reduce, EveryElementCountsOnce) {
  on_every_isa([&] {
    for (RowShape s : {RowShape{517, 135}, {1030, 7}, {3, 40001}}) {
      std::vector<float> x;
      for (std::int64_t i = 0; i < s.rows * s.cols; ++i) x.push_back(float(i % 61));
      std::vector<unsigned char> workspace(reduce_workspace_bytes<float>(Cpu{}, s));
      const std::size_t rows = std::size_t(s.rows), columns = std::size_t(s.cols);
      std::vector<float> sums(columns), want(columns), row_sums(rows), row_want(rows);
      sum_rows(Cpu{}, x.data(), 1.f, sums.data(), s, false, workspace.data());
      sum_rows(Reference{}, x.data(), 1.f, want.data(), s, false, nullptr);
      EXPECT_EQ(sums, want);
      sum_cols(Cpu{}, x.data(), 1.f, row_sums.data(), s, false, workspace.data());
      sum_cols(Reference{}, x.data(), 1.f, row_want.data(), s, false, nullptr);
      EXPECT_EQ(row_sums, row_want);
    }
  });
}

/// Rows, columns, the middle; one tile or chunk and several; short and long on every side; nothing.
constexpr AxisShape kAxes[] = {{1, 1, 1},    {7, 5, 1},   {3, 16385, 1}, {1, 5, 17},    {1, 1025, 3},  {3, 7, 1}, {4, 49, 33},
                               {2, 700, 17}, {3, 1, 130}, {50, 3, 2},    {2, 300, 129}, {1, 40000, 1}, {0, 3, 5}, {3, 4, 0}};

TYPED_TEST(Reduce, AlongAnAxis) {
  using T = TypeParam;
  on_every_isa([&] {
    for (const AxisShape& s : kAxes) {
      SCOPED_TRACE(std::to_string(s.outer) + " x " + std::to_string(s.axis) + " x " + std::to_string(s.inner));
      const std::int64_t in = s.outer * s.axis * s.inner, out = s.outer * s.inner;
      const auto x = spread<T>(in, 21, 0.3), z = spread<T>(in, 22);
      const auto fx = as<float>(x), fz = as<float>(z);
      const auto mean = spread<float>(out, 23, 0.3), dy = spread<float>(out, 24);
      std::vector<unsigned char> workspace(reduce_workspace_bytes<T>(Cpu{}, s));
      for (const bool accumulate : {false, true}) {
        auto y = spread<float>(out, 25), want = y;
        sum_axis(Cpu{}, x.data(), 0.5f, y.data(), s, accumulate, workspace.data());
        sum_axis(Reference{}, fx.data(), 0.5f, want.data(), s, accumulate, nullptr);
        expect_close(y, want, 0x1p-23, tolerance(s.axis), "sum_axis");
        dot_axis(Cpu{}, x.data(), z.data(), 0.5f, y.data(), s, accumulate, workspace.data());
        dot_axis(Reference{}, fx.data(), fz.data(), 0.5f, want.data(), s, accumulate, nullptr);
        expect_close(y, want, 0x1p-23, tolerance(s.axis), "dot_axis");
        auto dx = z;
        auto dx_want = fz;
        deviation_axis_backward(Cpu{}, x.data(), mean.data(), dy.data(), 0.7f, dx.data(), s, accumulate);
        deviation_axis_backward(Reference{}, fx.data(), mean.data(), dy.data(), 0.7f, dx_want.data(), s, accumulate);
        expect_close(dx, dx_want, 2 * unit_roundoff<T>, 0x1p-20, "deviation_axis_backward");
      }
      auto y = spread<float>(out, 25), want = y;
      deviation_axis(Cpu{}, x.data(), mean.data(), 0.5f, y.data(), s, workspace.data());
      deviation_axis(Reference{}, fx.data(), mean.data(), 0.5f, want.data(), s, nullptr);
      expect_close(y, want, 0x1p-23, tolerance(4 * s.axis), "deviation_axis");
    }
  });
}

/// Coarse numbers, so that many maxima are equal.
TYPED_TEST(Reduce, Maxima) {
  using T = TypeParam;
  on_every_isa([&] {
    for (const AxisShape& s : kAxes) {
      SCOPED_TRACE(std::to_string(s.outer) + " x " + std::to_string(s.axis) + " x " + std::to_string(s.inner));
      const std::int64_t in = s.outer * s.axis * s.inner, out = s.outer * s.inner;
      auto x = spread<T>(in, 31);
      for (T& value : x) value = T(std::round(float(value) * 8));
      const auto dy = spread<T>(out, 32), start = spread<T>(in, 33);
      const auto fx = as<float>(x), fdy = as<float>(dy);
      std::vector<T> y(static_cast<std::size_t>(out));
      std::vector<float> want(y.size());
      max_axis(Cpu{}, x.data(), y.data(), s);
      max_axis(Reference{}, fx.data(), want.data(), s);
      expect_close(y, want, 0, 0, "max_axis");
      std::vector<unsigned char> workspace(max_axis_workspace_bytes<T>(Cpu{}, s));
      for (const bool accumulate : {false, true}) {
        auto dx = start;
        auto dx_want = as<float>(start);
        max_axis_backward(Cpu{}, x.data(), y.data(), dy.data(), dx.data(), s, accumulate, workspace.data());
        max_axis_backward(Reference{}, fx.data(), want.data(), fdy.data(), dx_want.data(), s, accumulate, nullptr);
        expect_close(dx, dx_want, 2 * unit_roundoff<T>, 0x1p-22, "max_axis_backward");
      }
    }
  });
}

TEST(Reduce, MaximaAtTheEdges) {
  const float inf = INFINITY, nan = NAN;
  on_every_isa([&] {
    for (const std::int64_t inner : {1, 18})
      for (std::int64_t at = 0; at < 21; ++at) {
        const AxisShape s{2, 21, inner};
        std::vector<float> x(static_cast<std::size_t>(42 * inner), -inf), y(static_cast<std::size_t>(2 * inner));
        x[static_cast<std::size_t>((21 + at) * inner)] = nan;
        max_axis(Cpu{}, x.data(), y.data(), s);
        EXPECT_EQ(y[0], -inf);
        EXPECT_TRUE(std::isnan(y[static_cast<std::size_t>(inner)])) << at;
        x[static_cast<std::size_t>((21 + at) * inner)] = inf;
        max_axis(Cpu{}, x.data(), y.data(), s);
        EXPECT_EQ(y[static_cast<std::size_t>(inner)], inf);
      }
  });
}

TYPED_TEST(Reduce, SameBitsAlongAnAxis) {
  using T = TypeParam;
  expect_same_bits(std::is_same_v<T, float> ? 0x6abb96d0f8e382dc : 0x4b10dbd261a5723a, [&] {
    std::uint64_t hash = 0;
    for (const AxisShape& s : {AxisShape{5, 1000, 37}, {70, 49, 33}, {130, 301, 1}}) {
      const std::int64_t in = s.outer * s.axis * s.inner, out = s.outer * s.inner;
      const auto x = spread<T>(in, 41), z = spread<T>(in, 42);
      const auto mean = spread<float>(out, 43);
      std::vector<unsigned char> workspace(max_axis_workspace_bytes<T>(Cpu{}, s));
      std::vector<float> y(static_cast<std::size_t>(out));
      std::vector<T> largest(y.size()), dx(x.size());
      sum_axis(Cpu{}, x.data(), 0.3f, y.data(), s, false, workspace.data());
      hash = hash_of(y, hash + 1);
      dot_axis(Cpu{}, x.data(), z.data(), 0.3f, y.data(), s, false, workspace.data());
      hash = hash_of(y, hash);
      deviation_axis(Cpu{}, x.data(), mean.data(), 0.3f, y.data(), s, workspace.data());
      hash = hash_of(y, hash);
      deviation_axis_backward(Cpu{}, x.data(), mean.data(), y.data(), 0.3f, dx.data(), s, false);
      max_axis(Cpu{}, x.data(), largest.data(), s);
      max_axis_backward(Cpu{}, x.data(), largest.data(), largest.data(), dx.data(), s, true, workspace.data());
      hash = hash_of(dx, hash_of(largest, hash));
    }
    return hash;
  });
}

TYPED_TEST(Reduce, SameBits) {
  using T = TypeParam;
  const RowShape s{1001, 147};
  const auto x = spread<T>(s.rows * s.cols, 14);
  const RowShape flat{1, s.rows * s.cols};
  std::vector<unsigned char> workspace(std::max(reduce_workspace_bytes<T>(Cpu{}, s), reduce_workspace_bytes<T>(Cpu{}, flat)));
  expect_same_bits(std::is_same_v<T, float> ? 0xc13f007d77b9f500 : 0x60465293fd6a3df2, [&] {
    std::vector<float> rows(147), cols(1001), all(1);
    sum_rows(Cpu{}, x.data(), 1.f, rows.data(), s, false, workspace.data());
    sum_cols(Cpu{}, x.data(), 1.f, cols.data(), s, false, workspace.data());
    sum_cols(Cpu{}, x.data(), 1.f, all.data(), flat, false, workspace.data());
    return hash_of(all, hash_of(cols, hash_of(rows)));
  });
}

}   // namespace
}   // namespace fovea::kernels
