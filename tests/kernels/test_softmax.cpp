// test_softmax.cpp: softmax and its logarithm: by hand, Cpu against Reference, gradients against central differences, extreme entries.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "kernels/softmax.h"
#include "tests/kernels/variants.h"

namespace fovea::kernels {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity(), kNaN = std::numeric_limits<float>::quiet_NaN();

template <class T> class Softmax : public testing::Test {};
using Types = testing::Types<float, bfloat16>;
TYPED_TEST_SUITE(Softmax, Types);

constexpr RowShape kShapes[] = {{0, 3}, {1, 1}, {3, 2}, {128, 10}, {5, 16}, {7, 17}, {9, 33}, {11, 1000}, {2, 20001}};

/// Entries over +-16.
template <class T> std::vector<T> logits(RowShape s, std::uint64_t seed) {
  auto x = spread<T>(s.rows * s.cols, seed);
  for (T& v : x) v = T(float(v) * 16);
  return x;
}

TEST(SoftmaxReference, ByHand) {
  const std::vector<double> x{std::log(1.), std::log(3.), std::log(4.)};   // softmax: 1/8, 3/8, 1/2
  const std::vector<double> dy{1, 2, 4};                                   // <dy, y> = 1/8 + 6/8 + 2 = 23/8
  std::vector<double> y(3), dx(3);
  softmax_forward(Reference{}, x.data(), y.data(), {1, 3});
  EXPECT_NEAR(y[0], 1. / 8, 1e-15);
  EXPECT_NEAR(y[1], 3. / 8, 1e-15);
  softmax_backward(Reference{}, y.data(), dy.data(), dx.data(), {1, 3}, false);
  EXPECT_NEAR(dx[0], 1. / 8 * (1 - 23. / 8), 1e-15);
  EXPECT_NEAR(dx[2], 1. / 2 * (4 - 23. / 8), 1e-15);
  log_softmax_forward(Reference{}, x.data(), y.data(), {1, 3});
  EXPECT_NEAR(y[1], std::log(3. / 8), 1e-15);
  log_softmax_backward(Reference{}, y.data(), dy.data(), dx.data(), {1, 3}, false);
  EXPECT_NEAR(dx[0], 1 - 7. / 8, 1e-15);
  EXPECT_NEAR(dx[2], 4 - 7. / 2, 1e-15);
}

// exp is within 2 ulp; a sum of up to 20001 positive terms in 16 lanes: 1e-6 is 8 float ulp of a probability near 1. Logarithms are as large
// as 40, where a float has an ulp of 4e-6. A row's dot product or sum in the backward pass has errors of 1e-6 of its terms.
TYPED_TEST(Softmax, CpuMatchesReference) {
  using T = TypeParam;
  on_every_isa([&] {
    for (RowShape s : kShapes) {
      SCOPED_TRACE(std::to_string(s.rows) + " x " + std::to_string(s.cols));
      const auto x = logits<T>(s, 31), dy = spread<T>(s.rows * s.cols, 32);
      const auto fx = as<float>(x), fdy = as<float>(dy);
      for (bool logarithm : {false, true}) {
        const auto forward = [&](auto be, auto in, auto out) {
          logarithm ? log_softmax_forward(be, in, out, s) : softmax_forward(be, in, out, s);
        };
        const auto backward = [&](auto be, auto y, auto g, auto out, bool accumulate) {
          logarithm ? log_softmax_backward(be, y, g, out, s, accumulate) : softmax_backward(be, y, g, out, s, accumulate);
        };
        std::vector<T> y(x.size()), in_place = x;
        std::vector<float> want(x.size());
        forward(Cpu{}, x.data(), y.data());
        forward(Reference{}, fx.data(), want.data());
        expect_close(y, want, unit_roundoff<T> + 1e-6, logarithm ? 8e-6 : 0x1p-126, "y");
        forward(Cpu{}, in_place.data(), in_place.data());
        EXPECT_EQ(hash_of(in_place), hash_of(y));
        const auto fy = as<float>(y);
        for (bool accumulate : {false, true}) {
          auto dx = spread<T>(s.rows * s.cols, 33);
          auto dx_want = as<float>(dx);
          backward(Cpu{}, y.data(), dy.data(), dx.data(), accumulate);
          backward(Reference{}, fy.data(), fdy.data(), dx_want.data(), accumulate);
          expect_close(dx, dx_want, unit_roundoff<T>, logarithm ? 1e-4 : 1e-6, "dx");   // log: p up to 1 times a sum of 20001 terms
          if (accumulate) continue;
          auto over_dy = dy;
          backward(Cpu{}, y.data(), over_dy.data(), over_dy.data(), false);
          EXPECT_EQ(hash_of(over_dy), hash_of(dx));
        }
      }
    }
  });
}

TYPED_TEST(Softmax, ExtremeEntries) {
  using T = TypeParam;
  on_every_isa([&] {
    const RowShape s{5, 3};
    const std::vector<T> x{T(1e30f), T(0.f),   T(-1e30f),   // far apart
                           T(-kInf), T(1.f),   T(1.f),      // one entry masked
                           T(-kInf), T(-kInf), T(-kInf),    // nothing left
                           T(1.f),   T(kNaN),  T(2.f),      //
                           T(1.f),   T(kInf),  T(2.f)};
    std::vector<T> y(x.size()), dx(x.size());
    softmax_forward(Cpu{}, x.data(), y.data(), s);
    const std::vector<float> p{1, 0, 0, 0, 0.5f, 0.5f, kNaN, kNaN, kNaN, kNaN, kNaN, kNaN};
    expect_close(std::vector<T>(y.begin(), y.begin() + 12), p, unit_roundoff<T>, 0);
    EXPECT_TRUE(std::isnan(float(y[13])));
    log_softmax_forward(Cpu{}, x.data(), y.data(), s);
    const std::vector<float> log_p{0, -1e30f, -2e30f, -kInf, -std::log(2.f), -std::log(2.f), kNaN, kNaN, kNaN, kNaN, kNaN, kNaN};
    expect_close(std::vector<T>(y.begin(), y.begin() + 12), log_p, 4 * unit_roundoff<T>, 0);
    EXPECT_TRUE(std::isnan(float(y[13])));
    const std::vector<T> dy(x.size(), T(1.f));
    log_softmax_backward(Cpu{}, y.data(), dy.data(), dx.data(), s, false);
    EXPECT_EQ(float(dx[3]), 1.f);   // exp(-inf) is 0: the masked entry's dy passes
  });
}

TYPED_TEST(Softmax, SameBits) {
  using T = TypeParam;
  const RowShape s{301, 107};
  const auto x = logits<T>(s, 36), dy = spread<T>(s.rows * s.cols, 37);
  expect_same_bits(std::is_same_v<T, float> ? 0xac7d47d38fb5aef4 : 0x17596a2456c12c4f, [&] {
    std::vector<T> y(x.size()), log_y(x.size()), dx = x;
    softmax_forward(Cpu{}, x.data(), y.data(), s);
    log_softmax_forward(Cpu{}, x.data(), log_y.data(), s);
    softmax_backward(Cpu{}, y.data(), dy.data(), dx.data(), s, true);
    log_softmax_backward(Cpu{}, log_y.data(), dy.data(), dx.data(), s, true);
    return hash_of(dx, hash_of(log_y, hash_of(y)));
  });
}

}   // namespace
}   // namespace fovea::kernels
