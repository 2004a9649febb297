// Resizing on the device, both directions, against Reference on the same rounded inputs.
#include "kernels/interpolate.h"

#include "tests/cuda/traffic_testing.h"

namespace fovea::kernels {
namespace {

template <class T> class CudaInterpolate : public testing::Test {};
using Types = testing::Types<float, bfloat16>;
TYPED_TEST_SUITE(CudaInterpolate, Types);

struct Sizes {
  std::int64_t n, h, w, c, p, q;
};
/// Larger, smaller, to and from one pixel, the same, much larger and much smaller; channels one past 16 bytes and one past a warp.
constexpr Sizes kSizes[] = {{2, 5, 4, 5, 7, 9}, {1, 9, 11, 33, 4, 1}, {1, 1, 1, 3, 3, 2},  {0, 3, 3, 4, 3, 2},
                            {1, 6, 6, 8, 6, 6}, {1, 2, 3, 1, 23, 31}, {1, 37, 29, 1, 3, 2}};

TYPED_TEST(CudaInterpolate, IsTheReference) {
  using T = TypeParam;
  for (Interpolation mode : {Interpolation::nearest, Interpolation::bilinear, Interpolation::bicubic})
    for (bool align_corners : {false, true})
      for (const Sizes& z : kSizes) {
        SCOPED_TRACE(testing::Message() << int(mode) << " " << align_corners << ": " << z.h << " x " << z.w << " -> " << z.p << " x "
                                        << z.q);
        const InterpolationShape s{.n = z.n,
                                   .c = z.c,
                                   .rows = InterpolationAxis::resize(z.h, z.p, mode, align_corners),
                                   .columns = InterpolationAxis::resize(z.w, z.q, mode, align_corners)};
        const bool accumulate = z.h == 5 || z.h == 37;
        const std::vector<T> x = spread<T>(z.n * z.h * z.w * z.c, 1), dy = spread<T>(z.n * z.p * z.q * z.c, 2);
        std::vector<T> y;
        const std::vector<T> dx = same_on_every_schedule<T>(
            [&] {
              DeviceArray<T> x_device(x), dy_device(dy), y_device(dy.size()), dx_device(x);
              DeviceArray<char> workspace(interpolate_workspace_bytes(Cuda{}, s));
              interpolate_forward(Cuda{}, static_cast<const T*>(x_device.data()), y_device.data(), s, workspace.data());
              interpolate_backward(Cuda{}, static_cast<const T*>(dy_device.data()), dx_device.data(), s, accumulate, workspace.data());
              y_device.expect_guards_untouched();
              dx_device.expect_guards_untouched();
              workspace.expect_guards_untouched();
              y = y_device.host();
              return dx_device.host();
            },
            !(z.h == 5 && mode == Interpolation::bicubic));
        const std::vector<double> x_exact = as<double>(x), dy_exact = as<double>(dy);
        std::vector<double> y_want(dy.size()), dx_want = x_exact;
        interpolate_forward(Reference{}, x_exact.data(), y_want.data(), s, nullptr);
        interpolate_backward(Reference{}, dy_exact.data(), dx_want.data(), s, accumulate, nullptr);
        expect_close(y, y_want, unit_roundoff<T>, 32 * 0x1p-24, "y");   // 16 terms below 1; sum |weight| <= 1.6
        // As many outputs as see a pixel, with weights of that sum in each direction.
        const double seen = 8 + double(z.p * z.q) / double(z.h * z.w);
        expect_close(dx, dx_want, unit_roundoff<T>, 16 * 0x1p-24 * seen, "dx");
      }
}

#ifdef FOVEA_CUDA_EMULATED
// To twice the size: an output reads two pixels along an axis, at a border one; what is read again comes from a cache, as do the bands.
TYPED_TEST(CudaInterpolate, MovesWhatMustMove) {
  using T = TypeParam;
  if (!emulator::checks_available()) GTEST_SKIP() << "accesses are not counted in this build";
  const auto axis = InterpolationAxis::resize(16, 32, Interpolation::bilinear, false);
  const InterpolationShape s{.n = 1, .c = 64, .rows = axis, .columns = axis};
  DeviceArray<T> x(spread<T>(16 * 16 * 64, 1)), y(32 * 32 * 64), dx(16 * 16 * 64);
  DeviceArray<char> workspace(interpolate_workspace_bytes(Cuda{}, s));
  const double in = double(x.size() * sizeof(T)), out = double(y.size() * sizeof(T));
  const double taps = 62. / 32, band = 4 * (4 + taps + taps * taps);   // bytes of a thread
  const auto forward = launches_of([&] { interpolate_forward<T>(Cuda{}, x.data(), y.data(), s, workspace.data()); },
                                   "bilinear, (1, 16, 16, 64) to twice the size");
  ASSERT_EQ(forward.size(), 3u);   // the bands of both axes first
  expect_bytes(forward[2], in + out, taps * taps * out - in + band * double(forward[2].threads));
  const auto backward = launches_of([&] { interpolate_backward<T>(Cuda{}, y.data(), dx.data(), s, false, workspace.data()); },
                                    "bilinear, (1, 16, 16, 64) to twice the size, gradient");
  ASSERT_EQ(backward.size(), 3u);
}
#endif

}   // namespace
}   // namespace fovea::kernels
