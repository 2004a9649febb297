// elementwise.h: arithmetic on arrays of equal length. y may be any of the inputs.
#pragma once

#include "kernels/backend.h"
#include "kernels/bfloat16.h"

namespace fovea::kernels {

// The formulas, in the form that the map skeletons of each backend take (map_reference.h, cpu/map.h).
struct Add {
  template <class V> FOVEA_INLINE static V value(V a, V b) { return a + b; }
};
struct Scale {
  double factor;
  template <class V> FOVEA_INLINE V value(V x) const { return V(factor) * x; }
};

/// y = a + b
template <class T> void add(Reference, const T* a, const T* b, T* y, std::int64_t n);
template <class T> void add(Cpu, const T* a, const T* b, T* y, std::int64_t n);
/// y = factor * x, or y += factor * x
template <class T> void scale(Reference, const T* x, acc_t<T> factor, T* y, std::int64_t n, bool accumulate);
template <class T> void scale(Cpu, const T* x, acc_t<T> factor, T* y, std::int64_t n, bool accumulate);

/// y = x in another dtype, rounded to nearest even; From and To are two of float, double and bfloat16. Denormal numbers are kept.
template <class From, class To> void convert(const From* x, To* y, std::int64_t n);

}   // namespace fovea::kernels
