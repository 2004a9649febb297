// map_reference.h: the elementwise skeletons of the Reference backend. A formula is a struct with value(x...) and, if it has
// one, gradient(x_or_y, dy), generic over its number type; it is evaluated in double and rounded once.
#pragma once

#include <cstdint>

namespace fovea::kernels {

/// y[i] = f.value(x[i]...) for i < n, or += with accumulate. y may be any of the inputs.
template <class F, class T, class... X> void map(std::int64_t n, F f, T* y, bool accumulate, const X*... x) {
  for (std::int64_t i = 0; i < n; ++i) {
    const double value = f.value(double(x[i])...);
    y[i] = T(accumulate ? y[i] + value : value);
  }
}

/// dx[i] = f.gradient(x_or_y[i], dy[i]), or += with accumulate. dx may be dy.
template <class F, class T> void map_gradient(std::int64_t n, F f, T* dx, bool accumulate, const T* x_or_y, const T* dy) {
  for (std::int64_t i = 0; i < n; ++i) {
    const double value = f.gradient(double(x_or_y[i]), double(dy[i]));
    dx[i] = T(accumulate ? dx[i] + value : value);
  }
}

}   // namespace fovea::kernels
