// Initial weights: moments, bounds, and that a seed repeats them.
#include "nn/init.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "nn/conv2d.h"
#include "nn/linear.h"

namespace fovea::nn {
namespace {

struct Moments {
  double mean = 0, variance = 0, kurtosis = 0, largest = 0;
};

Moments moments(const Tensor& t) {
  const std::vector<double> x = t.to_vector<double>();
  const auto n = static_cast<double>(x.size());
  Moments m;
  for (const double v : x) m.mean += v / n, m.largest = std::max(m.largest, std::abs(v));
  double fourth = 0;
  for (const double v : x) m.variance += std::pow(v - m.mean, 2) / n, fourth += std::pow(v - m.mean, 4) / n;
  m.kurtosis = fourth / (m.variance * m.variance);
  return m;
}

// Sampling errors of n = 36,864 numbers: the mean's sigma is std / sqrt(n), the variance's about variance * sqrt(2 / n), the normal
// kurtosis' sqrt(24 / n) = 0.026. All tests allow five of them.
TEST(Init, HeNormalHasVarianceTwoOverFan) {
  const Shape weight{64, 3, 3, 64};
  for (const Fan fan : {Fan::in, Fan::out}) {
    const Moments m = moments(he_normal(weight, fan, kReluGain, RandomKey{.seed = 1}));
    const double expected = 2. / 576, n = 64 * 576;
    EXPECT_NEAR(m.mean, 0, 5 * std::sqrt(expected / n));
    EXPECT_NEAR(m.variance, expected, 5 * expected * std::sqrt(2 / n));
    EXPECT_NEAR(m.kurtosis, 3, 0.13);   // a uniform distribution has 1.8
  }
}

TEST(Init, FansCountTheTermsOfASum) {
  EXPECT_EQ(fan_of({64, 3, 5, 32}, Fan::in), 3 * 5 * 32);
  EXPECT_EQ(fan_of({64, 3, 5, 32}, Fan::out), 64 * 3 * 5);
  EXPECT_EQ(fan_of({10, 512}, Fan::in), 512);
  EXPECT_EQ(fan_of({10, 512}, Fan::out), 10);
  EXPECT_THROW(fan_of({10}, Fan::in), ShapeError);
  EXPECT_THROW(fan_of({0, 3}, Fan::out), ShapeError);
}

TEST(Init, HeUniformHasTheSameVarianceAndABound) {
  const Moments m = moments(he_uniform({64, 3, 3, 64}, Fan::in, kReluGain, RandomKey{.seed = 1}));
  const double expected = 2. / 576, bound = std::sqrt(6. / 576), n = 64 * 576;
  EXPECT_NEAR(m.mean, 0, 5 * std::sqrt(expected / n));
  EXPECT_NEAR(m.variance, expected, 5 * expected * std::sqrt(0.8 / n));   // uniform: kurtosis - 1 = 0.8
  EXPECT_LE(m.largest, bound * (1 + 1e-6));
  EXPECT_GE(m.largest, bound * 0.999);
}

// relu(W x) layer after layer: the mean square of the activations stays, which is what the gain is for.
TEST(Init, KeepsTheSizeOfActivationsThroughDeepNetworks) {
  const std::int64_t width = 256;
  std::vector<double> x = Tensor::randn({width}, RandomKey{.seed = 7}).to_vector<double>();
  const auto mean_square = [](const std::vector<double>& v) {
    double s = 0;
    for (const double a : v) s += a * a / static_cast<double>(v.size());
    return s;
  };
  const double before = mean_square(x);
  for (std::uint64_t layer = 0; layer < 20; ++layer) {
    const std::vector<double> w = he_normal({width, width}, Fan::in, kReluGain, RandomKey{.seed = 9, .stream = layer}).to_vector<double>();
    std::vector<double> y(x.size());
    for (std::size_t i = 0; i < y.size(); ++i) {
      for (std::size_t j = 0; j < x.size(); ++j) y[i] += w[i * x.size() + j] * x[j];
      y[i] = std::max(y[i], 0.);
    }
    x = y;
  }
  // Each layer multiplies by 1 +- sqrt(5 / 256) = 14 %; twenty of them, by a factor of up to about e^(2 * 0.14 * sqrt(20)) = 3.5 (two
  // sigma). Without the gain it would be 2^-20.
  EXPECT_GT(mean_square(x), before / 4);
  EXPECT_LT(mean_square(x), before * 4);
}

TEST(Init, LayersStartAsDocumented) {
  manual_seed(11);
  const Moments conv = moments(Conv2d({.in = 32, .out = 64, .kernel = 3}).weight().value());
  EXPECT_NEAR(conv.variance, 2. / (64 * 9), 0.1 * 2. / (64 * 9));   // fan_out = 576, not fan_in = 288; n = 18,432: 5 sigma = 5 %
  EXPECT_EQ(moments(Conv2d({.in = 3, .out = 4}).parameters()[1].second->value.value()).largest, 0);

  Linear linear({.in = 400, .out = 300});
  for (const auto& [name, p] : linear.parameters()) {
    const Moments m = moments(p->value.value());
    EXPECT_LE(m.largest, (1 + 1e-6) / 20) << name;   // 1 / sqrt(400)
    EXPECT_GE(m.largest, 0.97 / 20) << name;
  }
}

TEST(Init, ASeedRepeatsAndLayersDiffer) {
  const auto weights = [](std::uint64_t seed) {
    manual_seed(seed);
    Linear a({.in = 5, .out = 3}), b({.in = 5, .out = 3});
    return std::pair(a.weight().value().to_vector<float>(), b.weight().value().to_vector<float>());
  };
  EXPECT_EQ(weights(4), weights(4));
  EXPECT_NE(weights(4), weights(5));
  EXPECT_NE(weights(4).first, weights(4).second);
}

}   // namespace
}   // namespace fovea::nn
