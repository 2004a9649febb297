// test_layer_norm.cpp: by hand, Cpu against Reference, a mean a thousand times the deviation, aliasing, and what nobody wants.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "kernels/layer_norm.h"
#include "tests/kernels/variants.h"

namespace fovea::kernels {
namespace {

template <class T> class LayerNorm : public testing::Test {};
using Types = testing::Types<float, bfloat16>;
TYPED_TEST_SUITE(LayerNorm, Types);

constexpr RowShape kShapes[] = {{0, 5}, {1, 1}, {3, 2}, {700, 3}, {5, 16}, {70, 17}, {200, 33}, {67, 96}, {130, 257}, {9, 1031}};
constexpr double kEps = 1e-5;

/// Everything that one pass forward and one backward read and write. Gradients start as other numbers, for accumulation.
template <class T> struct Case {
  RowShape s;
  std::vector<T> x, dy, y, dx;
  std::vector<acc_t<T>> gamma, beta, mean, inv_std, dgamma, dbeta;

  Case(RowShape shape, double centre)
      : s(shape),
        x(spread<T>(s.rows * s.cols, 51, centre)),
        dy(spread<T>(s.rows * s.cols, 52)),
        y(x.size()),
        dx(spread<T>(s.rows * s.cols, 53)),
        gamma(spread<acc_t<T>>(s.cols, 54, 1.2)),
        beta(spread<acc_t<T>>(s.cols, 55)),
        mean(std::size_t(s.rows)),
        inv_std(std::size_t(s.rows)),
        dgamma(spread<acc_t<T>>(s.cols, 56)),
        dbeta(spread<acc_t<T>>(s.cols, 57)) {}

  LayerNormGradient<T> arguments(bool affine = true, bool accumulate = false) {
    return {.x = x.data(),
            .dy = dy.data(),
            .gamma = affine ? gamma.data() : nullptr,
            .mean = mean.data(),
            .inv_std = inv_std.data(),
            .dx = dx.data(),
            .accumulate_dx = accumulate,
            .dgamma = affine ? dgamma.data() : nullptr,
            .dbeta = affine ? dbeta.data() : nullptr,
            .accumulate_dgamma = accumulate,
            .accumulate_dbeta = accumulate};
  }
  template <class Backend> void forward(Backend be, bool affine = true) {
    layer_norm_forward(be, x.data(), affine ? gamma.data() : nullptr, affine ? beta.data() : nullptr, kEps, y.data(), mean.data(),
                       inv_std.data(), s);
  }
  template <class Backend> void backward(Backend be, const LayerNormGradient<T>& a) {
    std::vector<unsigned char> workspace(layer_norm_workspace_bytes<T>(be, s));
    layer_norm_backward(be, a, s, workspace.data());
  }
};

/// The same numbers in float, on which Reference works.
template <class T> Case<float> widened(const Case<T>& c) {
  Case<float> w(c.s, 0);
  w.x = as<float>(c.x), w.dy = as<float>(c.dy), w.dx = as<float>(c.dx);
  w.mean = c.mean, w.inv_std = c.inv_std;
  return w;
}

TEST(LayerNormReference, ByHand) {
  Case<double> c({1, 3}, 0);
  c.x = {1, 2, 6}, c.dy = {1, 0, 0}, c.gamma = {2, 1, 1}, c.beta = {0, 0, 5};
  c.forward(Reference{});
  const double inv_std = 1 / std::sqrt(14. / 3 + kEps);   // mean 3, squares 4 + 1 + 9
  EXPECT_DOUBLE_EQ(c.mean[0], 3);
  EXPECT_DOUBLE_EQ(c.inv_std[0], inv_std);
  EXPECT_DOUBLE_EQ(c.y[0], 2 * -2 * inv_std);
  EXPECT_DOUBLE_EQ(c.y[2], 3 * inv_std + 5);
  c.backward(Reference{}, c.arguments());
  EXPECT_DOUBLE_EQ(c.dgamma[0], -2 * inv_std);
  EXPECT_DOUBLE_EQ(c.dbeta[0], 1);
  EXPECT_EQ(c.dbeta[1], 0);
  const double mean_gx = 2 * -2 * inv_std / 3;   // g = (2, 0, 0)
  EXPECT_NEAR(c.dx[0], inv_std * (2 - 2. / 3 - -2 * inv_std * mean_gx), 1e-15);
  EXPECT_NEAR(c.dx[2], inv_std * (0 - 2. / 3 - 3 * inv_std * mean_gx), 1e-15);
}

// |y| <= 2.2 * 4 + 2; sums of up to 1031 terms in 16 lanes, chains of 65: errors of about 10 u of their terms. A row of two or three values
// may have hardly any variance: then inv_std, up to 316, stretches the roundings of x - mean.
TYPED_TEST(LayerNorm, ForwardMatchesReference) {
  using T = TypeParam;
  on_every_isa([&] {
    for (RowShape s : kShapes)
      for (double centre : {0., 577.})   // a thousand deviations of a uniform [-1, 1)
        for (bool affine : {true, false}) {
          SCOPED_TRACE(std::to_string(s.rows) + " x " + std::to_string(s.cols) + " around " + std::to_string(centre));
          Case<T> c(s, centre);
          auto w = widened(c);
          c.forward(Cpu{}, affine);
          w.forward(Reference{}, affine);
          const double ill = s.cols < 4 ? 100 : 1;
          expect_close(c.mean, w.mean, 2 * 0x1p-24, 1e-7, "mean");
          expect_close(c.inv_std, w.inv_std, ill * 2e-6, 0, "inv_std");
          expect_close(c.y, w.y, unit_roundoff<T> + ill * 2e-6, ill * 2e-6, "y");
          auto in_place = c.x;
          layer_norm_forward<T>(Cpu{}, in_place.data(), affine ? c.gamma.data() : nullptr, affine ? c.beta.data() : nullptr, kEps,
                                in_place.data(), nullptr, nullptr, s);
          EXPECT_EQ(hash_of(in_place), hash_of(c.y));
        }
  });
}

TEST(LayerNormCpu, SurvivesALargeMean) {
  Case<float> c({3, 1000}, 0);
  for (std::size_t i = 0; i < c.x.size(); ++i) c.x[i] = 1000.f + (i % 2 ? 1.f : -1.f);   // variance 1, exactly
  on_every_isa([&] {
    c.forward(Cpu{}, false);
    EXPECT_EQ(c.mean[1], 1000.f);
    for (std::size_t i = 0; i < c.x.size(); ++i) EXPECT_NEAR(c.y[i], i % 2 ? 1 : -1, 6e-6);   // eps takes 5e-6
  });
}

TYPED_TEST(LayerNorm, BackwardMatchesReference) {
  using T = TypeParam;
  on_every_isa([&] {
    for (RowShape s : kShapes) {
      if (s.cols < 4) continue;   // hardly any variance in some rows: see above
      for (bool affine : {true, false})
        for (bool accumulate : {false, true}) {
          SCOPED_TRACE(std::to_string(s.rows) + " x " + std::to_string(s.cols));
          Case<T> c(s, 0.5);
          c.forward(Cpu{}, affine);
          auto w = widened(c);
          c.backward(Cpu{}, c.arguments(affine, accumulate));
          w.backward(Reference{}, w.arguments(affine, accumulate));
          expect_close(c.dx, w.dx, unit_roundoff<T>, 2e-5, "dx");   // |inv_std g| < 10: a dozen roundings
          const double sums = 32 * 0x1p-24 * double(s.rows + 1);
          expect_close(c.dgamma, w.dgamma, 0x1p-22, 4 * sums, "dgamma");
          expect_close(c.dbeta, w.dbeta, 0x1p-22, sums, "dbeta");
        }
    }
  });
}

TYPED_TEST(LayerNorm, BackwardMayOverwriteItsInputGradientAndLeavesOutWhatNobodyWants) {
  using T = TypeParam;
  const RowShape s{150, 37};
  Case<T> all(s, 0);
  all.forward(Cpu{});
  all.backward(Cpu{}, all.arguments());
  for (int wanted = 0; wanted < 8; ++wanted) {
    Case<T> c(s, 0);
    c.forward(Cpu{});
    const auto untouched = c;
    auto a = c.arguments();
    a.dx = wanted & 1 ? c.dy.data() : nullptr;
    if (!(wanted & 2)) a.dgamma = nullptr;
    if (!(wanted & 4)) a.dbeta = nullptr;
    c.backward(Cpu{}, a);
    EXPECT_EQ(hash_of(c.dy), hash_of(wanted & 1 ? all.dx : untouched.dy)) << wanted;
    EXPECT_EQ(hash_of(c.dgamma), hash_of(wanted & 2 ? all.dgamma : untouched.dgamma)) << wanted;
    EXPECT_EQ(hash_of(c.dbeta), hash_of(wanted & 4 ? all.dbeta : untouched.dbeta)) << wanted;
  }
}

TYPED_TEST(LayerNorm, NaNStaysInItsRow) {
  using T = TypeParam;
  Case<T> c({3, 20}, 0);
  c.x[25] = T(std::numeric_limits<float>::quiet_NaN());
  on_every_isa([&] {
    c.forward(Cpu{});
    for (std::size_t i = 0; i < 60; ++i) EXPECT_EQ(std::isnan(float(c.y[i])), i / 20 == 1) << i;
  });
}

TYPED_TEST(LayerNorm, SameBits) {
  using T = TypeParam;
  expect_same_bits(std::is_same_v<T, float> ? 0x212e2eeef5a02369 : 0x3e30ddd7f01f9159, [&] {
    Case<T> c({700, 147}, 0.5);
    c.forward(Cpu{});
    c.backward(Cpu{}, c.arguments(true, true));
    return hash_of(c.dbeta, hash_of(c.dgamma, hash_of(c.dx, hash_of(c.y, hash_of(c.inv_std, hash_of(c.mean))))));
  });
}

}   // namespace
}   // namespace fovea::kernels
