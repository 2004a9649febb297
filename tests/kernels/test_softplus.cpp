// test_elementwise.cpp: add, scale and softplus: Cpu against Reference, aliasing, accumulation, NaN.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/elementwise.h"
#include "kernels/softplus.h"
#include "tests/kernels/variants.h"

namespace fovea::kernels {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity(), kNaN = std::numeric_limits<float>::quiet_NaN();

template <class T> class Elementwise : public testing::Test {};
using Types = testing::Types<float, bfloat16>;
TYPED_TEST_SUITE(Elementwise, Types);

constexpr std::int64_t kSizes[] = {0, 1, 15, 16, 17, 1000, 16384, 16384 + 7, 50001};   // a task is 16384 elements

// add and scale round once in both backends, after exact or single float operations: u for the output, and for scale with
// accumulation one more float rounding of terms below 4.
TYPED_TEST(Elementwise, CpuMatchesReference) {
  using T = TypeParam;
  const double u = unit_roundoff<T>;
  on_every_isa([&] {
    for (std::int64_t n : kSizes) {
      const auto a = spread<T>(n, 1), b = spread<T>(n, 2);
      const auto fa = as<float>(a), fb = as<float>(b);
      std::vector<T> y(a.size());
      std::vector<float> want(a.size());
      add(Cpu{}, a.data(), b.data(), y.data(), n);
      add(Reference{}, fa.data(), fb.data(), want.data(), n);
      expect_close(y, want, u, 0, "add");
      scale(Cpu{}, a.data(), 1.7f, y.data(), n, false);
      scale(Reference{}, fa.data(), 1.7f, want.data(), n, false);
      expect_close(y, want, 2 * u, 0, "scale");
      y = b, want = fb;
      scale(Cpu{}, a.data(), 1.7f, y.data(), n, true);
      scale(Reference{}, fa.data(), 1.7f, want.data(), n, true);
      expect_close(y, want, u, 4 * 0x1p-24, "scale, accumulated");
    }
  });
}

TYPED_TEST(Elementwise, OutputMayBeAnInput) {
  using T = TypeParam;
  const std::int64_t n = 20001;
  const auto a = spread<T>(n, 3), b = spread<T>(n, 4);
  std::vector<T> apart(a.size()), in_place;
  add(Cpu{}, a.data(), b.data(), apart.data(), n);
  for (bool first : {true, false}) {
    in_place = first ? a : b;
    add(Cpu{}, first ? in_place.data() : a.data(), first ? b.data() : in_place.data(), in_place.data(), n);
    EXPECT_EQ(hash_of(in_place), hash_of(apart));
  }
}

// exp, log1p, a sum and a quotient, each within 2 or 3 ulp, joined with positive terms: 8 ulp, then the rounding to T. Below
// 2^-126, results are denormal, which means 0 on the pool.
TYPED_TEST(Elementwise, SoftplusMatchesReference) {
  using T = TypeParam;
  std::vector<T> x;
  for (float v = -120; v < 120; v += 0.0371f) x.push_back(T(v));
  for (float v : {0.f, -0.f, kInf, -kInf, kNaN, 1e30f, -1e30f, 88.8f, -88.8f}) x.push_back(T(v));
  const auto n = std::int64_t(x.size());
  const auto dy = spread<T>(n, 5);
  const auto fx = as<float>(x), fdy = as<float>(dy);
  std::vector<float> y_want(x.size()), dx_want = fdy;
  softplus_forward(Reference{}, fx.data(), y_want.data(), n);
  softplus_backward(Reference{}, fx.data(), fdy.data(), dx_want.data(), n, true);
  on_every_isa([&] {
    std::vector<T> y = x, dx = dy;   // in place, and accumulated
    softplus_forward(Cpu{}, y.data(), y.data(), n);
    softplus_backward(Cpu{}, x.data(), dy.data(), dx.data(), n, true);
    expect_close(y, y_want, unit_roundoff<T> + 8 * 0x1p-23, 0x1p-126, "softplus");
    expect_close(dx, dx_want, unit_roundoff<T>, 8 * 0x1p-23, "softplus gradient");
  });
}

TEST(SoftplusReference, GradientMatchesCentralDifferences) {
  for (double x : {-30., -2., -1e-3, 0., 1e-3, 0.7, 5., 40.}) {
    const double h = 1e-5, dy = 1.3;
    const double around[2] = {x - h, x + h};
    double y[2], dx = 0;
    softplus_forward(Reference{}, around, y, 2);
    softplus_backward(Reference{}, &x, &dy, &dx, 1, false);
    EXPECT_NEAR(dx, dy * (y[1] - y[0]) / (2 * h), 1e-9);
  }
  double zero = 0, y = 0;
  softplus_forward(Reference{}, &zero, &y, 1);
  EXPECT_DOUBLE_EQ(y, std::log(2.));
}

TYPED_TEST(Elementwise, SameBits) {
  using T = TypeParam;
  const std::int64_t n = 50001;
  const auto a = spread<T>(n, 6), b = spread<T>(n, 7);
  expect_same_bits(std::is_same_v<T, float> ? 0x956cf7b118290e1 : 0xfdcc538d54fbd306, [&] {
    std::vector<T> y(a.size()), soft(a.size()), dx = a;
    add(Cpu{}, a.data(), b.data(), y.data(), n);
    scale(Cpu{}, b.data(), 0.3f, y.data(), n, true);
    softplus_forward(Cpu{}, y.data(), soft.data(), n);
    softplus_backward(Cpu{}, y.data(), b.data(), dx.data(), n, true);
    return hash_of(dx, hash_of(soft, hash_of(y)));
  });
}

}   // namespace
}   // namespace fovea::kernels
