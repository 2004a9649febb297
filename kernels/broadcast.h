// broadcast.h: y = a + b, a - b, a * b, a / b where a and b may repeat along some axes: a bias (C) on (N, H, W, C), a gate (N, 1, 1, C), a
// positional embedding (1, T, C), a scalar. The rules are NumPy's; whoever calls has turned them into steps of 0.
//
// Gradients are products and quotients of this kind, summed over repetitions (dot_axis and sum_axis of reduce.h): autograd/arithmetic.h.
// Without a repetition 12 B an element of float32 must move, with one operand small 8 B.
#pragma once

#include "kernels/backend.h"
#include "kernels/bfloat16.h"
#include "kernels/loop_nest.h"

namespace fovea::kernels {

enum class Arithmetic { add, sub, mul, div };

// The formulas, for the skeletons of each backend.
struct Addition {
  template <class V> FOVEA_INLINE static V value(V a, V b) { return a + b; }
};
struct Subtraction {
  template <class V> FOVEA_INLINE static V value(V a, V b) { return a - b; }
};
struct Multiplication {
  template <class V> FOVEA_INLINE static V value(V a, V b) { return a * b; }
};
struct Division {
  template <class V> FOVEA_INLINE static V value(V a, V b) { return a / b; }
};

struct Affine {
  double factor, shift;
  template <class V> FOVEA_INLINE V value(V x) const { return V(factor) * x + V(shift); }
};

/// Axes from the outermost to the innermost of y, with the step of each array along them in elements. No two elements of y are one.
struct BroadcastShape {
  int rank = 0;
  std::int64_t extent[kMaxAxes] = {}, a_step[kMaxAxes] = {}, b_step[kMaxAxes] = {}, y_step[kMaxAxes] = {};
};

/// y = a op b, or y += a op b. y may be a or b where that steps as y does. One rounding an element; memory-bound.
template <class T> void broadcast(Reference, Arithmetic op, const T* a, const T* b, T* y, const BroadcastShape& s, bool accumulate);
template <class T> void broadcast(Cpu, Arithmetic op, const T* a, const T* b, T* y, const BroadcastShape& s, bool accumulate);
template <class T> void broadcast(Cuda, Arithmetic op, const T* a, const T* b, T* y, const BroadcastShape& s, bool accumulate);

/// y = factor * x + shift, or +=: arithmetic with a number, which is not rounded to T. y may be x.
template <class T> void affine(Reference, const T* x, acc_t<T> factor, acc_t<T> shift, T* y, std::int64_t n, bool accumulate);
template <class T> void affine(Cpu, const T* x, acc_t<T> factor, acc_t<T> shift, T* y, std::int64_t n, bool accumulate);
template <class T> void affine(Cuda, const T* x, acc_t<T> factor, acc_t<T> shift, T* y, std::int64_t n, bool accumulate);

}   // namespace fovea::kernels
