// test_reduce.cpp: sums along both axes: Cpu against Reference, on shapes around every seam of the cut.
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
