// fusion.h: what GEMM and convolution can do to a value while they have it in registers anyway.
#pragma once

#include "kernels/activation.h"
#include "kernels/backend.h"

namespace fovea::kernels {

/// Applied to the activations of a convolution while they are packed: x'[.., c] = act(scale[c] * x[.., c] + shift[c]).
/// Padding stays 0: it is padding of x', not of x. Null scale: x' = x.
template <class T> struct Prologue {
  const acc_t<T>* scale = nullptr;   // (channels of x)
  const acc_t<T>* shift = nullptr;   // (channels of x); null exactly when scale is
  Activation activation = Activation::none;
  FOVEA_INLINE bool empty() const { return scale == nullptr; }
};

/// Rows of an output (pixels of all images in order) that share one set of batch-norm partials.
constexpr std::int64_t kStatRows = 96;
FOVEA_INLINE constexpr std::int64_t stat_tiles(std::int64_t rows) { return (rows + kStatRows - 1) / kStatRows; }

/// Applied to every output before it is written: y = act(scale[n] * sum + shift[n] + residual[m,n]), rounded to T. A null pointer
/// drops its part (a plain bias is `shift` alone). With `accumulate`, and then nothing else: y += sum.
template <class T> struct Epilogue {
  const acc_t<T>* scale = nullptr;   // (n)
  const acc_t<T>* shift = nullptr;   // (n)
  const T* residual = nullptr;       // shaped and strided like y; may be y itself
  Activation activation = Activation::none;
  bool accumulate = false;
  /// (stat_tiles(m), 2, n): mean and M2 = sum (y - mean)^2 of the rounded y over each kStatRows rows; the last tile has
  /// the rows that are left. batch_norm_merge() joins them in a fixed order. Convolution forward and unbatched GEMM only.
  acc_t<T>* partials = nullptr;
};

}   // namespace fovea::kernels
