// Sums of squares, clipping by value and by row on the device against Reference.
#include "kernels/gradient_clip.h"

#include "tests/cuda/traffic_testing.h"

namespace fovea::kernels {
namespace {

/// Stretches of one element, of several pieces, an empty one, and more than a launch takes.
std::vector<Run> runs() {
  std::vector<Run> r{{0, 1}, {16, 33}, {48, 48}, {50, 1050}, {1056, 1056 + 16400}};
  for (std::int64_t i = 0; i < 130; ++i) r.push_back({17500 + 3 * i, 17502 + 3 * i});
  return r;
}

double squares_on_device(const std::vector<float>& x, const std::vector<Run>& r) {
  const std::vector<double> got = same_on_every_schedule<double>(
      [&] {
        DeviceArray<float> x_device(x);
        DeviceArray<double> sum(2);
        DeviceArray<char> workspace(sum_squares_workspace_bytes<float>(Cuda{}, r.data(), std::ssize(r)));
        sum_squares<float>(Cuda{}, x_device.data(), r.data(), std::ssize(r), sum.data(), workspace.data());
        workspace.expect_guards_untouched();
        sum.expect_guards_untouched();
        return sum.host();
      },
      true);
  EXPECT_TRUE(std::isnan(got[0]) || got[1] == std::sqrt(got[0]));
  return got[0];
}
double squares_by_reference(const std::vector<float>& x, const std::vector<Run>& r) {
  double sum[2];
  sum_squares<float>(Reference{}, x.data(), r.data(), std::ssize(r), sum, nullptr);
  return sum[0];
}

TEST(CudaSumSquares, IsTheReference) {
  const auto r = runs();
  std::vector<float> x = spread<float>(18000, 1);
  const double want = squares_by_reference(x, r);
  EXPECT_NEAR(squares_on_device(x, r), want, want * 33 * 0x1p-24);   // a thread sums 32 squares in float
  EXPECT_EQ(squares_on_device(x, {}), 0);
  const double before = squares_on_device(x, r);
  x[40] = INFINITY;   // lies in a gap
  EXPECT_EQ(squares_on_device(x, r), before);
  x[17] = NAN;
  EXPECT_TRUE(std::isnan(squares_on_device(x, r)));
}

TEST(CudaSumSquares, SmallIntegersAreExact) {
  std::vector<float> x = spread<float>(18000, 2);
  for (float& v : x) v = std::round(8 * v);
  const auto r = runs();
  EXPECT_EQ(squares_on_device(x, r), squares_by_reference(x, r));
}

TEST(CudaClipNorm, IsTheReference) {
  const auto r = runs();
  const std::vector<float> x = spread<float>(18000, 3);
  for (const double norm : {0.5, 2., double(INFINITY), double(NAN)})
    for (const ClipNorm c : {ClipNorm{1}, {1, true}, {INFINITY}}) {
      const std::vector<float> got = same_on_every_schedule<float>(
          [&] {
            DeviceArray<float> x_device(x);
            DeviceArray<double> n(std::vector<double>{norm});
            clip_norm<float>(Cuda{}, x_device.data(), r.data(), std::ssize(r), n.data(), c);
            x_device.expect_guards_untouched();
            return x_device.host();
          },
          norm != 2);
      std::vector<float> want = x;
      clip_norm<float>(Reference{}, want.data(), r.data(), std::ssize(r), &norm, c);
      expect_close(got, want, 2 * 0x1p-24, 0);   // the factor and the product
    }
}

TEST(CudaClipValue, IsTheReference) {
  for (const std::int64_t n : {0, 1, 33, 1029}) {
    std::vector<float> g = spread<float>(n, 2);
    if (n > 6) g[3] = NAN, g[4] = INFINITY, g[5] = -INFINITY;
    const std::vector<float> got = same_on_every_schedule<float>(
        [&] {
          DeviceArray<float> device(g);
          clip_value<float>(Cuda{}, device.data(), 0.3, n);
          device.expect_guards_untouched();
          return device.host();
        },
        true);
    clip_value<float>(Reference{}, g.data(), 0.3, n);
    expect_close(got, g, 0, 0);
  }
}

TEST(CudaClipRows, IsTheReference) {
  for (const RowShape s : {RowShape{0, 3}, {1, 1}, {5, 1}, {3, 33}, {17, 129}, {2, 1200}})
    for (const double limit : {0.5, 2.0}) {
      std::vector<float> w = spread<float>(s.rows * s.cols, 3), g = spread<float>(s.rows * s.cols, 4);
      for (std::int64_t c = 0; c < s.cols && s.rows > 1; ++c) w[std::size_t(c)] = 0;   // the first row has eps for a norm
      const std::vector<float> got = same_on_every_schedule<float>(
          [&] {
            DeviceArray<float> w_device(w), g_device(g);
            clip_rows<float>(Cuda{}, w_device.data(), g_device.data(), s, limit, 0.1);
            g_device.expect_guards_untouched();
            return g_device.host();
          },
          s.cols != 129);
      clip_rows<float>(Reference{}, w.data(), g.data(), s, limit, 0.1);
      expect_close(got, g, 44 * 0x1p-24, 0);   // two norms, of up to 40 squares a lane, and a product
    }
}

TEST(CudaGradientClip, BytesAreTheContracts) {
  const std::int64_t n = 3 * 8192;
  const kernels::Run all{0, n};
  DeviceArray<float> w(spread<float>(n, 1)), g(spread<float>(n, 2));
  DeviceArray<double> sum(2);
  DeviceArray<char> workspace(sum_squares_workspace_bytes<float>(Cuda{}, &all, 1));
  expect_traffic(
      4 * n, [&] { sum_squares<float>(Cuda{}, g.data(), &all, 1, sum.data(), workspace.data()); }, "sum of squares of 24576, float");
  DeviceArray<double> norm(std::vector<double>{2});
  expect_traffic(
      8 * n, [&] { clip_norm<float>(Cuda{}, g.data(), &all, 1, norm.data(), {1}); }, "clip by norm, 24576, float");
  expect_traffic(
      8 * n, [&] { clip_value<float>(Cuda{}, g.data(), 0.3, n); }, "clip by value, 24576, float");
  // A row that is too long is read again, from a cache.
  expect_traffic(
      12 * n,
      [&] {
        clip_rows<float>(Cuda{}, w.data(), g.data(), {24, 1024}, 0.01, 1e-3);
      },
      "clip by unit (24, 1024), float");
}

}   // namespace
}   // namespace fovea::kernels
