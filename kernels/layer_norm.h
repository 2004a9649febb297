// layer_norm.h: layer normalisation over the last axis. Ba, Kiros & Hinton 2016 (arXiv:1607.06450), Eq. (3) and (4); the epsilon inside the
// root is not in the paper.
//
// Each row has statistics of its own, so training and inference are the same, and a row needs nothing from the others. Forward moves 8 B
// an element of float, backward 12 B.
#pragma once

#include "kernels/backend.h"
#include "kernels/bfloat16.h"

namespace fovea::kernels {

/// y = gamma[j] * (x - mean_r) * inv_std_r + beta[j],  mean_r = 1/cols sum_j x,  inv_std_r = 1 / sqrt(1/cols sum_j (x - mean_r)^2 + eps).
/// x, y (rows, cols); gamma, beta (cols), or null: 1 and 0. mean, inv_std (rows) are kept for the backward pass; null: nobody wants them.
/// y may be x.
template <class T>
void layer_norm_forward(Reference, const T* x, const acc_t<T>* gamma, const acc_t<T>* beta, double eps, T* y, acc_t<T>* mean,
                        acc_t<T>* inv_std, RowShape s);
template <class T>
void layer_norm_forward(Cpu, const T* x, const acc_t<T>* gamma, const acc_t<T>* beta, double eps, T* y, acc_t<T>* mean, acc_t<T>* inv_std,
                        RowShape s);
template <class T>
void layer_norm_forward(Cuda, const T* x, const acc_t<T>* gamma, const acc_t<T>* beta, double eps, T* y, acc_t<T>* mean, acc_t<T>* inv_std,
                        RowShape s);

/// What the gradient needs. Null pointers: no such parameter, or nobody wants that gradient.
template <class T> struct LayerNormGradient {
  const T *x, *dy;                   // (rows, cols)
  const acc_t<T>* gamma = nullptr;   // (cols)
  const acc_t<T>*mean, *inv_std;     // (rows)
  T* dx = nullptr;                   // may be dy
  bool accumulate_dx = false;
  acc_t<T>*dgamma = nullptr, *dbeta = nullptr;   // (cols)
  bool accumulate_dgamma = false, accumulate_dbeta = false;
};

template <class T> std::size_t layer_norm_workspace_bytes(Reference, RowShape s);
template <class T> std::size_t layer_norm_workspace_bytes(Cpu, RowShape s);
template <class T> std::size_t layer_norm_workspace_bytes(Cuda, RowShape s);

/// With x^ = (x - mean_r) inv_std_r and g = gamma dy:   dgamma = sum_r dy x^,   dbeta = sum_r dy,
/// dx = inv_std_r (g - 1/cols sum_j g - x^ 1/cols sum_j g x^).
template <class T> void layer_norm_backward(Reference, const LayerNormGradient<T>& a, RowShape s, void* workspace);
template <class T> void layer_norm_backward(Cpu, const LayerNormGradient<T>& a, RowShape s, void* workspace);
template <class T> void layer_norm_backward(Cuda, const LayerNormGradient<T>& a, RowShape s, void* workspace);

}   // namespace fovea::kernels
