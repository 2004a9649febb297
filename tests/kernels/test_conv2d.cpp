// Convolution and its gradients: odd shapes, strides, padding, dilation and groups; against Reference within the rounding
// bound, exact on integers, the documented chain bit for bit, the same bits for every thread count and instruction set.
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "kernels/conv2d_depthwise.h"
#include "tests/kernels/activation_testing.h"
#include "tests/kernels/conv2d_testing.h"

namespace fovea::kernels {
namespace {

using std::int64_t;

const std::vector<Conv2dShape> kShapes = {
    {.n = 1, .h = 1, .w = 1, .c = 1, .k = 1, .r = 1, .s = 1},
    {.n = 2, .h = 5, .w = 7, .c = 3, .k = 4, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1},
    {.n = 3, .h = 14, .w = 14, .c = 16, .k = 16, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1},
    {.n = 2, .h = 28, .w = 28, .c = 1, .k = 16, .r = 3, .s = 3, .stride_h = 2, .stride_w = 2, .pad_h = 1, .pad_w = 1},
    {.n = 5, .h = 7, .w = 7, .c = 17, .k = 33, .r = 3, .s = 3, .stride_h = 2, .stride_w = 2, .pad_h = 1, .pad_w = 1},
    {.n = 2, .h = 11, .w = 13, .c = 8, .k = 12, .r = 1, .s = 1},
    {.n = 2, .h = 11, .w = 13, .c = 6, .k = 40, .r = 1, .s = 1, .stride_h = 2, .stride_w = 3},
    {.n = 1, .h = 9, .w = 11, .c = 5, .k = 7, .r = 2, .s = 4, .stride_h = 3, .stride_w = 1, .pad_h = 0, .pad_w = 2},
    {.n = 2, .h = 12, .w = 10, .c = 4, .k = 6, .r = 3, .s = 3, .pad_h = 2, .pad_w = 2, .dilation_h = 2, .dilation_w = 2},
    {.n = 1,
     .h = 13,
     .w = 17,
     .c = 4,
     .k = 6,
     .r = 3,
     .s = 2,
     .stride_h = 2,
     .stride_w = 3,
     .pad_h = 3,
     .pad_w = 1,
     .dilation_h = 2,
     .dilation_w = 3},
    {.n = 1,
     .h = 15,
     .w = 15,
     .c = 3,
     .k = 5,
     .r = 3,
     .s = 3,
     .stride_h = 4,
     .stride_w = 4,
     .pad_h = 2,
     .pad_w = 1,
     .dilation_h = 2,
     .dilation_w = 1},
    {.n = 2, .h = 6, .w = 5, .c = 12, .k = 18, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1, .groups = 3},
    {.n = 2, .h = 6, .w = 9, .c = 10, .k = 10, .r = 3, .s = 3, .stride_h = 2, .stride_w = 2, .pad_h = 1, .pad_w = 1, .groups = 10},
    {.n = 2, .h = 4, .w = 4, .c = 8, .k = 16, .r = 1, .s = 1, .groups = 2},
    {.n = 1, .h = 32, .w = 32, .c = 3, .k = 24, .r = 7, .s = 7, .stride_h = 2, .stride_w = 2, .pad_h = 3, .pad_w = 3},
    {.n = 1, .h = 16, .w = 16, .c = 3, .k = 10, .r = 4, .s = 4, .stride_h = 4, .stride_w = 4},          // patches
    {.n = 1, .h = 3, .w = 130, .c = 2, .k = 5, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1},                 // rows longer than a block
    {.n = 2, .h = 2, .w = 70, .c = 3, .k = 2, .r = 2, .s = 3, .stride_w = 1, .pad_h = 1, .pad_w = 1},   // rows that straddle blocks
    {.n = 1, .h = 2, .w = 2, .c = 2, .k = 3, .r = 5, .s = 5, .pad_h = 4, .pad_w = 4},                   // padding beyond the kernel's reach
    {.n = 1, .h = 4, .w = 4, .c = 3, .k = 2, .r = 2, .s = 2, .pad_h = 3, .pad_w = 2},
    {.n = 3, .h = 3, .w = 3, .c = 64, .k = 70, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1},
    {.n = 1, .h = 7, .w = 7, .c = 512, .k = 20, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1},   // k is cut by rows of taps
    {.n = 1, .h = 3, .w = 3, .c = 1100, .k = 9, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1},   // by taps
    {.n = 1, .h = 2, .w = 3, .c = 3300, .k = 5, .r = 2, .s = 1, .pad_h = 1},               // by channels
    {.n = 2, .h = 7, .w = 7, .c = 512, .k = 20, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1},   // the same in two blocks of rows
    {.n = 12, .h = 3, .w = 3, .c = 1050, .k = 9, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1},
    {.n = 3, .h = 9, .w = 9, .c = 24, .k = 36, .r = 3, .s = 3, .groups = 2},
    // phases of 112 to 63 pixels: tasks of the last ones pack their weights themselves
    {.n = 7, .h = 7, .w = 7, .c = 17, .k = 33, .r = 3, .s = 3, .stride_h = 2, .stride_w = 2, .pad_h = 1, .pad_w = 1},
    {.n = 11, .h = 2, .w = 3, .c = 3300, .k = 5, .r = 2, .s = 1, .pad_h = 1},
    {.n = 0, .h = 5, .w = 5, .c = 3, .k = 4, .r = 3, .s = 3},
    // One filter a channel, or 4 or 8: kernels of their own from here on (WhichAreComputedInLanes below names the first).
    {.n = 2, .h = 14, .w = 14, .c = 33, .k = 33, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1, .groups = 33},
    {.n = 1, .h = 15, .w = 13, .c = 17, .k = 17, .r = 3, .s = 3, .stride_h = 2, .stride_w = 2, .pad_h = 1, .pad_w = 1, .groups = 17},
    {.n = 3, .h = 11, .w = 18, .c = 3, .k = 3, .r = 5, .s = 5, .pad_h = 2, .pad_w = 2, .groups = 3},
    {.n = 2, .h = 9, .w = 21, .c = 48, .k = 48, .r = 5, .s = 5, .stride_h = 2, .stride_w = 2, .pad_h = 2, .pad_w = 2, .groups = 48},
    {.n = 2, .h = 14, .w = 14, .c = 80, .k = 80, .r = 7, .s = 7, .pad_h = 3, .pad_w = 3, .groups = 80},
    {.n = 1, .h = 12, .w = 9, .c = 20, .k = 20, .r = 7, .s = 7, .stride_h = 2, .stride_w = 2, .pad_h = 3, .pad_w = 3, .groups = 20},
    {.n = 1, .h = 13, .w = 16, .c = 19, .k = 19, .r = 3, .s = 3, .pad_h = 2, .pad_w = 3, .dilation_h = 2, .dilation_w = 3, .groups = 19},
    {.n = 2, .h = 13, .w = 11, .c = 5, .k = 5, .r = 3, .s = 3, .stride_h = 3, .stride_w = 3, .pad_h = 1, .pad_w = 2, .groups = 5},
    {.n = 1,
     .h = 10,
     .w = 11,
     .c = 18,
     .k = 18,
     .r = 3,
     .s = 5,
     .stride_h = 4,
     .stride_w = 7,
     .pad_h = 1,
     .pad_w = 1,
     .groups = 18},   // gaps
    {.n = 1,
     .h = 11,
     .w = 12,
     .c = 16,
     .k = 16,
     .r = 3,
     .s = 3,
     .stride_h = 2,
     .stride_w = 2,
     .pad_h = 2,
     .pad_w = 2,
     .dilation_h = 2,
     .dilation_w = 2,
     .groups = 16},
    {.n = 3, .h = 1, .w = 1, .c = 33, .k = 33, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1, .groups = 33},   // one pixel
    {.n = 1, .h = 3, .w = 2, .c = 16, .k = 16, .r = 3, .s = 3, .pad_h = 5, .pad_w = 6, .groups = 16},   // padding beyond the kernel's reach
    {.n = 2, .h = 8, .w = 7, .c = 31, .k = 31, .r = 2, .s = 4, .pad_h = 1, .pad_w = 2, .groups = 31},
    {.n = 1, .h = 9, .w = 9, .c = 6, .k = 6, .r = 1, .s = 1, .stride_h = 2, .stride_w = 3, .groups = 6},
    {.n = 1, .h = 4, .w = 900, .c = 40, .k = 40, .r = 7, .s = 7, .pad_h = 3, .pad_w = 3, .groups = 40},   // lines are cut into strips
    {.n = 7,
     .h = 9,
     .w = 40,
     .c = 64,
     .k = 64,
     .r = 3,
     .s = 3,
     .pad_h = 1,
     .pad_w = 1,
     .groups = 64},   // several tasks, each across images
    {.n = 0, .h = 5, .w = 5, .c = 3, .k = 3, .r = 3, .s = 3, .groups = 3},
    {.n = 2, .h = 7, .w = 14, .c = 32, .k = 32, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1, .groups = 8},
    {.n = 2, .h = 9, .w = 11, .c = 40, .k = 40, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1, .groups = 5},
    {.n = 1, .h = 15, .w = 13, .c = 20, .k = 20, .r = 3, .s = 3, .stride_h = 2, .stride_w = 2, .pad_h = 1, .pad_w = 1, .groups = 5},
    {.n = 3, .h = 8, .w = 20, .c = 24, .k = 24, .r = 3, .s = 3, .stride_h = 2, .stride_w = 2, .pad_h = 1, .pad_w = 1, .groups = 3},
    {.n = 1, .h = 6, .w = 5, .c = 16, .k = 16, .r = 1, .s = 1, .groups = 2},
    {.n = 1, .h = 9, .w = 8, .c = 28, .k = 28, .r = 5, .s = 4, .stride_h = 1, .stride_w = 3, .pad_h = 2, .pad_w = 1, .groups = 7},
    {.n = 2, .h = 7, .w = 9, .c = 16, .k = 16, .r = 3, .s = 3, .pad_h = 2, .pad_w = 3, .dilation_h = 2, .dilation_w = 3, .groups = 2},
    {.n = 1, .h = 5, .w = 6, .c = 16, .k = 16, .r = 2, .s = 2, .stride_h = 3, .stride_w = 2, .groups = 4},   // gaps
    {.n = 1, .h = 3, .w = 700, .c = 72, .k = 72, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1, .groups = 9},
    {.n = 0, .h = 5, .w = 5, .c = 16, .k = 16, .r = 3, .s = 3, .groups = 4},
    // Those are not: channel multipliers, few channels, and a reach that no line buffer holds.
    {.n = 1, .h = 5, .w = 4, .c = 16, .k = 32, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1, .groups = 4},
    {.n = 1, .h = 5, .w = 4, .c = 8, .k = 8, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1, .groups = 2},
    {.n = 1, .h = 6, .w = 7, .c = 9, .k = 18, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1, .groups = 9},
    {.n = 1, .h = 130, .w = 130, .c = 2, .k = 2, .r = 2, .s = 2, .dilation_h = 110, .dilation_w = 110, .groups = 2},
};
constexpr std::size_t kFirstInLanes = 30, kLastInLanes = 56;
/// Those that Reference's seven loops do in milliseconds.
bool small(const Conv2dShape& s) { return s.rows() * s.taps() * s.k < 3'000'000; }

template <class T> using Case = ConvCase<T>;

template <class T> std::vector<T> forward(const Case<T>& c, const Conv2dShape& s, const Prologue<T>& p = {}, const Epilogue<T>& e = {}) {
  std::vector<T> y = c.dy;   // something to accumulate on, or to overwrite
  Workspace ws(conv2d_workspace_bytes<T>(Cpu{}, s, ConvProduct::forward));
  conv2d_forward(Cpu{}, c.x.data(), c.w.data(), y.data(), s, p, e, ws.data());
  EXPECT_TRUE(ws.intact()) << name(s);
  return y;
}
template <class T> std::vector<T> input_gradient(const Case<T>& c, const Conv2dShape& s, bool accumulate = false) {
  std::vector<T> dx = c.dx0;
  Workspace ws(conv2d_workspace_bytes<T>(Cpu{}, s, ConvProduct::input_gradient));
  conv2d_input_gradient(Cpu{}, c.dy.data(), c.w.data(), dx.data(), s, accumulate, ws.data());
  EXPECT_TRUE(ws.intact()) << name(s);
  return dx;
}
template <class T>
std::vector<float> weight_gradient(const Case<T>& c, const Conv2dShape& s, const Prologue<T>& p = {}, bool accumulate = false) {
  std::vector<float> dw = c.dw0;
  Workspace ws(conv2d_workspace_bytes<T>(Cpu{}, s, ConvProduct::weight_gradient));
  conv2d_weight_gradient(Cpu{}, c.x.data(), c.dy.data(), dw.data(), s, p, accumulate, ws.data());
  EXPECT_TRUE(ws.intact()) << name(s);
  return dw;
}

/// Bound on the error of a sum of n products of numbers in [-1, 1], after an affine prologue (factor 2).
double bound(int64_t n) { return 4 * double(n + 4) * 0x1p-24 * 2 * double(n + 2); }

template <class T> void check_all() {
  for (const Conv2dShape& s : kShapes)
    for (const Fusion f : {Fusion{}, {.prologue = true}, {.epilogue = true}, {.prologue = true, .accumulate = true}}) {
      if (f.epilogue && !small(s)) continue;
      const Case<T> c(s);
      const ConvProducts want = conv2d_reference(c, s, f);
      Epilogue<T> e{.accumulate = f.accumulate};
      if (f.epilogue) e = {.scale = c.scale.data(), .shift = c.shift.data(), .residual = c.residual.data(), .activation = Activation::relu};
      const Prologue<T> p = f.prologue ? c.prologue() : Prologue<T>{};
      for (Isa i : all_isas()) {
        if (i == Isa::baseline && !small(s)) continue;
        const WithIsa with(i);
        const std::string what = name(s) + (f.prologue ? " prologue" : "") + (f.epilogue ? " epilogue" : "") +
                                 (f.accumulate ? " accumulate" : "") + ' ' + isa_name(i);
        ASSERT_LE(worst_excess(forward(c, s, p, e), want.y, bound(s.taps())), 0) << "forward " << what;
        ASSERT_LE(worst_excess(weight_gradient(c, s, p, f.accumulate), want.dw, bound(s.rows())), 0) << "weight gradient " << what;
        ASSERT_LE(worst_excess(input_gradient(c, s, f.accumulate), want.dx, bound(s.r * s.s * s.k / s.groups)), 0)
            << "input gradient " << what;
      }
    }
}
TEST(Conv2d, FollowsTheDefinition) { check_all<float>(); }
TEST(Conv2d, FollowsTheDefinitionBf16) { check_all<bfloat16>(); }

TEST(Conv2d, WhichAreComputedInLanes) {
  for (std::size_t i = 0; i < kShapes.size(); ++i)
    EXPECT_EQ(in_lanes(kShapes[i]), i == 12 || (i >= kFirstInLanes && i <= kLastInLanes)) << i << ' ' << name(kShapes[i]);
}

TEST(Conv2d, SmallIntegersAreExact) {
  for (const Conv2dShape& s : kShapes) {
    if (!small(s)) continue;
    const Case<float> c(s, true);
    const ConvProducts want = conv2d_reference(c, s, {});
    for (Isa i : all_isas()) {
      const WithIsa with(i);
      EXPECT_EQ(first_difference(forward(c, s), converted<float>(want.y)), -1) << name(s) << ' ' << isa_name(i);
      EXPECT_EQ(first_difference(input_gradient(c, s), converted<float>(want.dx)), -1) << name(s) << ' ' << isa_name(i);
      EXPECT_EQ(first_difference(weight_gradient(c, s), converted<float>(want.dw)), -1) << name(s) << ' ' << isa_name(i);
    }
  }
}

TEST(Conv2d, ForwardIsOneChainOverTaps) {
  for (Isa i : fused_isas()) {
    const WithIsa with(i);
    for (const Conv2dShape& s : kShapes) {
      const Case<float> c(s);
      const auto y = forward(c, s);
      const int64_t cg = s.c / s.groups, kg = s.k / s.groups;
      int64_t wrong = 0;
      for (int64_t at = 0; at < size_y(s); ++at) {
        const int64_t k = at % s.k, q = at / s.k % s.q(), p = at / (s.k * s.q()) % s.p(), n = at / (s.k * s.q() * s.p());
        float sum = 0;
        for (int64_t r = 0; r < s.r; ++r)
          for (int64_t t = 0; t < s.s; ++t)
            for (int64_t ch = 0; ch < cg; ++ch) {
              const int64_t h = p * s.stride_h - s.pad_h + r * s.dilation_h, w = q * s.stride_w - s.pad_w + t * s.dilation_w;
              const bool inside = h >= 0 && h < s.h && w >= 0 && w < s.w;
              const float x = inside ? c.x[((n * s.h + h) * s.w + w) * s.c + k / kg * cg + ch] : 0.f;
              sum = std::fma(x, c.w[((k * s.r + r) * s.s + t) * cg + ch], sum);
            }
        wrong += sum != y[at];
      }
      EXPECT_EQ(wrong, 0) << name(s);
    }
  }
}

/// In registers or in memory, what a convolution does to its sums last has the bits of the operation of that name: dense, grouped, in lanes.
TEST(Conv2d, ActivationsAreThoseOfTheOperation) {
  for (Isa i : all_isas()) {
    const WithIsa with(i);
    for (const Conv2dShape& s : {Conv2dShape{.n = 2, .h = 9, .w = 7, .c = 5, .k = 70, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1},
                                 {.n = 3, .h = 9, .w = 9, .c = 24, .k = 36, .r = 3, .s = 3, .groups = 2},
                                 {.n = 1, .h = 8, .w = 9, .c = 24, .k = 24, .r = 3, .s = 3, .groups = 6},
                                 {.n = 2, .h = 9, .w = 7, .c = 21, .k = 21, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1, .groups = 21}})
      for (const Activation activation : kActivations) {
        const Case<float> c(s);
        auto want = forward(c, s, {}, {.scale = c.scale.data(), .residual = c.residual.data()});
        activation_forward(Cpu{}, activation, want.data(), want.data(), size_y(s));
        const auto y = forward(c, s, {}, {.scale = c.scale.data(), .residual = c.residual.data(), .activation = activation});
        EXPECT_EQ(first_difference(y, want), -1) << name(s) << " activation " << int(activation) << ' ' << isa_name(i);
      }
  }
}

TEST(Conv2d, BitsAreTheSameForEveryThreadCountAndInstructionSet) {
  for (const Conv2dShape& s : kShapes) {
    const Case<float> c(s);
    std::vector<float> partials0;
    const auto everything = [&] {
      std::vector<float> all(static_cast<std::size_t>(2 * stat_tiles(s.rows()) * s.k), -1.f);
      const auto y = forward(c, s, c.prologue(), {.scale = c.scale.data(), .partials = all.data()});
      const auto dx = input_gradient(c, s, true), dw = weight_gradient(c, s, c.prologue());
      all.insert(all.end(), y.begin(), y.end());
      all.insert(all.end(), dx.begin(), dx.end());
      all.insert(all.end(), dw.begin(), dw.end());
      return all;
    };
    const auto first = everything();
    for (int n : {1, 2, 3, 7}) {
      const WithThreads with(n);
      EXPECT_EQ(first_difference(everything(), first), -1) << n << " threads, " << name(s);
    }
    if (!isa_available(Isa::avx512)) continue;
    const WithIsa other(Isa::avx2);
    EXPECT_EQ(first_difference(everything(), first), -1) << name(s);
  }
  if (!isa_available(Isa::avx512)) GTEST_SKIP() << "this CPU has no AVX-512 to compare AVX2 with";
}

TEST(Conv2d, PartialsAreThoseOfTheRoundedOutput) {
  for (Isa i : all_isas()) {
    const WithIsa with(i);
    for (const Conv2dShape& s : kShapes) {
      if (!small(s)) continue;
      const Case<bfloat16> c(s);
      std::vector<float> partials(static_cast<std::size_t>(2 * stat_tiles(s.rows()) * s.k), -1.f);
      const auto y = forward(c, s, {}, {.partials = partials.data()});
      for (int64_t tile = 0; tile < stat_tiles(s.rows()); ++tile)
        for (int64_t k = 0; k < s.k; ++k) {
          const int64_t first = tile * kStatRows, last = std::min(s.rows(), first + kStatRows);
          double mean = 0, m2 = 0;
          for (int64_t m = first; m < last; ++m) mean += double(float(y[m * s.k + k])) / double(last - first);
          for (int64_t m = first; m < last; ++m) m2 += std::pow(float(y[m * s.k + k]) - mean, 2);
          // 96 roundings of 2^-24, on values of at most sum |x w| <= taps
          EXPECT_NEAR(partials[2 * tile * s.k + k], mean, 1e-5 * double(s.taps())) << name(s);
          EXPECT_NEAR(partials[(2 * tile + 1) * s.k + k], m2, 1e-5 * (m2 + double(s.taps()))) << name(s);
        }
    }
  }
}

TEST(Conv2d, ReferencePartialsAreMeanAndSquares) {   // by hand: y = 1, 2, 3 -> mean 2, M2 2
  const std::vector<double> x{1, 2, 3}, w{1};
  std::vector<double> y(3), partials(2);
  conv2d_forward(Reference{}, x.data(), w.data(), y.data(), {.n = 1, .h = 1, .w = 3, .c = 1, .k = 1, .r = 1, .s = 1}, Prologue<double>{},
                 Epilogue<double>{.partials = partials.data()}, nullptr);
  EXPECT_EQ(partials, (std::vector<double>{2, 2}));
}

TEST(Conv2d, ResidualMayBeTheOutput) {
  const Conv2dShape s = kShapes[2];
  const Case<float> c(s);
  std::vector<float> y = c.residual;
  Workspace ws(conv2d_workspace_bytes<float>(Cpu{}, s, ConvProduct::forward));
  conv2d_forward(Cpu{}, c.x.data(), c.w.data(), y.data(), s, Prologue<float>{}, Epilogue<float>{.residual = y.data()}, ws.data());
  EXPECT_EQ(first_difference(y, forward(c, s, {}, {.residual = c.residual.data()})), -1);
}

// The output bytes of fixed shapes with fixed inputs, so that machines check each other.
TEST(Conv2d, StoredHashes) {
  struct Stored {
    std::size_t shape;
    std::uint64_t forward, input_gradient, weight_gradient, forward_bf16;
  };
  const Stored stored[] = {
      {2, 5461710500195085052u, 8482668835157019927u, 6751211263619513127u, 10921926613901523612u},
      {4, 17870997856811115908u, 8348431552717881305u, 611070641599044992u, 153212945836447491u},
      {11, 10810338831434560878u, 2212311295589402821u, 11523090074205876501u, 14121103593323558041u},
      {14, 12036915259667423109u, 14071284634650723845u, 14236816994066528275u, 11555319556392918399u},
      {21, 6305849557987925777u, 9774050835478622543u, 1823699612852574056u, 16226620164835533832u},
      {31, 9116362400730039684u, 13513501822232671230u, 1755682978543463081u, 11349983969315436143u},
      {34, 5275432228956203137u, 666768374166183718u, 16955024040076524409u, 9047329111939031432u},
  };
  for (Isa i : fused_isas()) {
    const WithIsa with(i);
    for (const Stored& h : stored) {
      const Conv2dShape& s = kShapes[h.shape];
      const Case<float> c(s);
      const Case<bfloat16> half(s);
      EXPECT_EQ(hash(forward(c, s, c.prologue())), h.forward) << name(s);
      EXPECT_EQ(hash(input_gradient(c, s)), h.input_gradient) << name(s);
      EXPECT_EQ(hash(weight_gradient(c, s, c.prologue())), h.weight_gradient) << name(s);
      EXPECT_EQ(hash(forward(half, s, half.prologue())), h.forward_bf16) << name(s);
    }
  }
  if (!isa_available(Isa::avx512)) GTEST_SKIP() << "AVX-512 not checked: this CPU lacks it";
}

}   // namespace
}   // namespace fovea::kernels
