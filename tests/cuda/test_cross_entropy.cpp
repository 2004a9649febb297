// Cross-entropy on the device, every kind of target, against Reference on the same rounded inputs.
#include "kernels/cross_entropy.h"

#include "tests/cuda/traffic_testing.h"

namespace fovea::kernels {
namespace {

template <class T> class CudaCrossEntropy : public testing::Test {};
using Types = testing::Types<float, bfloat16>;
TYPED_TEST_SUITE(CudaCrossEntropy, Types);

/// What a call is given, on the host.
template <class T> struct Batch {
  RowShape s;
  std::vector<T> x;
  std::vector<std::int64_t> labels = {};
  std::vector<float> probabilities = {}, class_weights = {};   // empty: not given
  float smoothing = 0;

  CrossEntropyTarget<T> target(DeviceArray<std::int64_t>& l, DeviceArray<float>& p, DeviceArray<float>& w) const {
    return {.labels = labels.empty() ? nullptr : l.data(),
            .probabilities = probabilities.empty() ? nullptr : p.data(),
            .class_weights = class_weights.empty() ? nullptr : w.data(),
            .smoothing = smoothing};
  }
};

template <class T> Batch<T> batch(RowShape s, bool soft, bool weighted, float smoothing) {
  Batch<T> b{.s = s, .x = spread<T>(s.rows * s.cols, 1), .smoothing = smoothing};
  for (T& v : b.x) v = T(8 * float(v));
  if (soft) {
    b.probabilities = spread<float>(s.rows * s.cols, 2, 1);
    for (float& p : b.probabilities) p = p < 1 ? 0 : p / 2;   // some are 0; they need not sum to 1
  } else {
    for (std::int64_t r = 0; r < s.rows; ++r) b.labels.push_back((7 * r + 3) % s.cols);
  }
  if (weighted) b.class_weights = spread<float>(s.cols, 3, 1);
  return b;
}

template <class T> void check(const Batch<T>& b, bool accumulate, bool few, bool finite = true) {
  const std::size_t rows = std::size_t(b.s.rows);
  const std::vector<float> dloss = spread<float>(b.s.rows, 4);
  const std::vector<T> old = spread<T>(b.s.rows * b.s.cols, 5);
  std::vector<T> dx;
  const std::vector<float> got = same_on_every_schedule<float>(
      [&] {
        DeviceArray<T> x(b.x), dx_device(old);
        DeviceArray<std::int64_t> labels(b.labels);
        DeviceArray<float> p(b.probabilities), w(b.class_weights), loss(rows), kept(3 * rows), dloss_device(dloss);
        const CrossEntropyTarget<T> t = b.target(labels, p, w);
        cross_entropy_forward(Cuda{}, static_cast<const T*>(x.data()), t, loss.data(), kept.data(), b.s);
        cross_entropy_backward(Cuda{}, static_cast<const T*>(x.data()), t, static_cast<const float*>(kept.data()),
                               static_cast<const float*>(dloss_device.data()), dx_device.data(), b.s, accumulate);
        dx_device.expect_guards_untouched();
        kept.expect_guards_untouched();
        dx = dx_device.host();
        std::vector<float> all = loss.host(), three = kept.host();
        all.insert(all.end(), three.begin(), three.end());
        for (T v : dx) all.push_back(float(v));
        return all;
      },
      few);
  const std::vector<double> x = as<double>(b.x), p = as<double>(b.probabilities), w = as<double>(b.class_weights), dl = as<double>(dloss);
  const CrossEntropyTarget<double> t{.labels = b.labels.empty() ? nullptr : b.labels.data(),
                                     .probabilities = p.empty() ? nullptr : p.data(),
                                     .class_weights = w.empty() ? nullptr : w.data(),
                                     .smoothing = double(b.smoothing)};
  std::vector<double> loss(rows), kept(3 * rows), dx_want = as<double>(old);
  cross_entropy_forward(Reference{}, x.data(), t, loss.data(), kept.data(), b.s);
  cross_entropy_backward(Reference{}, x.data(), t, kept.data(), dl.data(), dx_want.data(), b.s, accumulate);
  const std::vector<float> got_loss(got.begin(), got.begin() + std::ssize(loss)),
      got_kept(got.begin() + std::ssize(loss), got.begin() + 4 * std::ssize(loss));
  // The expected logit is a sum of up to 40 terms a lane and 13 levels above, each a weight times at most 16: of V times that, V up to cols.
  const double scale = p.empty() ? 4 : double(b.s.cols);
  expect_close(got_loss, loss, 60 * 0x1p-24, 60 * 0x1p-24 * 16 * scale, "loss");
  if (finite) expect_close(got_kept, kept, 60 * 0x1p-24, 0, "max, z, V");
  // V p_j - v_j: p within 24 + 60 units, as __expf is off by 2 + 1.2 * 16, z and V by the above; dloss is at most 1.
  expect_close(dx, dx_want, unit_roundoff<T>, 100 * 0x1p-24 * scale, "dx");
}

TYPED_TEST(CudaCrossEntropy, IsTheReference) {
  using T = TypeParam;
  for (RowShape s : {RowShape{1, 1}, {3, 2}, {5, 33}, {2, 300}})   // 33: one past a warp; 5: one past a block; 300: several steps of a warp
    for (bool soft : {false, true})
      for (bool weighted : {false, true})
        for (float smoothing : {0.f, 0.1f}) {
          SCOPED_TRACE(testing::Message() << s.rows << " x " << s.cols << " soft " << soft << " weighted " << weighted << " " << smoothing);
          const Batch<T> b = batch<T>(s, soft, weighted, smoothing);
          check(b, false, s.cols != 33);
          if (weighted) check(b, true, true);
        }
}

TYPED_TEST(CudaCrossEntropy, EdgesAreTheReferences) {
  using T = TypeParam;
  const auto v = [](float x) { return T(x); };
  Batch<T> b{.s = {6, 3},
             .x = {v(-INFINITY), v(1), v(2), v(1), v(-INFINITY), v(2), v(-INFINITY), v(-INFINITY), v(-INFINITY), v(NAN), v(0), v(1),
                   v(3e38f), v(-3e38f), v(0), v(INFINITY), v(0), v(1)},
             .labels = {1, 1, 0, 2, 0, 1}};   // the second row's loss is infinite, the third and later ones' NaN but for the fifth
  check(b, false, true, false);
}

TYPED_TEST(CudaCrossEntropy, ImpossibleProbabilitiesAreMarked) {
  using T = TypeParam;
  for (float bad : {-0.1f, 1.1f, NAN}) {
    Batch<T> b = batch<T>({3, 70}, true, false, 0);
    b.probabilities[70 + 69] = bad;
    DeviceArray<T> x(b.x);
    DeviceArray<float> p(b.probabilities), loss(3), kept(9);
    cross_entropy_forward(Cuda{}, static_cast<const T*>(x.data()), CrossEntropyTarget<T>{.probabilities = p.data()}, loss.data(),
                          kept.data(), b.s);
    const std::vector<float> k = kept.host(), l = loss.host();
    EXPECT_GT(k[2], 0);
    EXPECT_EQ(k[5], -1) << bad;
    EXPECT_GT(k[8], 0);
    EXPECT_TRUE(l[0] > 0 && std::isnan(l[1]) && l[2] > 0) << bad;
  }
}

TYPED_TEST(CudaCrossEntropy, ImpossibleLabelsGiveNaN) {
  using T = TypeParam;
  for (std::int64_t bad : {-1, 70}) {
    Batch<T> b = batch<T>({3, 70}, false, false, 0.1f);
    b.labels[1] = bad;
    DeviceArray<T> x(b.x);
    DeviceArray<std::int64_t> labels(b.labels);
    DeviceArray<float> loss(3), kept(9);
    cross_entropy_forward(Cuda{}, static_cast<const T*>(x.data()), CrossEntropyTarget<T>{.labels = labels.data()}, loss.data(), kept.data(),
                          b.s);
    const std::vector<float> l = loss.host();
    EXPECT_TRUE(l[0] > 0 && std::isnan(l[1]) && l[2] > 0) << bad;
  }
}

TYPED_TEST(CudaCrossEntropy, BytesAreTheContracts) {
  using T = TypeParam;
  const RowShape s{8, 1024};
  const std::size_t n = 8 * 1024;
  Batch<T> hard = batch<T>(s, false, false, 0.1f), soft = batch<T>(s, true, false, 0.1f);
  DeviceArray<T> x(hard.x), dx(n);
  DeviceArray<std::int64_t> labels(hard.labels);
  DeviceArray<float> p(soft.probabilities), loss(8), kept(24), dloss(spread<float>(8, 4));
  for (bool is_soft : {false, true}) {
    const std::string name = is_soft ? "with soft targets (8, 1024)" : "(8, 1024)";
    const CrossEntropyTarget<T> t{
        .labels = is_soft ? nullptr : labels.data(), .probabilities = is_soft ? p.data() : nullptr, .smoothing = 0.1f};
    const std::size_t read = n * (sizeof(T) + (is_soft ? 4 : 0));
    expect_traffic(
        read, [&] { cross_entropy_forward(Cuda{}, static_cast<const T*>(x.data()), t, loss.data(), kept.data(), s); },
        "cross-entropy " + name);
    expect_traffic(
        read + n * sizeof(T),
        [&] {
          cross_entropy_backward(Cuda{}, static_cast<const T*>(x.data()), t, static_cast<const float*>(kept.data()),
                                 static_cast<const float*>(dloss.data()), dx.data(), s, false);
        },
        "cross-entropy, gradient " + name);
  }
}

}   // namespace
}   // namespace fovea::kernels
