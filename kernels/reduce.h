// reduce.h: ordered sums. The order depends on the shape alone, so the bits do too.
#pragma once

#include "kernels/backend.h"
#include "kernels/bfloat16.h"

namespace fovea::kernels {

template <class T> std::size_t reduce_workspace_bytes(Reference, RowShape s);
template <class T> std::size_t reduce_workspace_bytes(Cpu, RowShape s);

/// y[c] = factor * sum_r x[r,c]: the gradient of a bias.
template <class T> void sum_rows(Reference, const T* x, acc_t<T> factor, acc_t<T>* y, RowShape s, bool accumulate, void* workspace);
template <class T> void sum_rows(Cpu, const T* x, acc_t<T> factor, acc_t<T>* y, RowShape s, bool accumulate, void* workspace);
/// y[r] = factor * sum_c x[r,c]; rows = 1 sums everything. Cpu: 16 lanes, chunks of fixed length, joined in order.
template <class T> void sum_cols(Reference, const T* x, acc_t<T> factor, acc_t<T>* y, RowShape s, bool accumulate, void* workspace);
template <class T> void sum_cols(Cpu, const T* x, acc_t<T> factor, acc_t<T>* y, RowShape s, bool accumulate, void* workspace);

}   // namespace fovea::kernels
