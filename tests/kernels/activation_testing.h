// activation_testing.h: what tests of activations share on every backend: the functions, where they are looked at, and what they may err.
#pragma once

#include <limits>

#include "kernels/activation.h"
#include "tests/kernels/variants.h"

namespace fovea::kernels {

constexpr Activation kActivations[] = {Activation::none,         Activation::relu,      Activation::relu6,   Activation::silu,
                                       Activation::gelu,         Activation::gelu_tanh, Activation::sigmoid, Activation::tanh,
                                       Activation::hard_sigmoid, Activation::hard_swish};

/// Points on both sides of every bend, of where exp overflows, and what is no number: `far` apart, and `near` apart around 0.
template <class T> std::vector<T> activation_points(float far, float near) {
  constexpr float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  std::vector<T> x;
  for (float v = -95; v < 95; v += far) x.push_back(T(v));
  for (float v = -7; v < 7; v += near) x.push_back(T(v));
  for (float v : {0.f, -0.f, 3.f, -3.f, 6.f, 1e30f, -1e30f, inf, -inf, nan, 1e-20f}) x.push_back(T(v));
  return x;
}

/// Each activation at x against Reference on the same rounded inputs. forward(a, x) gives y; backward(a, kept, dy, old) gives dx, added to
/// `old` if that is not null.
///
/// Each formula is a handful of operations in float, with exp and its kin at 3 ulp: 8 ulp of the value; where terms of the size of x
/// cancel (1 + erf), 2^-21, for |x| below 8, after which nothing is left to cancel. In the derivatives of silu and gelu a rounding of
/// the exponent (below 16) is multiplied by x times a slope: 2^-19, dy being below 1.
template <class T, class Forward, class Backward>
void check_activations(const std::vector<T>& x, const Forward& forward, const Backward& backward) {
  const double u = unit_roundoff<T> + 8 * 0x1p-23, absolute = 0x1p-21, of_gradient = 0x1p-19;
  const auto n = std::int64_t(x.size());
  const auto dy = spread<T>(n, 1), old = spread<T>(n, 2);
  const auto fx = as<float>(x), fdy = as<float>(dy);
  for (const Activation a : kActivations) {
    SCOPED_TRACE(int(a));
    std::vector<float> y(x.size()), dx(x.size()), sum = as<float>(old);
    activation_forward(Reference{}, a, fx.data(), y.data(), n);
    const std::vector<T> kept = from_output(a) ? as<T>(y) : x;   // what the op keeps, rounded
    const auto fkept = as<float>(kept);
    activation_backward(Reference{}, a, fkept.data(), fdy.data(), dx.data(), n, false);
    activation_backward(Reference{}, a, fkept.data(), fdy.data(), sum.data(), n, true);
    expect_close(forward(a, x), y, u, absolute, "value");
    expect_close(backward(a, kept, dy, static_cast<const std::vector<T>*>(nullptr)), dx, u, of_gradient, "gradient");
    expect_close(backward(a, kept, dy, &old), sum, u, of_gradient, "gradient, accumulated");
  }
}

}   // namespace fovea::kernels
