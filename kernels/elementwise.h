// elementwise.h: arithmetic on arrays of equal length. y may be any of the inputs.
#pragma once

#include "kernels/backend.h"
#include "kernels/bfloat16.h"

namespace fovea::kernels {

// The formulas, in the form that the map skeletons of each backend take (map_reference.h, cpu/map.h).
struct Identity {
  template <class V> FOVEA_INLINE static V value(V x) { return x; }
};
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
/// y = max(x, 0)
template <class T> void relu_forward(Reference, const T* x, T* y, std::int64_t n);
template <class T> void relu_forward(Cpu, const T* x, T* y, std::int64_t n);
/// dx = dy where y > 0. Needs the output only. dx may be dy.
template <class T> void relu_backward(Reference, const T* y, const T* dy, T* dx, std::int64_t n, bool accumulate);
template <class T> void relu_backward(Cpu, const T* y, const T* dy, T* dx, std::int64_t n, bool accumulate);

/// y = x in another dtype, rounded to nearest even; From and To are two of float, double and bfloat16. Denormal numbers are kept.
template <class From, class To> void convert(const From* x, To* y, std::int64_t n);

}   // namespace fovea::kernels
