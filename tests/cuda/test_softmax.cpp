// Softmax and its logarithm on the device against Reference on the same rounded inputs, and the same bits under every schedule.
#include "kernels/softmax.h"

#include <limits>

#include "tests/cuda/traffic_testing.h"

namespace fovea::kernels {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct Softmax {
  static constexpr double kAbsolute = 0;
  static void forward(auto... a) { softmax_forward(a...); }
  static void backward(auto... a) { softmax_backward(a...); }
};
struct LogSoftmax {
  static constexpr double kAbsolute = 3e-6;   // the logarithm of a sum with 12 units of error
  static void forward(auto... a) { log_softmax_forward(a...); }
  static void backward(auto... a) { log_softmax_backward(a...); }
};

template <class T> class CudaSoftmax : public testing::Test {};
using Types = testing::Types<float, bfloat16>;
TYPED_TEST_SUITE(CudaSoftmax, Types);

template <class Op, class T> void check_forward(RowShape s, const std::vector<T>& x) {
  const std::vector<T> y = same_on_every_schedule<T>(
      [&] {
        DeviceArray<T> x_device(x), y_device(x.size());
        Op::forward(Cuda{}, static_cast<const T*>(x_device.data()), y_device.data(), s);
        y_device.expect_guards_untouched();
        return y_device.host();
      },
      s.rows * s.cols > 200);
  const std::vector<double> exact = as<double>(x);
  std::vector<double> want(x.size());
  Op::forward(Reference{}, exact.data(), want.data(), s);
  // __expf costs up to 2 + 1.2 |x| units in the last place: with |x| < 8, 12 of them, in the weight and in the sum.
  expect_close(y, want, 24 * 0x1p-23 + unit_roundoff<T>, Op::kAbsolute + 1e-30, "forward");
}

template <class Op, class T> void check_backward(RowShape s, bool accumulate) {
  const std::int64_t n = s.rows * s.cols;
  const std::vector<T> dy = spread<T>(n, 2), dx = spread<T>(n, 3);
  std::vector<double> exact = as<double>(spread<T>(n, 1));
  Op::forward(Reference{}, static_cast<const double*>(exact.data()), exact.data(), s);
  const std::vector<T> y = as<T>(as<float>(exact));
  const std::vector<T> got = same_on_every_schedule<T>(
      [&] {
        DeviceArray<T> y_device(y), dy_device(dy), dx_device(dx);
        Op::backward(Cuda{}, static_cast<const T*>(y_device.data()), static_cast<const T*>(dy_device.data()), dx_device.data(), s,
                     accumulate);
        dx_device.expect_guards_untouched();
        return dx_device.host();
      },
      n > 20);
  const std::vector<double> y_exact = as<double>(y), dy_exact = as<double>(dy);
  std::vector<double> want = as<double>(dx);
  Op::backward(Reference{}, y_exact.data(), dy_exact.data(), want.data(), s, accumulate);
  expect_close(got, want, unit_roundoff<T>, 40 * 0x1p-23, "backward");
}

TYPED_TEST(CudaSoftmax, ForwardIsTheReference) {
  using T = TypeParam;
  for (RowShape s : {RowShape{1, 1}, {3, 5}, {5, 33}, {4, 32}, {9, 100}}) {   // 33: one past a warp; 5 and 9: one past a block
    std::vector<T> x = spread<T>(s.rows * s.cols, 1);
    for (T& v : x) v = T(4 * float(v));
    check_forward<Softmax, T>(s, x);
    check_forward<LogSoftmax, T>(s, x);
  }
}

TYPED_TEST(CudaSoftmax, EdgesAreTheReferences) {
  using T = TypeParam;
  const auto v = [](double d) { return T(float(d)); };
  const std::vector<T> x{v(-kInfinity), v(1),  v(2),   v(-kInfinity), v(-kInfinity), v(-kInfinity), v(NAN), v(0),
                         v(1),          v(80), v(-80), v(0),          v(kInfinity),  v(0),          v(1)};
  check_forward<Softmax, T>({5, 3}, x);
  check_forward<LogSoftmax, T>({5, 3}, x);
}

TYPED_TEST(CudaSoftmax, BackwardIsTheReference) {
  for (RowShape s : {RowShape{1, 1}, {3, 5}, {5, 33}})
    for (bool accumulate : {false, true}) {
      check_backward<Softmax, TypeParam>(s, accumulate);
      check_backward<LogSoftmax, TypeParam>(s, accumulate);
    }
}

TYPED_TEST(CudaSoftmax, NoRowsAreNoWork) {
  softmax_forward(Cuda{}, static_cast<const TypeParam*>(nullptr), static_cast<TypeParam*>(nullptr), RowShape{0, 5});
  check_cuda(cudaDeviceSynchronize(), "an empty softmax");
}

#ifdef FOVEA_CUDA_EMULATED
// A row is read twice, the second time from a cache.
TYPED_TEST(CudaSoftmax, MovesWhatMustMove) {
  using T = TypeParam;
  if (!emulator::checks_available()) GTEST_SKIP() << "accesses are not counted in this build";
  const RowShape s{8, 1024};
  const double array = double(sizeof(T)) * double(s.rows * s.cols);
  DeviceArray<T> x(spread<T>(s.rows * s.cols, 1)), dy(spread<T>(s.rows * s.cols, 2)), y(dy.size());
  expect_bytes(launches_of([&] { softmax_forward<T>(Cuda{}, x.data(), y.data(), s); }, "softmax (8, 1024)").at(0), 2 * array, array);
  expect_bytes(launches_of([&] { log_softmax_forward<T>(Cuda{}, x.data(), y.data(), s); }, "log-softmax (8, 1024)").at(0), 2 * array,
               array);
  expect_bytes(
      launches_of([&] { softmax_backward<T>(Cuda{}, y.data(), dy.data(), x.data(), s, false); }, "softmax, gradient (8, 1024)").at(0),
      3 * array, 2 * array);
  // Of log-softmax the first sum wants dy alone.
  expect_bytes(
      launches_of([&] { log_softmax_backward<T>(Cuda{}, y.data(), dy.data(), x.data(), s, false); }, "log-softmax, gradient (8, 1024)")
          .at(0),
      3 * array, array);
}
#endif

}   // namespace
}   // namespace fovea::kernels
