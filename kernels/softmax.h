// softmax.h: softmax and its logarithm over the last axis, forward and backward. Bridle 1990, "Probabilistic interpretation of
// feedforward classification network outputs".
//
// The largest entry is taken away first: that changes nothing but the range, so exp cannot overflow. An entry of -inf gets weight 0; a
// row without a finite entry, with +inf or with a NaN is NaN all over. Forward moves 8 B an element of float, backward 12 B.
#pragma once

#include "kernels/backend.h"
#include "kernels/bfloat16.h"

namespace fovea::kernels {

/// y[r,j] = exp(x[r,j] - max_r) / sum_i exp(x[r,i] - max_r).   x, y (rows, cols); y may be x.
template <class T> void softmax_forward(Reference, const T* x, T* y, RowShape s);
template <class T> void softmax_forward(Cpu, const T* x, T* y, RowShape s);
template <class T> void softmax_forward(Cuda, const T* x, T* y, RowShape s);
/// dx = y * (dy - <dy, y>_row). Needs the output y only. dx may be dy.
template <class T> void softmax_backward(Reference, const T* y, const T* dy, T* dx, RowShape s, bool accumulate);
template <class T> void softmax_backward(Cpu, const T* y, const T* dy, T* dx, RowShape s, bool accumulate);
template <class T> void softmax_backward(Cuda, const T* y, const T* dy, T* dx, RowShape s, bool accumulate);

/// y[r,j] = x[r,j] - max_r - log sum_i exp(x[r,i] - max_r): exact where softmax itself would round to 0 or 1. y may be x.
template <class T> void log_softmax_forward(Reference, const T* x, T* y, RowShape s);
template <class T> void log_softmax_forward(Cpu, const T* x, T* y, RowShape s);
template <class T> void log_softmax_forward(Cuda, const T* x, T* y, RowShape s);
/// dx = dy - exp(y) * sum_row dy. Needs the output y only. dx may be dy.
template <class T> void log_softmax_backward(Reference, const T* y, const T* dy, T* dx, RowShape s, bool accumulate);
template <class T> void log_softmax_backward(Cpu, const T* y, const T* dy, T* dx, RowShape s, bool accumulate);
template <class T> void log_softmax_backward(Cuda, const T* y, const T* dy, T* dx, RowShape s, bool accumulate);

}   // namespace fovea::kernels
