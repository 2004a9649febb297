// moving_average.h: averages of weights, over a flat run of parameters. In place, so each runs at the speed of memory. Sources:
// optim/average.h.
#pragma once

#include "kernels/backend.h"
#include "kernels/math.h"

namespace fovea::kernels {

/// Of one parameter.
struct Toward {
  double weight;
  template <class V> FOVEA_INLINE V value(V a, V w) const { return fma(V(weight), w - a, a); }
};
/// a = a + weight * (w - a): an exponential average with decay 1 - weight, or with weight = 1 / (n + 1) the equal average of n + 1.
/// Reads 8 B and writes 4 B for each float32 parameter. T is float or double.
template <class T> void moving_average(Reference, T* a, const T* w, double weight, std::int64_t n);
template <class T> void moving_average(Cpu, T* a, const T* w, double weight, std::int64_t n);
template <class T> void moving_average(Cuda, T* a, const T* w, double weight, std::int64_t n);
/// a, b = b, a. Reads 8 B and writes 8 B. The arrays do not overlap.
template <class T> void exchange(Reference, T* a, T* b, std::int64_t n);
template <class T> void exchange(Cpu, T* a, T* b, std::int64_t n);
template <class T> void exchange(Cuda, T* a, T* b, std::int64_t n);

}   // namespace fovea::kernels
