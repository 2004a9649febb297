// Local response norm on the device against Reference on the same rounded inputs: windows of one channel, of an even number, longer than the
// row and as long as they may be; the same bits under every schedule.
#include "kernels/local_response_norm.h"

#include "tests/cuda/traffic_testing.h"

namespace fovea::kernels {
namespace {

template <class T> class CudaLocalResponseNorm : public testing::Test {};
using Types = testing::Types<float, bfloat16>;
TYPED_TEST_SUITE(CudaLocalResponseNorm, Types);

// d is a sum of at most `size` squares below 16, with size roundings of its own kind: relative to d size u. powf costs 4 units more, the products
// a few. Backward, `size` shares are summed, each below 4 d^-beta-1 |x dy|.
template <class T> void check(RowShape s, LocalResponse o, bool accumulate, bool few = true) {
  SCOPED_TRACE(std::to_string(s.rows) + " x " + std::to_string(s.cols) + ", size " + std::to_string(o.size));
  std::vector<T> x = spread<T>(s.rows * s.cols, 1);
  for (T& v : x) v = T(4 * float(v));
  const auto dy = spread<T>(s.rows * s.cols, 2), dx = spread<T>(s.rows * s.cols, 3);
  std::vector<T> y, got_dx;
  same_on_every_schedule<std::uint64_t>(
      [&] {
        DeviceArray<T> x_device(x), y_device(x.size()), dy_device(dy), dx_device(dx);
        local_response_norm_forward<T>(Cuda{}, x_device.data(), o, y_device.data(), s);
        local_response_norm_backward<T>(Cuda{}, x_device.data(), dy_device.data(), o, dx_device.data(), s, accumulate);
        y_device.expect_guards_untouched();
        dx_device.expect_guards_untouched();
        y = y_device.host(), got_dx = dx_device.host();
        return std::vector<std::uint64_t>{hash_of(y), hash_of(got_dx)};
      },
      few);
  std::vector<double> want(x.size()), want_dx = as<double>(dx);
  local_response_norm_forward<double>(Reference{}, as<double>(x).data(), o, want.data(), s);
  local_response_norm_backward<double>(Reference{}, as<double>(x).data(), as<double>(dy).data(), o, want_dx.data(), s, accumulate);
  const double u = 0x1p-24, error = (double(o.size) + 16) * u;
  expect_close(y, want, unit_roundoff<T> + error, 0, "y");
  expect_close(got_dx, want_dx, unit_roundoff<T> + error, 8 * error, "dx");
}

TYPED_TEST(CudaLocalResponseNorm, IsTheReference) {
  const LocalResponse paper{.size = 5, .alpha = 5e-4, .beta = 0.75, .k = 2}, strong{.size = 4, .alpha = 1, .beta = 1.5, .k = 1};
  // 33 and 65 channels: one past what a quarter and a half of the block takes; 257: one past the block. 9 pixels: one past a block's.
  for (RowShape s : {RowShape{1, 1}, {9, 3}, {5, 33}, {3, 65}, {2, 257}})
    for (bool accumulate : {false, true}) {
      check<TypeParam>(s, paper, accumulate);
      check<TypeParam>(s, strong, accumulate);
    }
  check<TypeParam>({9, 33}, strong, true, false);
  check<TypeParam>({2, 257}, strong, false, false);
}
TYPED_TEST(CudaLocalResponseNorm, AnySize) {
  for (std::int64_t size : {std::int64_t{1}, std::int64_t{2}, std::int64_t{7}, kMaxLocalResponse})
    for (RowShape s : {RowShape{9, 3}, {2, 300}}) check<TypeParam>(s, {.size = size, .alpha = 0.5, .beta = 0.75, .k = 1}, false);
}

TYPED_TEST(CudaLocalResponseNorm, NoPixelsAreNoWork) {
  using T = TypeParam;
  local_response_norm_forward<T>(Cuda{}, nullptr, {}, nullptr, {0, 5});
  local_response_norm_backward<T>(Cuda{}, nullptr, nullptr, {}, nullptr, {0, 5}, false);
  check_cuda(cudaDeviceSynchronize(), "an empty local response norm");
}

#ifdef FOVEA_CUDA_EMULATED
TYPED_TEST(CudaLocalResponseNorm, SharesWhatItReads) {
  using T = TypeParam;
  if (!emulator::checks_available()) GTEST_SKIP() << "accesses are not counted in this build";
  const RowShape s{4, 256};
  DeviceArray<T> x(spread<T>(s.rows * s.cols, 1)), y(std::size_t(s.rows * s.cols)), dx(std::size_t(s.rows * s.cols));
  const std::vector<emulator::Counters> launches = launches_of(
      [&] {
        local_response_norm_forward<T>(Cuda{}, x.data(), {}, y.data(), s);
        local_response_norm_backward<T>(Cuda{}, x.data(), y.data(), {}, dx.data(), s, false);
      },
      "local response norm (4, 256)");
  ASSERT_EQ(launches.size(), 2u);
  const double array = double(sizeof(T)) * double(s.rows * s.cols);
  // An element's own x and dy are asked for once more beside the windows: those 32 lanes' bytes are in the nearest cache.
  expect_bytes(launches[0], 2 * array, array);
  expect_bytes(launches[1], 3 * array, 3 * array);
}
#endif

}   // namespace
}   // namespace fovea::kernels
