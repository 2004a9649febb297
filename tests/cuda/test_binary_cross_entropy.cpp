// Binary cross-entropy on the device against Reference on the same rounded inputs.
#include "kernels/binary_cross_entropy.h"

#include "tests/cuda/traffic_testing.h"

namespace fovea::kernels {
namespace {

template <class T> class CudaBinaryCrossEntropy : public testing::Test {};
using Types = testing::Types<float, bfloat16>;
TYPED_TEST_SUITE(CudaBinaryCrossEntropy, Types);

std::vector<float> targets(std::int64_t n) {
  std::vector<float> t = spread<float>(n, 2);
  for (float& v : t) v = 0.5f + 0.5f * v;
  return t;
}

TYPED_TEST(CudaBinaryCrossEntropy, IsTheReference) {
  using T = TypeParam;
  for (RowShape s : {RowShape{1, 1}, {70, 1}, {3, 5}, {5, 33}, {2, 300}, {0, 3}})
    for (bool weighted : {false, true})
      for (bool whole : {false, true}) {   // with the losses themselves, and a gradient for each; accumulating
        const std::int64_t n = s.rows * s.cols;
        std::vector<T> x = spread<T>(n, 1), old = spread<T>(n, 5), dx;
        for (T& v : x) v = T(16 * float(v));
        const std::vector<float> t = targets(n), weights = spread<float>(s.cols, 3, 1), dloss = spread<float>(n, 4);
        const std::vector<float> got = same_on_every_schedule<float>(
            [&] {
              DeviceArray<T> x_device(x), dx_device(old);
              DeviceArray<float> t_device(t), w(weights), loss(std::vector<float>(t.size())), rows(std::size_t(s.rows)), dl(dloss);
              const float* w_used = weighted ? w.data() : nullptr;
              binary_cross_entropy_forward(Cuda{}, static_cast<const T*>(x_device.data()), static_cast<const float*>(t_device.data()),
                                           w_used, whole ? loss.data() : nullptr, rows.data(), s);
              binary_cross_entropy_backward(Cuda{}, static_cast<const T*>(x_device.data()), static_cast<const float*>(t_device.data()),
                                            w_used, static_cast<const float*>(dl.data()), whole, 0.5f, dx_device.data(), s, whole);
              dx_device.expect_guards_untouched();
              rows.expect_guards_untouched();
              dx = dx_device.host();
              std::vector<float> all = rows.host(), losses = loss.host();
              all.insert(all.end(), losses.begin(), losses.end());
              for (T v : dx) all.push_back(float(v));
              return all;
            },
            s.cols != 33);
        const std::vector<double> x_exact = as<double>(x), t_exact = as<double>(t), w_exact = as<double>(weights), dl = as<double>(dloss);
        std::vector<double> loss(t.size()), rows(std::size_t(s.rows)), dx_want = as<double>(old);
        const double* w_used = weighted ? w_exact.data() : nullptr;
        binary_cross_entropy_forward(Reference{}, x_exact.data(), t_exact.data(), w_used, whole ? loss.data() : nullptr, rows.data(), s);
        binary_cross_entropy_backward(Reference{}, x_exact.data(), t_exact.data(), w_used, dl.data(), whole, 0.5, dx_want.data(), s, whole);
        // u = 2^-24. exp and log1p are within 2 units in the last place, 4 u, each: log(1 + e^-|x|), which is below log 2 and weighed by 2 at
        // most, is off by 8 u of itself. 5 operations follow for each of two positive terms. A sum of positive terms over a row adds its own
        // roundings: 12 of a lane's chain and 5 of the tree.
        const double u = 0x1p-24;
        const auto end = got.begin() + s.rows;
        expect_close(std::vector<float>(got.begin(), end), rows, (8 + 5 + 17) * u, 0, "sums of rows");
        expect_close(std::vector<float>(end, end + std::ssize(loss)), loss, 5 * u, 2 * 8 * u * std::log(2.), "losses");
        // e^-|x| is off by 4 u, the larger of p and 1 - p by 4, the smaller by 9, each sum of the two by 15 at most (halves of them, and two
        // roundings); 3 more operations, a weight of 2 at most, and a factor of 1/2: 18 u, and 2 for that product.
        expect_close(dx, dx_want, unit_roundoff<T>, 20 * u, "dx");
      }
}

TYPED_TEST(CudaBinaryCrossEntropy, ImpossibleTargetsAreMarked) {
  using T = TypeParam;
  for (float bad : {-0.1f, 1.1f, NAN}) {
    std::vector<float> t = targets(3 * 33);
    t[33 + 32] = bad;
    DeviceArray<T> x(spread<T>(99, 1));
    DeviceArray<float> t_device(t), rows(3);
    binary_cross_entropy_forward<T>(Cuda{}, x.data(), t_device.data(), nullptr, nullptr, rows.data(), {3, 33});
    const std::vector<float> r = rows.host();
    EXPECT_GT(r[0], 0);
    EXPECT_TRUE(std::isnan(r[1])) << bad;
    EXPECT_GT(r[2], 0);
  }
}

TYPED_TEST(CudaBinaryCrossEntropy, BytesAreTheContracts) {
  using T = TypeParam;
  const std::size_t n = 8 * 1024;
  DeviceArray<T> x(spread<T>(n, 1)), dx(n);
  DeviceArray<float> t(targets(n)), rows(8), one(std::vector<float>{1});
  expect_traffic(
      n * (sizeof(T) + 4),
      [&] {
        binary_cross_entropy_forward<T>(Cuda{}, x.data(), t.data(), nullptr, nullptr, rows.data(), {8, 1024});
      },
      "binary cross-entropy (8, 1024)");
  expect_traffic(
      n * (2 * sizeof(T) + 4),
      [&] {
        binary_cross_entropy_backward<T>(Cuda{}, x.data(), t.data(), nullptr, one.data(), false, 1.f, dx.data(), {8, 1024}, false);
      },
      "binary cross-entropy, gradient (8, 1024)");
}

}   // namespace
}   // namespace fovea::kernels
