// cross_entropy.h: softmax cross-entropy with hard labels or a distribution over classes, label smoothing and class weights. Smoothing:
// Szegedy et al. 2016 (arXiv:1512.00567), section 7; the gradient p - t: Bridle 1990.
//
// Forward reads the logits (and the soft targets) once, 4 or 8 B a logit; backward once more, and writes dx. Between them 12 B a row are
// kept instead of the probabilities.
#pragma once

#include "kernels/backend.h"
#include "kernels/bfloat16.h"

namespace fovea::kernels {

/// The target v (rows, cols) of each row: v_j = w_j ((1 - smoothing) t_j + smoothing / cols), with t = onehot(label) or a row of
/// probabilities. Exactly one of labels and probabilities is given.
template <class T> struct CrossEntropyTarget {
  const std::int64_t* labels = nullptr;      // (rows) in 0..cols-1, checked by the caller (Cuda: any other gives a loss of NaN)
  const acc_t<T>* probabilities = nullptr;   // (rows, cols) in [0, 1]; they need not sum to 1
  const acc_t<T>* class_weights = nullptr;   // w (cols), each >= 0; null: all 1
  acc_t<T> smoothing = 0;                    // in [0, 1)
};

/// With the row's max = max_j x_j, z = sum_j exp(x_j - max) and V = sum_j v_j:
///   loss[r] = -sum_j v_j log softmax(x[r])_j = V log z - sum_j v_j (x_j - max).
/// A class with v_j = 0 adds nothing, even if x_j = -inf. loss (rows). kept (rows, 3) gets max, z and V for the backward pass; V is -1
/// in a row with a probability outside [0, 1] or NaN: so the check of soft targets costs no pass of its own. Cuda, where the host does not
/// look, makes such a row's loss NaN as well.
template <class T>
void cross_entropy_forward(Reference, const T* x, const CrossEntropyTarget<T>& t, acc_t<T>* loss, acc_t<T>* kept, RowShape s);
template <class T> void cross_entropy_forward(Cpu, const T* x, const CrossEntropyTarget<T>& t, acc_t<T>* loss, acc_t<T>* kept, RowShape s);
template <class T> void cross_entropy_forward(Cuda, const T* x, const CrossEntropyTarget<T>& t, acc_t<T>* loss, acc_t<T>* kept, RowShape s);

/// dx[r,j] = dloss[r] * (V softmax(x[r])_j - v_j). dx may be x.
template <class T>
void cross_entropy_backward(Reference, const T* x, const CrossEntropyTarget<T>& t, const acc_t<T>* kept, const acc_t<T>* dloss, T* dx,
                            RowShape s, bool accumulate);
template <class T>
void cross_entropy_backward(Cpu, const T* x, const CrossEntropyTarget<T>& t, const acc_t<T>* kept, const acc_t<T>* dloss, T* dx, RowShape s,
                            bool accumulate);
template <class T>
void cross_entropy_backward(Cuda, const T* x, const CrossEntropyTarget<T>& t, const acc_t<T>* kept, const acc_t<T>* dloss, T* dx,
                            RowShape s, bool accumulate);

}   // namespace fovea::kernels
