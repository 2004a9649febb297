// init.cpp: numbers from Philox, scaled.
#include "nn/init.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/parallel.h"
#include "kernels/random_fill.h"

namespace fovea::nn {

namespace {

thread_local bool no_init = false;

/// Whether numbers are wanted at all.
bool drawing() { return !no_init && default_device() != Device::meta; }

/// fill(w, n) writes the weights, unless nobody wants them.
template <class F> Tensor drawn(const Shape& shape, const F& fill) {
  if (!drawing()) return Tensor::zeros(shape);
  Tensor t = Tensor::empty(shape, DType::f32, on_host(default_device()) ? default_device() : Device::cpu);
  fill(t.data<float>(), t.elements());
  return t.to(default_device());
}

/// w[i] = f(i), computed in double and rounded once.
template <class F> Tensor filled(const Shape& shape, const F& f) {
  return drawn(shape, [&](float* w, std::int64_t n) {
    constexpr std::int64_t kChunk = 1 << 14;
    kernels::parallel_for((n + kChunk - 1) / kChunk, [&](std::int64_t chunk) {
      for (std::int64_t i = chunk * kChunk; i < std::min(n, (chunk + 1) * kChunk); ++i)
        w[i] = static_cast<float>(f(static_cast<std::uint64_t>(i)));
    });
  });
}

double fan_sum(const Shape& weight) { return static_cast<double>(fan_of(weight, Fan::in) + fan_of(weight, Fan::out)); }

/// Phi(z): the probability that N(0, 1) is below z.
double normal_cdf(double z) { return 0.5 * std::erfc(-z / std::sqrt(2.)); }

/// Its inverse for 0 < p <= 1/2: a rational approximation (P. J. Acklam 2003, relative error 1e-9), then one step of Halley's method.
double lower_quantile(double p) {
  double z;
  if (p < 0.02425) {
    const double q = std::sqrt(-2 * std::log(p));
    z = (((((-7.784894002430293e-03 * q - 3.223964580411365e-01) * q - 2.400758277161838e+00) * q - 2.549732539343734e+00) * q +
          4.374664141464968e+00) *
             q +
         2.938163982698783e+00) /
        ((((7.784695709041462e-03 * q + 3.224671290700398e-01) * q + 2.445134137142996e+00) * q + 3.754408661907416e+00) * q + 1);
  } else {
    const double q = p - 0.5, r = q * q;
    z = (((((-3.969683028665376e+01 * r + 2.209460984245205e+02) * r - 2.759285104469687e+02) * r + 1.383577518672690e+02) * r -
          3.066479806614716e+01) *
             r +
         2.506628277459239e+00) *
        q /
        (((((-5.447609879822406e+01 * r + 1.615858368580409e+02) * r - 1.556989798598866e+02) * r + 6.680131188771972e+01) * r -
          1.328068155288572e+01) *
             r +
         1);
  }
  const double u = (normal_cdf(z) - p) * std::sqrt(2 * 3.14159265358979323846) * std::exp(z * z / 2);   // Newton's step
  return z - u / (1 + z * u / 2);
}
double normal_quantile(double p) {
  p = std::clamp(p, 0x1p-1000, 1 - 0x1p-53);   // -37 and 8 deviations, instead of infinities
  return p <= 0.5 ? lower_quantile(p) : -lower_quantile(1 - p);
}

}   // namespace

NoInit::NoInit() : previous_(no_init) { no_init = true; }
NoInit::~NoInit() { no_init = previous_; }

std::int64_t fan_of(const Shape& weight, Fan fan) {
  require(weight.rank() == 4 || weight.rank() == 2, "fan_of: expected weight (K, R, S, C) or (out, in), got ", weight);
  require(weight.elements() > 0, "fan_of: expected a weight with elements, got ", weight);
  return weight.elements() / weight[fan == Fan::in ? 0 : -1];
}

double leaky_relu_gain(double slope) { return std::sqrt(2 / (1 + slope * slope)); }

Tensor he_normal(const Shape& weight, Fan fan, double gain, RandomKey key) {
  return normal(weight, gain / std::sqrt(static_cast<double>(fan_of(weight, fan))), key);
}
Tensor he_uniform(const Shape& weight, Fan fan, double gain, RandomKey key) {
  return uniform(weight, gain * std::sqrt(3 / static_cast<double>(fan_of(weight, fan))), key);
}

Tensor xavier_normal(const Shape& weight, double gain, RandomKey key) { return normal(weight, gain * std::sqrt(2 / fan_sum(weight)), key); }
Tensor xavier_uniform(const Shape& weight, double gain, RandomKey key) {
  return uniform(weight, gain * std::sqrt(6 / fan_sum(weight)), key);
}

/// Gram-Schmidt on vectors of normal numbers. What is left of each is projected twice, which makes them orthogonal to rounding (Giraud,
/// Langou & Rozloznik 2005). It is the Q of a QR decomposition whose R has a positive diagonal, the one that is distributed uniformly.
/// 4 min(rows, cols) rows cols flops.
Tensor orthogonal(const Shape& weight, double gain, RandomKey key) {
  require(weight.rank() >= 2 && weight.elements() > 0, "orthogonal: expected a weight (out, ...) with elements, got ", weight);
  if (!drawing()) return Tensor::zeros(weight);
  const std::int64_t rows = weight[0], cols = weight.elements() / rows, count = std::min(rows, cols), length = std::max(rows, cols);
  std::vector<double> q(static_cast<std::size_t>(count * length));   // vector v lies at q[v * length]
  for (std::size_t i = 0; i < q.size(); ++i) q[i] = key.normal(i);
  const auto dot = [&](const double* a, const double* b) {
    double sum = 0;
    for (std::int64_t i = 0; i < length; ++i) sum += a[i] * b[i];
    return sum;
  };
  for (std::int64_t v = 0; v < count; ++v) {
    double* x = &q[static_cast<std::size_t>(v * length)];
    for (int pass = 0; pass < 2; ++pass)
      for (std::int64_t u = 0; u < v; ++u) {
        const double* e = &q[static_cast<std::size_t>(u * length)];
        const double share = dot(x, e);
        for (std::int64_t i = 0; i < length; ++i) x[i] -= share * e[i];
      }
    const double inverse = 1 / std::sqrt(dot(x, x));
    for (std::int64_t i = 0; i < length; ++i) x[i] *= inverse;
  }
  return filled(weight, [&](std::uint64_t i) {
    const auto r = static_cast<std::int64_t>(i) / cols, c = static_cast<std::int64_t>(i) % cols;
    return gain * q[static_cast<std::size_t>(rows <= cols ? r * length + c : c * length + r)];
  });
}

/// By inversion: Phi^-1 of a uniform number between Phi of both bounds. If both lie above the mean, the mirror image is drawn: Phi is
/// exact near 0, not near 1.
Tensor truncated_normal(const Shape& shape, double mean, double std, double a, double b, RandomKey key) {
  require(std > 0 && a < b, "truncated_normal: expected std > 0 and a < b, got std ", std, ", a ", a, ", b ", b);
  if (mean == 0 && std::min(-a, b) > 9 * std) return normal(shape, std, key);   // nothing to cut: 2^-62 of all draws lie outside
  const double sign = a > mean ? -1 : 1;
  const double low = normal_cdf(sign * ((sign > 0 ? a : b) - mean) / std), high = normal_cdf(sign * ((sign > 0 ? b : a) - mean) / std);
  return filled(shape, [&](std::uint64_t i) {
    return std::clamp(mean + sign * std * normal_quantile(low + (high - low) * key.uniform_f64(i)), a, b);
  });
}

Tensor normal(const Shape& shape, double std, RandomKey key) {
  return drawn(shape, [&](float* w, std::int64_t n) { kernels::fill_normal(kernels::Cpu{}, w, n, std, {key.seed, key.stream}); });
}

Tensor uniform(const Shape& shape, double bound, RandomKey key) {
  return drawn(shape, [&](float* w, std::int64_t n) { kernels::fill_uniform(kernels::Cpu{}, w, n, bound, {key.seed, key.stream}); });
}

void zero_gamma(Module& norm) {
  Variable& gamma = norm.parameter("weight");
  gamma.assign(Tensor::zeros_like(gamma.value()));
}

}   // namespace fovea::nn
