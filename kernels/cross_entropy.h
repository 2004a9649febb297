// cross_entropy.h: softmax cross-entropy with label smoothing. Szegedy et al. 2016 (arXiv:1512.00567), section 7.
#pragma once

#include "kernels/backend.h"
#include "kernels/bfloat16.h"

namespace fovea::kernels {

/// loss[r] = -sum_j t_j log softmax(x[r])_j with t = (1 - smoothing) * onehot(labels[r]) + smoothing / cols.
/// x (rows, cols); labels (rows) in 0..cols-1, checked by the caller; loss (rows).
template <class T>
void cross_entropy_forward(Reference, const T* x, const std::int64_t* labels, acc_t<T> smoothing, acc_t<T>* loss, RowShape s);
template <class T> void cross_entropy_forward(Cpu, const T* x, const std::int64_t* labels, acc_t<T> smoothing, acc_t<T>* loss, RowShape s);

/// dx[r,j] = dloss[r] * (softmax(x[r])_j - t_j). Softmax is computed again from x: one exp costs less than keeping it.
template <class T>
void cross_entropy_backward(Reference, const T* x, const std::int64_t* labels, acc_t<T> smoothing, const acc_t<T>* dloss, T* dx, RowShape s,
                            bool accumulate);
template <class T>
void cross_entropy_backward(Cpu, const T* x, const std::int64_t* labels, acc_t<T> smoothing, const acc_t<T>* dloss, T* dx, RowShape s,
                            bool accumulate);

/// y[r,:] = softmax(x[r,:]); y may be x.
template <class T> void softmax(Reference, const T* x, T* y, RowShape s);
template <class T> void softmax(Cpu, const T* x, T* y, RowShape s);

}   // namespace fovea::kernels
