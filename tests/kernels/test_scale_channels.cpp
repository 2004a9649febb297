// test_scale_channels.cpp: Cpu against Reference, with and without each gradient, aliasing, accumulation, bits.
#include "kernels/scale_channels.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tests/kernels/variants.h"

namespace fovea::kernels {
namespace {

template <class T> class ScaleChannels : public testing::Test {};
using Types = testing::Types<float, bfloat16>;
TYPED_TEST_SUITE(ScaleChannels, Types);

constexpr ImageShape kShapes[] = {{1, 1, 1}, {2, 5, 3}, {3, 7, 17}, {2, 49, 33}, {2, 600, 20}, {1, 200, 130}, {2, 0, 4}, {0, 3, 4}};

struct Result {
  std::vector<double> y, dx, ds;
};

template <class T, class Backend> Result run(Backend be, ImageShape shape, bool accumulate) {
  const std::int64_t n = shape.images * shape.pixels * shape.channels, m = shape.images * shape.channels;
  const auto round = [](const std::vector<bfloat16>& v) { return as<T>(as<float>(v)); };   // every T starts from the same numbers
  const auto x = round(spread<bfloat16>(n, 1)), dy = round(spread<bfloat16>(n, 2)), s = round(spread<bfloat16>(m, 3, 1));
  std::vector<T> y(x.size()), dx = accumulate ? x : dy, ds = s;
  scale_channels_forward(be, x.data(), s.data(), y.data(), shape);
  std::vector<char> workspace(scale_channels_workspace_bytes<T>(be, shape));
  // Without accumulation dx is dy's own memory.
  const ScaleChannelsGradient<T> a{.x = x.data(),
                                   .s = s.data(),
                                   .dy = accumulate ? dy.data() : dx.data(),
                                   .dx = dx.data(),
                                   .accumulate_dx = accumulate,
                                   .ds = ds.data(),
                                   .accumulate_ds = accumulate};
  scale_channels_backward(be, a, shape, workspace.data());
  return {as<double>(as<float>(y)), as<double>(as<float>(dx)), as<double>(as<float>(ds))};
}

// y and dx are one product, and one sum when accumulated; ds a sum of up to 600 products of numbers below 1, in chains of 512.
TYPED_TEST(ScaleChannels, CpuMatchesReference) {
  using T = TypeParam;
  const double u = unit_roundoff<T> + 0x1p-23;
  on_every_isa([&] {
    for (const ImageShape shape : kShapes)
      for (const bool accumulate : {false, true}) {
        const Result got = run<T>(Cpu{}, shape, accumulate), want = run<float>(Reference{}, shape, accumulate);
        expect_close(got.y, want.y, u, 0, "y");
        expect_close(got.dx, want.dx, u, 0x1p-22, "dx");
        expect_close(got.ds, want.ds, u, double(shape.pixels + 1) * 0x1p-22, "ds");
      }
  });
}

TYPED_TEST(ScaleChannels, EitherGradientMayBeLeftOut) {
  using T = TypeParam;
  const ImageShape shape{2, 49, 33};
  const std::int64_t n = 2 * 49 * 33;
  const auto x = spread<T>(n, 1), dy = spread<T>(n, 2), s = spread<T>(2 * 33, 3);
  std::vector<char> workspace(scale_channels_workspace_bytes<T>(Cpu{}, shape));
  std::vector<T> dx(x.size()), ds(s.size()), dx_alone(x.size()), ds_alone(s.size());
  scale_channels_backward<T>(Cpu{}, {.x = x.data(), .s = s.data(), .dy = dy.data(), .dx = dx.data(), .ds = ds.data()}, shape,
                             workspace.data());
  scale_channels_backward<T>(Cpu{}, {.x = x.data(), .s = s.data(), .dy = dy.data(), .dx = dx_alone.data()}, shape, workspace.data());
  scale_channels_backward<T>(Cpu{}, {.x = x.data(), .s = s.data(), .dy = dy.data(), .ds = ds_alone.data()}, shape, workspace.data());
  EXPECT_EQ(hash_of(dx), hash_of(dx_alone));
  EXPECT_EQ(hash_of(ds), hash_of(ds_alone));
}

TYPED_TEST(ScaleChannels, SameBits) {
  using T = TypeParam;
  expect_same_bits(std::is_same_v<T, float> ? 0x2eeb8ffd514a22ae : 0xb352522178229b0b, [&] {
    std::uint64_t hash = 0;
    for (const ImageShape shape : kShapes) {
      const Result r = run<T>(Cpu{}, shape, true);
      hash = hash_of(r.ds, hash_of(r.dx, hash_of(r.y, hash)));
    }
    return hash;
  });
}

}   // namespace
}   // namespace fovea::kernels
