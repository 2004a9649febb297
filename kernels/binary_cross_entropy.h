// binary_cross_entropy.h: one yes-or-no question per logit, for multi-label targets and for training classifiers with one sigmoid a class
// (Beyer et al. 2020, "Are we done with ImageNet?", arXiv:2006.07159; Wightman et al. 2021, "ResNet strikes back", arXiv:2110.00476).
#pragma once

#include "kernels/activation.h"
#include "kernels/backend.h"
#include "kernels/bfloat16.h"
#include "kernels/math.h"

namespace fovea::kernels {

/// With the probability p = 1 / (1 + e^-x) and a target t in [0, 1]:
///   L = -w t log p - (1 - t) log(1 - p),   where -log(1 - p) = log(1 + e^x) = max(x, 0) + log(1 + e^-|x|), and -log p the same of -x.
/// So nothing overflows, and nothing is lost for large |x|. w weighs the positive answers.
struct BinaryCrossEntropy {
  template <class V> FOVEA_INLINE static V value(V x, V t, V w) {
    const V zero(0.f), magnitude = max(x, zero - x), tail = log1p(exp(zero - magnitude));
    return (V(1.f) - t) * (max(zero, x) + tail) + w * t * (max(zero, zero - x) + tail);
  }
  /// dL/dx = (1 - t) p - w t (1 - p).
  template <class V> FOVEA_INLINE static V gradient(V x, V t, V w) {
    const V zero(0.f), one(1.f), e = exp(zero - max(x, zero - x));
    const V larger = one / (one + e), smaller = e * larger;   // of p and 1 - p: each from e^-|x|, so no digits cancel
    const V p = smaller + where_positive(x, larger - smaller), not_p = smaller + where_positive(zero - x, larger - smaller);
    return (one - t) * p - w * t * not_p;
  }
};

/// x, t, loss (rows, cols); positive_weights w (cols), each >= 0, or null: all 1. loss may be null, when only its sums are wanted:
/// row_loss (rows) = sum_j L, or -1 in a row with a target outside [0, 1] or NaN (Cuda: NaN, since the host does not look): so the check
/// costs no pass of its own.
/// Moves 8 B an element of float (+ 4 with loss).
template <class T>
void binary_cross_entropy_forward(Reference, const T* x, const acc_t<T>* t, const acc_t<T>* positive_weights, acc_t<T>* loss,
                                  acc_t<T>* row_loss, RowShape s);
template <class T>
void binary_cross_entropy_forward(Cpu, const T* x, const acc_t<T>* t, const acc_t<T>* positive_weights, acc_t<T>* loss, acc_t<T>* row_loss,
                                  RowShape s);
template <class T>
void binary_cross_entropy_forward(Cuda, const T* x, const acc_t<T>* t, const acc_t<T>* positive_weights, acc_t<T>* loss, acc_t<T>* row_loss,
                                  RowShape s);

/// dx = factor * dloss * dL/dx; dloss (rows, cols), or unless `each` one number for all. dx may be x. Moves 12 B an element of float (+ 4 with
/// a dloss of its own).
template <class T>
void binary_cross_entropy_backward(Reference, const T* x, const acc_t<T>* t, const acc_t<T>* positive_weights, const acc_t<T>* dloss,
                                   bool each, acc_t<T> factor, T* dx, RowShape s, bool accumulate);
template <class T>
void binary_cross_entropy_backward(Cpu, const T* x, const acc_t<T>* t, const acc_t<T>* positive_weights, const acc_t<T>* dloss, bool each,
                                   acc_t<T> factor, T* dx, RowShape s, bool accumulate);
template <class T>
void binary_cross_entropy_backward(Cuda, const T* x, const acc_t<T>* t, const acc_t<T>* positive_weights, const acc_t<T>* dloss, bool each,
                                   acc_t<T> factor, T* dx, RowShape s, bool accumulate);

}   // namespace fovea::kernels
