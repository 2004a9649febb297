// init.cpp: numbers from Philox, scaled.
#include "nn/init.h"

#include <cmath>

namespace fovea::nn {

std::int64_t fan_of(const Shape& weight, Fan fan) {
  require(weight.rank() == 4 || weight.rank() == 2, "fan_of: expected weight (K, R, S, C) or (out, in), got ", weight);
  const std::int64_t n = weight.elements() / weight[fan == Fan::in ? 0 : -1];
  require(n > 0, "fan_of: expected a weight with elements, got ", weight);
  return n;
}

Tensor he_normal(const Shape& weight, Fan fan, double gain, RandomKey key) {
  const double std = gain / std::sqrt(static_cast<double>(fan_of(weight, fan)));
  Tensor t = Tensor::randn(weight, key);
  float* w = t.data<float>();
  for (std::int64_t i = 0, n = t.elements(); i < n; ++i) w[i] = static_cast<float>(std * w[i]);
  return t;
}

Tensor he_uniform(const Shape& weight, Fan fan, double gain, RandomKey key) {
  return uniform(weight, gain * std::sqrt(3 / static_cast<double>(fan_of(weight, fan))), key);
}

Tensor uniform(const Shape& shape, double bound, RandomKey key) {
  Tensor t = Tensor::rand(shape, key);
  float* w = t.data<float>();
  for (std::int64_t i = 0, n = t.elements(); i < n; ++i) w[i] = static_cast<float>(bound * (2. * w[i] - 1));
  return t;
}

}   // namespace fovea::nn
