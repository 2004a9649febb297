// test_local_response_norm.cpp: by hand, Cpu against Reference at windows wider and narrower than the row, rows longer than a piece.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "kernels/local_response_norm.h"
#include "tests/kernels/variants.h"

namespace fovea::kernels {
namespace {

template <class T> class LocalResponseNorm : public testing::Test {};
using Types = testing::Types<float, bfloat16>;
TYPED_TEST_SUITE(LocalResponseNorm, Types);

// With alpha = size and beta = 1: y[c] = x[c] / (k + sum of squares). Size 2 reaches one channel down and none up.
TEST(LocalResponseNormReference, ByHand) {
  const std::vector<double> x{1, 2, 3};
  std::vector<double> y(3);
  local_response_norm_forward(Reference{}, x.data(), {.size = 3, .alpha = 3, .beta = 1, .k = 2}, y.data(), {1, 3});
  EXPECT_NEAR(y[0], 1. / 7, 1e-15);
  EXPECT_NEAR(y[1], 2. / 16, 1e-15);
  EXPECT_NEAR(y[2], 3. / 15, 1e-15);
  local_response_norm_forward(Reference{}, x.data(), {.size = 2, .alpha = 2, .beta = 1, .k = 2}, y.data(), {1, 3});
  EXPECT_NEAR(y[0], 1. / 3, 1e-15);
  EXPECT_NEAR(y[1], 2. / 7, 1e-15);
}

// The power is exp(-beta log d): some 4 ulp for d below 10; a window of up to 128 squares of float errors of either sign.
TYPED_TEST(LocalResponseNorm, CpuMatchesReference) {
  using T = TypeParam;
  on_every_isa([&] {
    for (RowShape s : {RowShape{0, 4}, {3, 1}, {4, 3}, {5, 16}, {7, 17}, {9, 33}, {50, 96}, {1, 1100}})
      for (LocalResponse o : {LocalResponse{.size = 5, .alpha = 0.5, .beta = 0.75, .k = 2}, LocalResponse{.size = 1, .alpha = 1},
                              LocalResponse{.size = 4, .alpha = 2, .beta = 0.5}, LocalResponse{.size = 128, .alpha = 3, .beta = 1.5}}) {
        SCOPED_TRACE(std::to_string(s.rows) + " x " + std::to_string(s.cols) + ", size " + std::to_string(o.size));
        auto x = spread<T>(s.rows * s.cols, 61), dy = spread<T>(s.rows * s.cols, 62);
        for (T& v : x) v = T(float(v) * 3);
        const auto fx = as<float>(x), fdy = as<float>(dy);
        std::vector<T> y(x.size());
        std::vector<float> want(x.size());
        local_response_norm_forward(Cpu{}, x.data(), o, y.data(), s);
        local_response_norm_forward(Reference{}, fx.data(), o, want.data(), s);
        expect_close(y, want, unit_roundoff<T> + 2e-6, 0, "y");
        for (bool accumulate : {false, true}) {
          auto dx = spread<T>(s.rows * s.cols, 63);
          auto dx_want = as<float>(dx);
          local_response_norm_backward(Cpu{}, x.data(), dy.data(), o, dx.data(), s, accumulate);
          local_response_norm_backward(Reference{}, fx.data(), fdy.data(), o, dx_want.data(), s, accumulate);
          expect_close(dx, dx_want, unit_roundoff<T>, 4e-6, "dx");
        }
      }
  });
}

TYPED_TEST(LocalResponseNorm, NaNReachesItsWindowOnly) {
  using T = TypeParam;
  std::vector<T> x(40, T(1.f)), y(40);
  x[20] = T(std::numeric_limits<float>::quiet_NaN());
  on_every_isa([&] {
    local_response_norm_forward(Cpu{}, x.data(), {.size = 5}, y.data(), {1, 40});
    for (std::size_t i = 0; i < 40; ++i) EXPECT_EQ(std::isnan(float(y[i])), i >= 18 && i <= 22) << i;
  });
}

TYPED_TEST(LocalResponseNorm, SameBits) {
  using T = TypeParam;
  const RowShape s{61, 600};
  const auto x = spread<T>(s.rows * s.cols, 64), dy = spread<T>(s.rows * s.cols, 65);
  expect_same_bits(std::is_same_v<T, float> ? 0xc580f85aa4b3184a : 0xd439602644372df6, [&] {
    std::vector<T> y(x.size()), dx = x;
    local_response_norm_forward(Cpu{}, x.data(), {.size = 5, .alpha = 0.5, .k = 2}, y.data(), s);
    local_response_norm_backward(Cpu{}, x.data(), dy.data(), {.size = 5, .alpha = 0.5, .k = 2}, dx.data(), s, true);
    return hash_of(dx, hash_of(y));
  });
}

}   // namespace
}   // namespace fovea::kernels
