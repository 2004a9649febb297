// Softplus on the device against Reference on the same rounded inputs.
#include "kernels/softplus.h"

#include "tests/cuda/traffic_testing.h"

namespace fovea::kernels {
namespace {

template <class T> class CudaSoftplus : public testing::Test {};
using Types = testing::Types<float, bfloat16>;
TYPED_TEST_SUITE(CudaSoftplus, Types);

TYPED_TEST(CudaSoftplus, IsTheReference) {
  using T = TypeParam;
  for (std::int64_t n : {0, 1, 33, 1029})
    for (bool accumulate : {false, true}) {
      std::vector<T> x = spread<T>(n, 1), dy = spread<T>(n, 2), old = spread<T>(n, 3), y;
      for (T& v : x) v = T(20 * float(v));
      if (n > 9) x[3] = T(INFINITY), x[5] = T(-INFINITY), x[7] = T(NAN), x[9] = T(-200.f);
      const std::vector<T> dx = same_on_every_schedule<T>(
          [&] {
            DeviceArray<T> x_device(x), dy_device(dy), dx_device(old), y_device(x.size());
            softplus_forward(Cuda{}, static_cast<const T*>(x_device.data()), y_device.data(), n);
            softplus_backward(Cuda{}, static_cast<const T*>(x_device.data()), static_cast<const T*>(dy_device.data()), dx_device.data(), n,
                              accumulate);
            dx_device.expect_guards_untouched();
            y = y_device.host();
            return dx_device.host();
          },
          true);
      const std::vector<double> x_exact = as<double>(x), dy_exact = as<double>(dy);
      std::vector<double> y_want(x.size()), dx_want = as<double>(old);
      softplus_forward(Reference{}, x_exact.data(), y_want.data(), n);
      softplus_backward(Reference{}, x_exact.data(), dy_exact.data(), dx_want.data(), n, accumulate);
      expect_close(y, y_want, unit_roundoff<T> + 6 * 0x1p-23, 1e-37, "y");   // exp, log1p: 2 and 1 units, and a sum
      expect_close(dx, dx_want, unit_roundoff<T> + 6 * 0x1p-23, accumulate ? 8 * 0x1p-23 : 1e-37, "dx");
    }
}

TYPED_TEST(CudaSoftplus, BytesAreTheContracts) {
  using T = TypeParam;
  const std::int64_t n = 8192;
  DeviceArray<T> x(spread<T>(n, 1)), dy(spread<T>(n, 2)), y(n);
  expect_traffic(
      2 * n * sizeof(T), [&] { softplus_forward<T>(Cuda{}, x.data(), y.data(), n); }, "softplus of 8192");
  expect_traffic(
      3 * n * sizeof(T), [&] { softplus_backward<T>(Cuda{}, x.data(), dy.data(), y.data(), n, false); }, "softplus, gradient, 8192");
}

}   // namespace
}   // namespace fovea::kernels
