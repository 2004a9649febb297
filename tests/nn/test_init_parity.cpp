// test_init_parity.cpp: the initialisers against PyTorch's, by their moments (tests/parity/init.py), and the orthogonal one by its law.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <tuple>

#include "nn/batch_norm.h"
#include "nn/init.h"
#include "tests/op_testing.h"

namespace fovea::nn {
namespace {

struct Case {
  const char* name;
  std::function<Tensor(RandomKey)> make;
};

const Shape kShape{1000, 1000};   // as in the script
const Case kCases[] = {
    {"xavier_normal", [](RandomKey k) { return xavier_normal(kShape, 1.5, k); }},
    {"xavier_uniform", [](RandomKey k) { return xavier_uniform(kShape, 1.5, k); }},
    {"he_normal_in", [](RandomKey k) { return he_normal(kShape, Fan::in, kReluGain, k); }},
    {"he_normal_out", [](RandomKey k) { return he_normal(kShape, Fan::out, kReluGain, k); }},
    {"he_uniform_in", [](RandomKey k) { return he_uniform(kShape, Fan::in, kReluGain, k); }},
    {"he_uniform_leaky", [](RandomKey k) { return he_uniform(kShape, Fan::in, leaky_relu_gain(0.2), k); }},
    {"truncated_narrow", [](RandomKey k) { return truncated_normal(kShape, 0.5, 2, -1, 1.5, k); }},
    {"truncated_usual", [](RandomKey k) { return truncated_normal(kShape, 0, 0.02, -2, 2, k); }},
    {"truncated_right", [](RandomKey k) { return truncated_normal(kShape, 0, 1, 1, 3, k); }},
};

// A million numbers here and there: the difference of two means has sigma std sqrt(2e-6), of two variances at most variance times
// sqrt(2 * 2e-6), of two kurtoses at most sqrt(24 * 2e-6): five of each. Bounded distributions reach their ends to 1e-3 of their width.
TEST(InitParity, MomentsAreThoseOfPyTorch) {
  const Stored stored("init");
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.name);
    const auto want = stored[c.name].to_vector<double>();
    const auto w = c.make(RandomKey{.seed = 3}).to_vector<double>();
    double mean = 0, variance = 0, fourth = 0;
    for (const double v : w) mean += v / 1e6;
    for (const double v : w) variance += std::pow(v - mean, 2) / 1e6, fourth += std::pow(v - mean, 4) / 1e6;
    const double std = std::sqrt(want[1]);
    EXPECT_NEAR(mean, want[0], 5 * std * std::sqrt(2e-6));
    EXPECT_NEAR(variance, want[1], 5 * want[1] * std::sqrt(4e-6));
    EXPECT_NEAR(fourth / (variance * variance), want[2], 5 * std::sqrt(48e-6));
    if (want[2] > 2.7) continue;   // no bounds to speak of
    EXPECT_NEAR(*std::min_element(w.begin(), w.end()), want[3], 1e-3 * (want[4] - want[3]));
    EXPECT_NEAR(*std::max_element(w.begin(), w.end()), want[4], 1e-3 * (want[4] - want[3]));
  }
}

TEST(Init, TruncatedStaysWithinItsBoundsHoweverFarOut) {
  for (const auto& [mean, a, b] : {std::tuple{0., 8., 9.}, {0., -9., -8.}, {0., -50., -49.}, {0., 49., 50.}, {3., 2.9, 3.}}) {
    const auto w = truncated_normal({1000}, mean, 1, a, b, RandomKey{.seed = 1}).to_vector<double>();
    for (const double v : w) EXPECT_TRUE(v >= a - 1e-5 && v <= b + 1e-5) << v << " in " << a << ", " << b;
  }
  const auto right = truncated_normal({1000}, 0, 1, 8, 9, RandomKey{.seed = 1}).to_vector<double>();
  const double mean = std::accumulate(right.begin(), right.end(), 0.) / 1000;
  EXPECT_NEAR(mean, 8.1211, 0.02);   // phi(8) / Q(8) - ...: the tail falls off like e^-8x
  EXPECT_THROW(truncated_normal({3}, 0, 0, -1, 1, RandomKey{}), ShapeError);
  EXPECT_THROW(truncated_normal({3}, 0, 1, 1, 1, RandomKey{}), ShapeError);
}

TEST(Init, OrthogonalRowsOrColumns) {
  for (const Shape& shape : {Shape{7, 3, 3, 2}, {20, 5}, {16, 16}, {1, 4}, {5, 1}}) {
    const double gain = 1.5;
    const auto w = orthogonal(shape, gain, RandomKey{.seed = 2}).to_vector<double>();
    const std::int64_t rows = shape[0], cols = shape.elements() / rows;
    const bool wide = rows <= cols;
    const std::int64_t count = wide ? rows : cols, length = wide ? cols : rows;
    for (std::int64_t i = 0; i < count; ++i)
      for (std::int64_t j = 0; j < count; ++j) {
        double dot = 0;
        for (std::int64_t k = 0; k < length; ++k)
          dot += w[static_cast<std::size_t>(wide ? i * cols + k : k * cols + i)] *
                 w[static_cast<std::size_t>(wide ? j * cols + k : k * cols + j)];
        EXPECT_NEAR(dot, i == j ? gain * gain : 0, 1e-6);   // rounded to float
      }
  }
  EXPECT_THROW(orthogonal({4}, 1, RandomKey{}), ShapeError);
}

// The first entry of a uniformly distributed orthogonal 3 x 3 matrix is uniform in [-1, 1] (Archimedes); a QR decomposition without
// fixed signs would make it negative always.
TEST(Init, OrthogonalIsUniformlyDistributed) {
  double mean = 0, variance = 0;
  for (std::uint64_t i = 0; i < 4000; ++i) {
    const double v = orthogonal({3, 3}, 1, RandomKey{.seed = 6, .stream = i}).to_vector<double>()[0];
    mean += v / 4000, variance += v * v / 4000;
  }
  EXPECT_NEAR(mean, 0, 5 * std::sqrt(1. / 3 / 4000));
  EXPECT_NEAR(variance, 1. / 3, 5 * std::sqrt(4. / 45 / 4000));
}

TEST(Init, ZeroGammaMakesANormPutOutItsBias) {
  BatchNorm2d norm({.channels = 3});
  zero_gamma(norm);
  for (const float v : norm.parameter("weight").value().to_vector<float>()) EXPECT_EQ(v, 0);
  for (const float v : norm(Variable(Tensor::randn({2, 3, 3, 3}, RandomKey{1}))).value().to_vector<float>()) EXPECT_EQ(v, 0);
}

}   // namespace
}   // namespace fovea::nn
