// A number for each channel, forward and backward, on the device against Reference on the same rounded inputs.
#include "kernels/scale_channels.h"

#include "tests/cuda/traffic_testing.h"

namespace fovea::kernels {
namespace {

template <class T> class CudaScaleChannels : public testing::Test {};
using Types = testing::Types<float, bfloat16>;
TYPED_TEST_SUITE(CudaScaleChannels, Types);

std::int64_t elements(ImageShape s) { return s.images * s.pixels * s.channels; }

/// One channel, one past 16 bytes, one past a warp; more pixels than a tile; more channels than a block has threads side by side.
constexpr ImageShape kShapes[] = {{1, 1, 1}, {2, 7, 5}, {3, 4, 33}, {2, 300, 130}, {1, 9, 264}, {0, 4, 3}};

TYPED_TEST(CudaScaleChannels, ForwardIsTheReference) {
  using T = TypeParam;
  for (ImageShape shape : kShapes) {
    const std::vector<T> x = spread<T>(elements(shape), 1), s = spread<T>(shape.images * shape.channels, 2);
    const std::vector<T> got = same_on_every_schedule<T>(
        [&] {
          DeviceArray<T> x_device(x), s_device(s), y(x.size());
          scale_channels_forward(Cuda{}, static_cast<const T*>(x_device.data()), static_cast<const T*>(s_device.data()), y.data(), shape);
          y.expect_guards_untouched();
          return y.host();
        },
        true);
    const std::vector<double> x_exact = as<double>(x), s_exact = as<double>(s);
    std::vector<double> want(x.size());
    scale_channels_forward(Reference{}, x_exact.data(), s_exact.data(), want.data(), shape);
    expect_close(got, want, unit_roundoff<T> + 0x1p-24, 0);
  }
}

TYPED_TEST(CudaScaleChannels, BackwardIsTheReference) {
  using T = TypeParam;
  for (ImageShape shape : kShapes)
    for (bool accumulate : {false, true})
      for (int wanted : {1, 2, 3}) {   // dx, ds, both
        const std::vector<T> x = spread<T>(elements(shape), 1), s = spread<T>(shape.images * shape.channels, 2),
                             dy = spread<T>(elements(shape), 3), dx = spread<T>(elements(shape), 4), ds = spread<T>(std::ssize(s), 5);
        const std::vector<T> got = same_on_every_schedule<T>(
            [&] {
              DeviceArray<T> x_device(x), s_device(s), dy_device(dy), dx_device(dx), ds_device(ds);
              DeviceArray<char> workspace(scale_channels_workspace_bytes<T>(Cuda{}, shape));
              const ScaleChannelsGradient<T> a{.x = x_device.data(),
                                               .s = s_device.data(),
                                               .dy = dy_device.data(),
                                               .dx = wanted & 1 ? dx_device.data() : nullptr,
                                               .accumulate_dx = accumulate,
                                               .ds = wanted & 2 ? ds_device.data() : nullptr,
                                               .accumulate_ds = accumulate};
              scale_channels_backward(Cuda{}, a, shape, workspace.data());
              dx_device.expect_guards_untouched();
              ds_device.expect_guards_untouched();
              workspace.expect_guards_untouched();
              std::vector<T> both = dx_device.host();
              const std::vector<T> second = ds_device.host();
              both.insert(both.end(), second.begin(), second.end());
              return both;
            },
            !(shape.channels == 130 && wanted == 3));
        const std::vector<double> x_exact = as<double>(x), s_exact = as<double>(s), dy_exact = as<double>(dy);
        std::vector<double> dx_want = as<double>(dx), ds_want = as<double>(ds);
        const ScaleChannelsGradient<double> a{.x = x_exact.data(),
                                              .s = s_exact.data(),
                                              .dy = dy_exact.data(),
                                              .dx = wanted & 1 ? dx_want.data() : nullptr,
                                              .accumulate_dx = accumulate,
                                              .ds = wanted & 2 ? ds_want.data() : nullptr,
                                              .accumulate_ds = accumulate};
        scale_channels_backward(Reference{}, a, shape, nullptr);
        const auto middle = got.begin() + std::ssize(dx);
        expect_close(std::vector<T>(got.begin(), middle), dx_want, unit_roundoff<T> + 0x1p-24, 2 * 0x1p-24, "dx");
        // A chain of 32 products, and 8 levels of the tree.
        expect_close(std::vector<T>(middle, got.end()), ds_want, unit_roundoff<T>, 41 * 0x1p-24 * double(shape.pixels), "ds");
      }
}

TYPED_TEST(CudaScaleChannels, BytesAreTheContracts) {
  using T = TypeParam;
  const ImageShape shape{2, 512, 64};
  const std::int64_t n = elements(shape);
  DeviceArray<T> x(spread<T>(n, 1)), s(spread<T>(128, 2)), dy(spread<T>(n, 3)), dx(spread<T>(n, 4)), ds(128);
  DeviceArray<char> workspace(scale_channels_workspace_bytes<T>(Cuda{}, shape));
  // A thread forward reads 16 bytes of s for 16 of x, from a cache: that much is counted with it.
  expect_traffic(
      3 * std::size_t(n) * sizeof(T),
      [&] { scale_channels_forward(Cuda{}, static_cast<const T*>(x.data()), static_cast<const T*>(s.data()), dx.data(), shape); },
      "scale channels (2, 512, 64)");
  const ScaleChannelsGradient<T> a{.x = x.data(), .s = s.data(), .dy = dy.data(), .dx = dx.data(), .ds = ds.data()};
  expect_traffic(
      3 * std::size_t(n) * sizeof(T), [&] { scale_channels_backward(Cuda{}, a, shape, workspace.data()); },
      "scale channels, gradients (2, 512, 64)");
}

}   // namespace
}   // namespace fovea::kernels
