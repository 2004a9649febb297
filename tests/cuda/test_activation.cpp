// Every activation on the device against Reference on the same rounded inputs.
#include "tests/cuda/traffic_testing.h"
#include "tests/kernels/activation_testing.h"

namespace fovea::kernels {
namespace {

template <class T> class CudaActivation : public testing::Test {};
using Types = testing::Types<float, bfloat16>;
TYPED_TEST_SUITE(CudaActivation, Types);

TYPED_TEST(CudaActivation, IsTheReference) {
  using T = TypeParam;
  const auto x = activation_points<T>(0.73f, 0.0191f);
  const auto n = std::int64_t(x.size());
  check_activations(
      x,
      [&](Activation a, const std::vector<T>& values) {
        DeviceArray<T> y(values);   // in place
        activation_forward<T>(Cuda{}, a, y.data(), y.data(), n);
        y.expect_guards_untouched();
        return y.host();
      },
      [&](Activation a, const std::vector<T>& kept_values, const std::vector<T>& dy_values, const std::vector<T>* old) {
        DeviceArray<T> kept(kept_values), dy(dy_values), dx(old ? *old : dy_values);
        activation_backward<T>(Cuda{}, a, kept.data(), old ? dy.data() : dx.data(), dx.data(), n, old != nullptr);   // dx may be dy
        dx.expect_guards_untouched();
        return dx.host();
      });
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

TYPED_TEST(CudaActivation, BytesAreTheContracts) {
  using T = TypeParam;
  const std::int64_t n = 8192;
  DeviceArray<T> x(spread<T>(n, 1)), dy(spread<T>(n, 2)), y(n + 1);
  expect_traffic(
      2 * n * sizeof(T), [&] { activation_forward<T>(Cuda{}, Activation::gelu, x.data(), y.data(), n); }, "GELU of 8192");
  expect_traffic(
      3 * n * sizeof(T), [&] { activation_backward<T>(Cuda{}, Activation::gelu, x.data(), dy.data(), y.data(), n, false); },
      "GELU, gradient, 8192");
  expect_traffic(
      2 * n * sizeof(T), [&] { leaky_relu_forward<T>(Cuda{}, 0.1, x.data(), y.data(), n); }, "leaky ReLU of 8192");
  expect_traffic(
      2 * n * sizeof(T), [&] { activation_forward<T>(Cuda{}, Activation::gelu, x.data(), y.data() + 1, n); },
      "GELU of 8192 to an odd place");
}

}   // namespace
}   // namespace fovea::kernels
