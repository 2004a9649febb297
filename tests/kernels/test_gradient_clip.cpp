// test_gradient_clip.cpp: sums of squares, clipping by value and by row: Cpu against Reference, edges, the same bits everywhere.
#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include "kernels/gradient_clip.h"
#include "tests/kernels/variants.h"

namespace fovea::kernels {
namespace {

const std::vector<Run> kRuns{{0, 1}, {16, 33}, {48, 48}, {50, 1050}, {1056, 1056 + 20003}};

template <class B> double squares(B be, const std::vector<float>& x, const std::vector<Run>& runs) {
  std::vector<std::byte> workspace(sum_squares_workspace_bytes<float>(be, runs.data(), std::ssize(runs)));
  double sum[2];
  sum_squares(be, x.data(), runs.data(), std::ssize(runs), sum, workspace.data());
  EXPECT_TRUE(std::isnan(sum[0]) || sum[1] == std::sqrt(sum[0]));
  return sum[0];
}

// A lane sums 8192 / 64 squares, in float: 130 roundings at most, of a part each, all positive.
TEST(SumSquares, CpuMatchesReference) {
  on_every_isa([&] {
    const auto x = spread<float>(22000, 1);
    const double want = squares(Reference{}, x, kRuns);
    EXPECT_NEAR(squares(Cpu{}, x, kRuns), want, want * 130 * 0x1p-24);
    EXPECT_EQ(squares(Cpu{}, x, {}), 0);
    auto y = x;
    y[40] = std::numeric_limits<float>::infinity();   // lies in a gap
    EXPECT_EQ(squares(Cpu{}, y, kRuns), squares(Cpu{}, x, kRuns));
    y[17] = std::numeric_limits<float>::quiet_NaN();
    EXPECT_TRUE(std::isnan(squares(Cpu{}, y, kRuns)));
    y[17] = -std::numeric_limits<float>::infinity();
    EXPECT_EQ(squares(Cpu{}, y, kRuns), std::numeric_limits<double>::infinity());
  });
}

TEST(ClipNorm, CpuMatchesReferenceAndLeavesWhatLiesBetweenRuns) {
  constexpr double kInf = std::numeric_limits<double>::infinity(), kNaN = std::numeric_limits<double>::quiet_NaN();
  on_every_isa([&] {
    for (const double norm : {0., 0.5, 2., 1000., kInf, kNaN})
      for (const ClipNorm c : {ClipNorm{1}, {1, true}, {kInf}}) {
        const auto x = spread<float>(22000, 7);
        auto got = x, want = x;
        clip_norm(Cpu{}, got.data(), kRuns.data(), std::ssize(kRuns), &norm, c);
        clip_norm(Reference{}, want.data(), kRuns.data(), std::ssize(kRuns), &norm, c);
        expect_close(got, want, 2 * 0x1p-24, 0);   // the factor and the product
        EXPECT_EQ(got[40], x[40]);
        const bool left = norm < 1 || c.most == kInf || (c.keep_non_finite && !(norm < kInf));
        EXPECT_TRUE(!left || got == x) << norm;
        EXPECT_TRUE(left || norm != 2 || std::abs(got[20] - x[20] / 2) < 1e-6);
        EXPECT_TRUE(left || !std::isnan(norm) || std::isnan(got[20]));
      }
  });
}

TEST(ClipValue, CpuMatchesReference) {
  on_every_isa([&] {
    for (const std::int64_t n : {0, 1, 15, 16, 17, 33, 40003}) {
      auto g = spread<float>(n, 2);
      if (n > 15) g[3] = std::numeric_limits<float>::quiet_NaN(), g[4] = std::numeric_limits<float>::infinity(), g[5] = -g[4];
      auto want = g;
      clip_value(Cpu{}, g.data(), 0.3, n);
      clip_value(Reference{}, want.data(), 0.3, n);
      expect_close(g, want, 0, 0);
    }
  });
}

TEST(ClipRows, CpuMatchesReference) {
  on_every_isa([&] {
    for (const RowShape s : {RowShape{0, 3}, {1, 1}, {1, 17}, {5, 1}, {3, 33}, {17, 129}, {3, 20001}, {700, 27}})
      for (const double limit : {0.5, 1.0, 2.0}) {
        auto w = spread<float>(s.rows * s.cols, 3), g = spread<float>(s.rows * s.cols, 4);
        for (std::int64_t c = 0; c < s.cols && s.rows > 1; ++c) w[std::size_t(c)] = 0;   // the first row has eps for a norm
        auto want = g;
        clip_rows(Cpu{}, w.data(), g.data(), s, limit, 0.1);
        clip_rows(Reference{}, w.data(), want.data(), s, limit, 0.1);
        expect_close(g, want, 400 * 0x1p-24, 0);   // two norms, of at most 20001 / 64 squares a lane, and a product
      }
  });
}

TEST(ClipRows, LeavesShortRowsBitForBit) {
  on_every_isa([&] {
    std::vector<float> w{3, 4, 3, 4}, g{0.3f, 0.4f, 30, 40};
    clip_rows(Cpu{}, w.data(), g.data(), {2, 2}, 1, 1e-3);
    EXPECT_EQ(g, (std::vector<float>{0.3f, 0.4f, 3, 4}));
  });
}

TEST(GradientClip, SameBits) {
  expect_same_bits(0xff6b42c19428ff87, [&] {
    const auto w = spread<float>(40000, 5);
    auto g = spread<float>(40000, 6);
    const double sum = squares(Cpu{}, g, kRuns);
    clip_value(Cpu{}, g.data(), 0.9, 40000);
    clip_rows(Cpu{}, w.data(), g.data(), {.rows = 20, .cols = 2000}, 0.9, 1e-3);
    return hash_of(g, hash_of(std::vector<double>{sum}));
  });
}

}   // namespace
}   // namespace fovea::kernels
