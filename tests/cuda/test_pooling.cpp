// Pooling on the device: maximum, mean, bins and whole images, with padding, overhang and overlap, against Reference on the same rounded
// inputs; maxima and their places exactly. The same bits under every schedule.
#include "kernels/pooling.h"

#include <limits>

#include "tests/cuda/traffic_testing.h"

namespace fovea::kernels {
namespace {

template <class T> class CudaPooling : public testing::Test {};
using Types = testing::Types<float, bfloat16>;
TYPED_TEST_SUITE(CudaPooling, Types);

// Channels: 1 and 5 one by one, 8 and 24 in vectors; 33 columns of 24 channels fill more than a block. Windows that overlap, that leave pixels
// out, that hang over (ceil mode) and that reach into the padding; bins that share pixels.
const Pool2dShape kShapes[] = {
    {1, 1, PoolAxis::windows(1, 1, 1, 0, false), PoolAxis::windows(1, 1, 1, 0, false)},
    {2, 5, PoolAxis::windows(7, 3, 2, 1, false), PoolAxis::windows(9, 3, 2, 1, false)},
    {2, 8, PoolAxis::windows(8, 3, 2, 0, true), PoolAxis::windows(7, 2, 2, 1, true)},
    {1, 24, PoolAxis::windows(5, 2, 3, 0, false), PoolAxis::windows(33, 3, 1, 1, false)},
    {2, 8, PoolAxis::bins(7, 3), PoolAxis::bins(5, 2)},
    {1, 5, PoolAxis::bins(3, 5), PoolAxis::bins(4, 1)},
};
const Pool2dShape kLarge{1, 8, PoolAxis::windows(19, 17, 1, 3, false), PoolAxis::windows(18, 17, 2, 0, false)};   // 289 places

template <class T, class Place> void check_max(const Pool2dShape& s, bool accumulate, bool few, std::vector<T> x) {
  SCOPED_TRACE(std::to_string(s.rows.in) + " x " + std::to_string(s.columns.in) + " x " + std::to_string(s.c));
  const auto dy = spread<T>(s.outputs(), 2), dx = spread<T>(s.inputs(), 3);
  std::vector<T> y, got_dx;
  std::vector<Place> which;
  same_on_every_schedule<std::uint64_t>(
      [&] {
        DeviceArray<T> x_device(x), y_device(dy.size()), dy_device(dy), dx_device(dx);
        DeviceArray<Place> which_device(dy.size());
        max_pool2d_forward<T>(Cuda{}, x_device.data(), y_device.data(), which_device.data(), s);
        max_pool2d_backward<T>(Cuda{}, dy_device.data(), which_device.data(), dx_device.data(), s, accumulate);
        y_device.expect_guards_untouched();
        which_device.expect_guards_untouched();
        dx_device.expect_guards_untouched();
        y = y_device.host(), which = which_device.host(), got_dx = dx_device.host();
        return std::vector<std::uint64_t>{hash_of(which), hash_of(got_dx)};
      },
      few);
  std::vector<double> want(dy.size()), want_dx = as<double>(dx);
  std::vector<Place> want_which(dy.size());
  max_pool2d_forward<double>(Reference{}, as<double>(x).data(), want.data(), want_which.data(), s);
  max_pool2d_backward<double>(Reference{}, as<double>(dy).data(), want_which.data(), want_dx.data(), s, accumulate);
  expect_close(y, want, 0, 0, "y");   // nothing is computed: exact
  EXPECT_EQ(which, want_which);
  expect_close(got_dx, want_dx, unit_roundoff<T>, double(s.places()) * 0x1p-24, "dx");   // a sum of at most so many values below 1
}

TYPED_TEST(CudaPooling, MaximumIsTheReferences) {
  using T = TypeParam;
  for (const Pool2dShape& s : kShapes)
    for (bool accumulate : {false, true}) check_max<T, std::uint8_t>(s, accumulate, true, spread<T>(s.inputs(), 1));
  check_max<T, std::uint8_t>(kShapes[1], true, false, spread<T>(kShapes[1].inputs(), 1));
  check_max<T, std::int64_t>(kLarge, true, true, spread<T>(kLarge.inputs(), 1));
}

TYPED_TEST(CudaPooling, EdgesAreTheReferences) {
  using T = TypeParam;
  const Pool2dShape s = kShapes[1];
  std::vector<T> x(std::size_t(s.inputs()), T(-std::numeric_limits<float>::infinity()));   // nothing but -inf: the first pixel is the place
  check_max<T, std::uint8_t>(s, false, true, x);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = T(float(i % 3));   // ties: the first
  check_max<T, std::uint8_t>(s, false, true, x);
  for (std::size_t i = 0; i < x.size(); i += 7) x[i] = T(NAN);   // a NaN wins, the first of them
  check_max<T, std::uint8_t>(s, false, true, x);
}

template <class T> void check_mean(const Pool2dShape& s, AverageDivisor d, bool accumulate, bool few) {
  SCOPED_TRACE(std::to_string(s.rows.in) + " x " + std::to_string(s.columns.in) + " x " + std::to_string(s.c));
  const auto x = spread<T>(s.inputs(), 1), dy = spread<T>(s.outputs(), 2), dx = spread<T>(s.inputs(), 3);
  std::vector<T> y, got_dx;
  same_on_every_schedule<std::uint64_t>(
      [&] {
        DeviceArray<T> x_device(x), y_device(dy.size()), dy_device(dy), dx_device(dx);
        avg_pool2d_forward<T>(Cuda{}, x_device.data(), y_device.data(), s, d);
        avg_pool2d_backward<T>(Cuda{}, dy_device.data(), dx_device.data(), s, d, accumulate);
        y_device.expect_guards_untouched();
        dx_device.expect_guards_untouched();
        y = y_device.host(), got_dx = dx_device.host();
        return std::vector<std::uint64_t>{hash_of(y), hash_of(got_dx)};
      },
      few);
  std::vector<double> want(dy.size()), want_dx = as<double>(dx);
  avg_pool2d_forward<double>(Reference{}, as<double>(x).data(), want.data(), s, d);
  avg_pool2d_backward<double>(Reference{}, as<double>(dy).data(), want_dx.data(), s, d, accumulate);
  // A sum of places() terms below 1, then over a divisor that may be 1 in the user's hands; as many windows see a pixel.
  const double absolute = double(s.places()) * double(s.places()) * 0x1p-24;
  expect_close(y, want, unit_roundoff<T>, absolute, "y");
  expect_close(got_dx, want_dx, unit_roundoff<T>, absolute, "dx");
}
TYPED_TEST(CudaPooling, MeanIsTheReferences) {
  for (const Pool2dShape& s : kShapes)
    for (AverageDivisor d : {AverageDivisor{}, {.count_include_pad = true}, {.override_with = 3}})
      check_mean<TypeParam>(s, d, d.count_include_pad, true);
  check_mean<TypeParam>(kShapes[2], {.count_include_pad = true}, true, false);
  check_mean<TypeParam>(kLarge, {}, false, true);
}

template <class T> void check_global(GlobalPoolShape s, bool accumulate, bool few) {
  const std::int64_t n = s.images * s.pixels * s.c;
  const auto x = spread<T>(n, 1), dy = spread<T>(s.images * s.c, 2), dx = spread<T>(n, 3);
  std::vector<T> y, got_dx;
  same_on_every_schedule<std::uint64_t>(
      [&] {
        DeviceArray<T> x_device(x), y_device(dy.size()), dy_device(dy), dx_device(dx);
        global_avg_pool_forward<T>(Cuda{}, x_device.data(), y_device.data(), s);
        global_avg_pool_backward<T>(Cuda{}, dy_device.data(), dx_device.data(), s, accumulate);
        y_device.expect_guards_untouched();
        dx_device.expect_guards_untouched();
        y = y_device.host(), got_dx = dx_device.host();
        return std::vector<std::uint64_t>{hash_of(y), hash_of(got_dx)};
      },
      few);
  std::vector<double> want(dy.size()), want_dx = as<double>(dx);
  global_avg_pool_forward<double>(Reference{}, as<double>(x).data(), want.data(), s);
  global_avg_pool_backward<double>(Reference{}, as<double>(dy).data(), want_dx.data(), s, accumulate);
  expect_close(y, want, unit_roundoff<T>, 8 * 0x1p-24, "y");   // a chain and a tree of values below 1, of either sign
  expect_close(got_dx, want_dx, unit_roundoff<T>, 2 * 0x1p-24, "dx");
}
TYPED_TEST(CudaPooling, WholeImagesAreTheReferences) {   // 130 and 264 channels: more than a block has across
  for (GlobalPoolShape s : {GlobalPoolShape{1, 1, 1}, {2, 49, 5}, {3, 9, 24}, {2, 3, 130}, {1, 3, 264}})
    for (bool accumulate : {false, true}) check_global<TypeParam>(s, accumulate, true);
  check_global<TypeParam>({2, 70, 36}, true, false);
}

TYPED_TEST(CudaPooling, NoImagesAreNoWork) {
  using T = TypeParam;
  Pool2dShape s = kShapes[1];
  s.n = 0;
  max_pool2d_forward<T, std::uint8_t>(Cuda{}, nullptr, nullptr, nullptr, s);
  max_pool2d_backward<T, std::uint8_t>(Cuda{}, nullptr, nullptr, nullptr, s, false);
  avg_pool2d_forward<T>(Cuda{}, nullptr, nullptr, s, {});
  avg_pool2d_backward<T>(Cuda{}, nullptr, nullptr, s, {}, false);
  global_avg_pool_forward<T>(Cuda{}, nullptr, nullptr, {0, 4, 4});
  global_avg_pool_backward<T>(Cuda{}, nullptr, nullptr, {0, 4, 4}, false);
  check_cuda(cudaDeviceSynchronize(), "empty pooling");
}

#ifdef FOVEA_CUDA_EMULATED
/// Windows that do not overlap read each pixel once; places are a byte, four or eight of them one access.
TYPED_TEST(CudaPooling, MovesWhatMustMove) {
  using T = TypeParam;
  if (!emulator::checks_available()) GTEST_SKIP() << "accesses are not counted in this build";
  const Pool2dShape s{2, 64, PoolAxis::windows(8, 2, 2, 0, false), PoolAxis::windows(8, 2, 2, 0, false)};
  DeviceArray<T> x(spread<T>(s.inputs(), 1)), dy(spread<T>(s.outputs(), 1)), y(std::size_t(s.outputs())), dx(std::size_t(s.inputs()));
  DeviceArray<std::uint8_t> which(std::size_t(s.outputs()));
  const std::vector<emulator::Counters> launches = launches_of(
      [&] {
        max_pool2d_forward<T>(Cuda{}, x.data(), y.data(), which.data(), s);
        max_pool2d_backward<T>(Cuda{}, dy.data(), which.data(), dx.data(), s, false);
        avg_pool2d_forward<T>(Cuda{}, x.data(), y.data(), s, {});
        avg_pool2d_backward<T>(Cuda{}, dy.data(), dx.data(), s, {}, false);
        global_avg_pool_forward<T>(Cuda{}, x.data(), y.data(), {2, 64, 64});
        global_avg_pool_backward<T>(Cuda{}, dy.data(), dx.data(), {2, 64, 64}, false);
      },
      "pooling 2x2, stride 2, and global, (2, 8, 8, 64)");
  ASSERT_EQ(launches.size(), 6u);
  const double in = double(sizeof(T)) * double(s.inputs()), out = double(sizeof(T)) * double(s.outputs()), places = double(s.outputs());
  const double needed[] = {
      in + out + places, in + 4 * (out + places), in + out, in + 4 * out, in, in};   // gradients: four pixels ask the same window
  for (std::size_t i = 0; i < launches.size(); ++i) {
    SCOPED_TRACE(launches[i].kernel);
    expect_bytes(launches[i], needed[i]);
  }
}
#endif

}   // namespace
}   // namespace fovea::kernels
