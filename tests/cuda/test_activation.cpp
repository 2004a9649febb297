// Every activation on the device against Reference on the same rounded inputs.
#include "kernels/activation.h"

#include <limits>

#include "tests/cuda/device_testing.h"

namespace fovea::kernels {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity(), kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr Activation kAll[] = {Activation::none,         Activation::relu,      Activation::relu6,   Activation::silu,
                               Activation::gelu,         Activation::gelu_tanh, Activation::sigmoid, Activation::tanh,
                               Activation::hard_sigmoid, Activation::hard_swish};

template <class T> class CudaActivation : public testing::Test {};
using Types = testing::Types<float, bfloat16>;
TYPED_TEST_SUITE(CudaActivation, Types);

/// Points on both sides of every bend, of where exp overflows, and what is no number.
template <class T> std::vector<T> points() {
  std::vector<T> x;
  for (float v = -95; v < 95; v += 0.73f) x.push_back(T(v));
  for (float v = -7; v < 7; v += 0.0191f) x.push_back(T(v));
  for (float v : {0.f, -0.f, 3.f, -3.f, 6.f, 1e30f, -1e30f, kInf, -kInf, kNaN, 1e-20f}) x.push_back(T(v));
  return x;
}

// The tolerances of tests/kernels/test_activation.cpp: a handful of operations, exp and its kin within 2 units in the last place.
TYPED_TEST(CudaActivation, IsTheReference) {
  using T = TypeParam;
  const double u = unit_roundoff<T> + 8 * 0x1p-23, absolute = 0x1p-21, of_gradient = 0x1p-19;
  const auto x = points<T>();
  const auto n = std::int64_t(x.size());
  const auto dy = spread<T>(n, 1), dx0 = spread<T>(n, 2);
  const auto fx = as<float>(x), fdy = as<float>(dy);
  for (const Activation a : kAll) {
    SCOPED_TRACE(int(a));
    std::vector<float> y_want(x.size()), dx_want(x.size()), sum_want = as<float>(dx0);
    activation_forward(Reference{}, a, fx.data(), y_want.data(), n);
    DeviceArray<T> y(x);   // in place
    activation_forward(Cuda{}, a, static_cast<const T*>(y.data()), y.data(), n);
    y.expect_guards_untouched();
    expect_close(y.host(), y_want, u, absolute, "value");
    const std::vector<T> kept = from_output(a) ? as<T>(y_want) : x;   // what the op keeps, rounded
    const auto fkept = as<float>(kept);
    activation_backward(Reference{}, a, fkept.data(), fdy.data(), dx_want.data(), n, false);
    activation_backward(Reference{}, a, fkept.data(), fdy.data(), sum_want.data(), n, true);
    DeviceArray<T> kept_device(kept), dy_device(dy), dx(dy), sum(dx0);   // dx may be dy
    activation_backward(Cuda{}, a, static_cast<const T*>(kept_device.data()), static_cast<const T*>(dx.data()), dx.data(), n, false);
    activation_backward(Cuda{}, a, static_cast<const T*>(kept_device.data()), static_cast<const T*>(dy_device.data()), sum.data(), n, true);
    expect_close(dx.host(), dx_want, u, of_gradient, "gradient");
    expect_close(sum.host(), sum_want, u, of_gradient, "gradient, accumulated");
  }
}

// Lengths around a vector and a block, from aligned and from odd addresses; the same bits under every schedule.
TYPED_TEST(CudaActivation, TakesAnyLengthAndAddress) {
  using T = TypeParam;
  for (std::int64_t n : {0, 1, 3, 4, 5, 8, 9, 255, 1025, 2051})
    for (int offset : {0, 1}) {
      const auto x = spread<T>(n + offset, 3);
      const std::vector<T> y = same_on_every_schedule<T>(
          [&] {
            DeviceArray<T> x_device(x), y_device(x);
            leaky_relu_forward(Cuda{}, 0.25, static_cast<const T*>(x_device.data() + offset), y_device.data() + offset, n);
            y_device.expect_guards_untouched();
            return y_device.host();
          },
          n > 9);
      std::vector<float> want = as<float>(x);
      leaky_relu_forward(Reference{}, 0.25, static_cast<const float*>(want.data() + offset), want.data() + offset, n);
      expect_close(y, want, unit_roundoff<T>, 0, "leaky relu");
    }
}

TYPED_TEST(CudaActivation, LeakyReluBackwardIsTheReference) {
  using T = TypeParam;
  const auto x = spread<T>(37, 1), dy = spread<T>(37, 2);
  DeviceArray<T> x_device(x), dx(dy);
  leaky_relu_backward(Cuda{}, 0.25, static_cast<const T*>(x_device.data()), static_cast<const T*>(dx.data()), dx.data(), 37, false);
  std::vector<float> want(37);
  const auto fx = as<float>(x), fdy = as<float>(dy);
  leaky_relu_backward(Reference{}, 0.25, fx.data(), fdy.data(), want.data(), 37, false);
  expect_close(dx.host(), want, unit_roundoff<T>, 0, "leaky relu backward");
}

}   // namespace
}   // namespace fovea::kernels
