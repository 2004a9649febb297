// test_softplus.cpp: Cpu against Reference, in place, accumulated, at the edges; the same bits everywhere.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/softplus.h"
#include "tests/kernels/variants.h"

namespace fovea::kernels {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity(), kNaN = std::numeric_limits<float>::quiet_NaN();

template <class T> class Softplus : public testing::Test {};
using Types = testing::Types<float, bfloat16>;
TYPED_TEST_SUITE(Softplus, Types);

// exp, log1p, a sum and a quotient, each within 2 or 3 ulp, joined with positive terms: 8 ulp, then the rounding to T. Below
// 2^-126, results are denormal, which means 0 on the pool.
TYPED_TEST(Softplus, CpuMatchesReference) {
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

TYPED_TEST(Softplus, SameBits) {
  using T = TypeParam;
  const std::int64_t n = 50001;   // a task is 16384 elements
  const auto x = spread<T>(n, 6), dy = spread<T>(n, 7);
  expect_same_bits(std::is_same_v<T, float> ? 0x4b1a60e9339e901a : 0x9c81d39ad2ee0aac, [&] {
    std::vector<T> y(x.size()), dx = dy;
    softplus_forward(Cpu{}, x.data(), y.data(), n);
    softplus_backward(Cpu{}, x.data(), dy.data(), dx.data(), n, true);
    return hash_of(dx, hash_of(y));
  });
}

}   // namespace
}   // namespace fovea::kernels
