// test_activation.cpp: every activation: Cpu against Reference, derivatives against differences, aliasing, accumulation, edges, bits.
#include "tests/kernels/activation_testing.h"

#include <cmath>

namespace fovea::kernels {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

template <class T> class Activations : public testing::Test {};
using Types = testing::Types<float, bfloat16>;
TYPED_TEST_SUITE(Activations, Types);

TYPED_TEST(Activations, CpuMatchesReference) {
  using T = TypeParam;
  const auto x = activation_points<T>(0.0173f, 0.00091f);
  const auto n = std::int64_t(x.size());
  on_every_isa([&] {
    check_activations(
        x,
        [&](Activation a, std::vector<T> y) {   // in place
          activation_forward(Cpu{}, a, y.data(), y.data(), n);
          return y;
        },
        [&](Activation a, const std::vector<T>& kept, std::vector<T> dy, const std::vector<T>* old) {
          if (!old) {   // dx may be dy
            activation_backward(Cpu{}, a, kept.data(), dy.data(), dy.data(), n, false);
            return dy;
          }
          std::vector<T> dx = *old;
          activation_backward(Cpu{}, a, kept.data(), dy.data(), dx.data(), n, true);
          return dx;
        });
  });
}

// A product at most.
TYPED_TEST(Activations, LeakyReluMatchesReference) {
  using T = TypeParam;
  const auto x = activation_points<T>(0.0173f, 0.00091f);
  const auto n = std::int64_t(x.size());
  const auto dy = spread<T>(n, 1), dx0 = spread<T>(n, 2);
  const auto fx = as<float>(x), fdy = as<float>(dy);
  on_every_isa([&] {
    for (const double slope : {0.01, 1., -0.5, 0.}) {
      std::vector<float> y_want(x.size()), dx_want = as<float>(dx0);
      leaky_relu_forward(Reference{}, slope, fx.data(), y_want.data(), n);
      leaky_relu_backward(Reference{}, slope, fx.data(), fdy.data(), dx_want.data(), n, true);
      std::vector<T> y(x.size()), dx = dx0;
      leaky_relu_forward(Cpu{}, slope, x.data(), y.data(), n);
      leaky_relu_backward(Cpu{}, slope, x.data(), dy.data(), dx.data(), n, true);
      expect_close(y, y_want, unit_roundoff<T> + 8 * 0x1p-23, 0, "leaky");
      expect_close(dx, dx_want, unit_roundoff<T> + 8 * 0x1p-23, 0x1p-21, "leaky gradient");
    }
  });
}

TYPED_TEST(Activations, LengthsAroundLanesAndTasks) {
  using T = TypeParam;
  on_every_isa([&] {
    for (const std::int64_t n : {0, 1, 15, 16, 17, 33, 16384, 16384 + 7}) {
      const auto x = spread<T>(n, 3), dy = spread<T>(n, 4);
      for (const Activation a : {Activation::relu, Activation::silu}) {
        std::vector<T> y(x.size() + 1, T(9.f)), dx(x.size() + 1, T(9.f));
        std::vector<float> want(x.size());
        activation_forward(Cpu{}, a, x.data(), y.data(), n);
        activation_backward(Cpu{}, a, x.data(), dy.data(), dx.data(), n, false);
        EXPECT_EQ(float(y.back()), 9.f);   // nothing is written past the end
        EXPECT_EQ(float(dx.back()), 9.f);
        y.pop_back();
        const auto fx = as<float>(x);
        activation_forward(Reference{}, a, fx.data(), want.data(), n);
        expect_close(y, want, unit_roundoff<T> + 8 * 0x1p-23, 0x1p-21);
      }
    }
  });
}

TYPED_TEST(Activations, ANaNStaysANaN) {
  using T = TypeParam;
  on_every_isa([&] {
    for (const Activation a : kActivations) {
      std::vector<T> y(37, T(kNaN));
      activation_forward(Cpu{}, a, y.data(), y.data(), 37);
      for (const T v : y) EXPECT_TRUE(std::isnan(float(v))) << int(a);
      double r = kNaN;
      activation_forward(Reference{}, a, &r, &r, 1);
      EXPECT_TRUE(std::isnan(r)) << int(a);
    }
  });
}

TEST(ActivationReference, GradientMatchesCentralDifferences) {
  for (const Activation a : kActivations)
    for (const double x : {-30., -4., -2.9, -1.3, -1e-3, 1e-3, 0.7, 2.9, 3.1, 5.9, 6.1, 40.}) {
      const double h = 1e-5, dy = 1.3, around[3] = {x - h, x + h, x};
      double y[3], dx = 0;
      activation_forward(Reference{}, a, around, y, 3);
      activation_backward(Reference{}, a, from_output(a) ? &y[2] : &x, &dy, &dx, 1, false);
      EXPECT_NEAR(dx, dy * (y[1] - y[0]) / (2 * h), 1e-8) << int(a) << " at " << x;
      EXPECT_NEAR(activate_gradient(a, x, dy), dx, 1e-12) << int(a) << " at " << x;   // the same from the input
    }
}

TEST(ActivationReference, ByHand) {
  const auto at = [](Activation a, double x) {
    activation_forward(Reference{}, a, &x, &x, 1);
    return x;
  };
  EXPECT_EQ(at(Activation::relu, -2), 0);
  EXPECT_EQ(at(Activation::relu, 7), 7);
  EXPECT_EQ(at(Activation::relu6, 7), 6);
  EXPECT_EQ(at(Activation::hard_sigmoid, 0), 0.5);
  EXPECT_EQ(at(Activation::hard_sigmoid, 3), 1);
  EXPECT_DOUBLE_EQ(at(Activation::hard_swish, 1), 4. / 6);
  EXPECT_DOUBLE_EQ(at(Activation::silu, 1), 1 / (1 + std::exp(-1.)));
  EXPECT_DOUBLE_EQ(at(Activation::gelu, 1), 0.84134474606854293);        // the normal distribution at 1
  EXPECT_NEAR(at(Activation::gelu_tanh, 1), 0.841191990607477, 1e-12);   // by PyTorch
  // A gradient at the bend is 0, but for the identity's half of leaky ReLU.
  const double zero = 0, six = 6, one = 1;
  double dx = 9;
  activation_backward(Reference{}, Activation::relu, &zero, &one, &dx, 1, false);
  EXPECT_EQ(dx, 0);
  activation_backward(Reference{}, Activation::relu6, &six, &one, &dx, 1, false);
  EXPECT_EQ(dx, 0);
  leaky_relu_backward(Reference{}, 0.25, &zero, &one, &dx, 1, true);
  EXPECT_EQ(dx, 0.25);
}

TYPED_TEST(Activations, SameBits) {
  using T = TypeParam;
  const std::int64_t n = 50001;
  auto x = spread<T>(n, 6);
  for (T& v : x) v = T(8 * float(v));
  const auto dy = spread<T>(n, 7);
  expect_same_bits(std::is_same_v<T, float> ? 0x73a713806e6dc545 : 0x864615f402b96e6c, [&] {
    std::uint64_t hash = 0;
    for (const Activation a : kActivations) {
      std::vector<T> y(x.size()), dx = dy;
      activation_forward(Cpu{}, a, x.data(), y.data(), n);
      activation_backward(Cpu{}, a, from_output(a) ? y.data() : x.data(), dy.data(), dx.data(), n, true);
      hash = hash_of(dx, hash_of(y, hash));
    }
    return hash;
  });
}

}   // namespace
}   // namespace fovea::kernels
