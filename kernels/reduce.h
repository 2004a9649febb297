// reduce.h: sums, squared deviations and maxima along one axis of (outer, axis, inner), and the gradients that are no plain repetition.
// Several neighbouring axes are one axis. The order of every sum depends on the shape alone, so the bits do too. Each reads its inputs
// once: 4 B an element of float32. The gradient of a sum is dy repeated along the axis (autograd/reductions.h).
#pragma once

#include "kernels/backend.h"
#include "kernels/bfloat16.h"

namespace fovea::kernels {

/// x (outer, axis, inner) -> y (outer, inner): x[o, a, i] counts for y[o, i]. inner = 1: the rows of a matrix; outer = 1: its columns.
struct AxisShape {
  std::int64_t outer, axis, inner;
};

template <class T> std::size_t reduce_workspace_bytes(Reference, AxisShape s);
template <class T> std::size_t reduce_workspace_bytes(Cpu, AxisShape s);
template <class T> std::size_t reduce_workspace_bytes(Cuda, AxisShape s);

/// y = factor * sum_a x. 0 along an empty axis. Cpu: 16 lanes and tiles of fixed size in float, joined in order in double; x is read once.
template <class T> void sum_axis(Reference, const T* x, acc_t<T> factor, acc_t<T>* y, AxisShape s, bool accumulate, void* workspace);
template <class T> void sum_axis(Cpu, const T* x, acc_t<T> factor, acc_t<T>* y, AxisShape s, bool accumulate, void* workspace);
template <class T> void sum_axis(Cuda, const T* x, acc_t<T> factor, acc_t<T>* y, AxisShape s, bool accumulate, void* workspace);
/// y = factor * sum_a x z, both shaped like x: the gradient of a factor that was repeated along the axis.
template <class T>
void dot_axis(Reference, const T* x, const T* z, acc_t<T> factor, acc_t<T>* y, AxisShape s, bool accumulate, void* workspace);
template <class T> void dot_axis(Cpu, const T* x, const T* z, acc_t<T> factor, acc_t<T>* y, AxisShape s, bool accumulate, void* workspace);
template <class T> void dot_axis(Cuda, const T* x, const T* z, acc_t<T> factor, acc_t<T>* y, AxisShape s, bool accumulate, void* workspace);

/// y = factor * sum_a (x - mean)^2, mean (outer, inner): the second pass of a variance, which cancels nothing as E[x^2] - E[x]^2 would.
template <class T>
void deviation_axis(Reference, const T* x, const acc_t<T>* mean, acc_t<T> factor, acc_t<T>* y, AxisShape s, void* workspace);
template <class T> void deviation_axis(Cpu, const T* x, const acc_t<T>* mean, acc_t<T> factor, acc_t<T>* y, AxisShape s, void* workspace);
template <class T> void deviation_axis(Cuda, const T* x, const acc_t<T>* mean, acc_t<T> factor, acc_t<T>* y, AxisShape s, void* workspace);
/// dx = 2 factor (x - mean) dy, for the true mean: its own share of the gradient is sum_a (x - mean) = 0.
template <class T>
void deviation_axis_backward(Reference, const T* x, const acc_t<T>* mean, const acc_t<T>* dy, acc_t<T> factor, T* dx, AxisShape s,
                             bool accumulate);
template <class T>
void deviation_axis_backward(Cpu, const T* x, const acc_t<T>* mean, const acc_t<T>* dy, acc_t<T> factor, T* dx, AxisShape s,
                             bool accumulate);
template <class T>
void deviation_axis_backward(Cuda, const T* x, const acc_t<T>* mean, const acc_t<T>* dy, acc_t<T> factor, T* dx, AxisShape s,
                             bool accumulate);

/// y = max_a x; a NaN wins. The axis is not empty.
template <class T> void max_axis(Reference, const T* x, T* y, AxisShape s);
template <class T> void max_axis(Cpu, const T* x, T* y, AxisShape s);
template <class T> void max_axis(Cuda, const T* x, T* y, AxisShape s);
/// The elements equal to their maximum share dy evenly. dx may not be dy. NaN where the maximum is NaN.
template <class T> std::size_t max_axis_workspace_bytes(Reference, AxisShape s);
template <class T> std::size_t max_axis_workspace_bytes(Cpu, AxisShape s);
template <class T> std::size_t max_axis_workspace_bytes(Cuda, AxisShape s);
template <class T>
void max_axis_backward(Reference, const T* x, const T* y, const T* dy, T* dx, AxisShape s, bool accumulate, void* workspace);
template <class T> void max_axis_backward(Cpu, const T* x, const T* y, const T* dy, T* dx, AxisShape s, bool accumulate, void* workspace);
template <class T> void max_axis_backward(Cuda, const T* x, const T* y, const T* dy, T* dx, AxisShape s, bool accumulate, void* workspace);

// The two ends, for matrices.

template <class T, class Backend> std::size_t reduce_workspace_bytes(Backend be, RowShape s) {
  const std::size_t columns = reduce_workspace_bytes<T>(be, AxisShape{1, s.rows, s.cols});
  const std::size_t rows = reduce_workspace_bytes<T>(be, AxisShape{s.rows, s.cols, 1});
  return columns > rows ? columns : rows;
}
/// y[c] = factor * sum_r x[r,c]: the gradient of a bias.
template <class Backend, class T>
void sum_rows(Backend be, const T* x, acc_t<T> factor, acc_t<T>* y, RowShape s, bool accumulate, void* workspace) {
  sum_axis(be, x, factor, y, AxisShape{1, s.rows, s.cols}, accumulate, workspace);
}
/// y[r] = factor * sum_c x[r,c]; rows = 1 sums everything.
template <class Backend, class T>
void sum_cols(Backend be, const T* x, acc_t<T> factor, acc_t<T>* y, RowShape s, bool accumulate, void* workspace) {
  sum_axis(be, x, factor, y, AxisShape{s.rows, s.cols, 1}, accumulate, workspace);
}

}   // namespace fovea::kernels
