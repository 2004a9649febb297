// batch_norm.h: batch normalisation. Ioffe & Szegedy 2015, "Batch Normalization" (arXiv:1502.03167), Algorithm 1:
//
//   x^ = (x - mean) inv_std,   y = gamma x^ + beta,   inv_std = 1 / sqrt(variance + eps),   for every channel over all its rows,
//
// applied as y = scale x + shift; the gradients, of section 3, are at batch_norm_backward. Training needs two passes over x (statistics:
// 4 B an element of float32; apply: 8 B), unless the convolution that made x left its partials behind (Epilogue::partials): then the
// first costs nothing. Activation and a residual ride along in the second. Backward: sums 8 B, then 12 B.
#pragma once

#include "kernels/backend.h"
#include "kernels/bfloat16.h"
#include "kernels/fusion.h"
#include "kernels/math.h"

namespace fovea::kernels {

/// x (rows, channels), channels last; rows = n * h * w.
struct ChannelShape {
  std::int64_t rows, channels;
};

template <class T> std::size_t batch_norm_workspace_bytes(Reference, ChannelShape s);
template <class T> std::size_t batch_norm_workspace_bytes(Cpu, ChannelShape s);
template <class T> std::size_t batch_norm_workspace_bytes(Cuda, ChannelShape s);

/// mean[c] and the biased variance[c] = 1/rows sum (x - mean)^2, from tiles of kStatRows rows merged as in batch_norm_merge,
/// so that x normalised alone or behind its convolution gets the same bits.
template <class T> void batch_norm_statistics(Reference, const T* x, acc_t<T>* mean, acc_t<T>* variance, ChannelShape s, void* workspace);
template <class T> void batch_norm_statistics(Cpu, const T* x, acc_t<T>* mean, acc_t<T>* variance, ChannelShape s, void* workspace);
template <class T> void batch_norm_statistics(Cuda, const T* x, acc_t<T>* mean, acc_t<T>* variance, ChannelShape s, void* workspace);

/// The same from partials (stat_tiles(rows), 2, channels), merged in tile order, in double: Chan, Golub & LeVeque 1979. On the device in two
/// steps, runs of tiles and then the runs, for which it wants batch_norm_merge_workspace_bytes; the others want none.
template <class A> void batch_norm_merge(Reference, const A* partials, A* mean, A* variance, ChannelShape s, void* workspace);
template <class A> void batch_norm_merge(Cpu, const A* partials, A* mean, A* variance, ChannelShape s, void* workspace);
template <class A> void batch_norm_merge(Cuda, const A* partials, A* mean, A* variance, ChannelShape s, void* workspace);
std::size_t batch_norm_merge_workspace_bytes(Reference, ChannelShape s);
std::size_t batch_norm_merge_workspace_bytes(Cpu, ChannelShape s);
std::size_t batch_norm_merge_workspace_bytes(Cuda, ChannelShape s);
/// Those partials of any x (rows, channels): for convolutions that do not make them on their way.
template <class T> void batch_norm_partials(Cuda, const T* x, float* partials, ChannelShape s);

/// From statistics to what scale_shift applies, and with running_mean also r = (1 - momentum) r + momentum * statistic, the variance as an
/// unbiased estimate: rows / (rows - 1) times the batch's. C numbers, in double and rounded once.
template <class A> struct BatchNormAffine {
  const A *gamma, *beta, *mean, *variance;   // (channels)
  double eps;
  A *inv_std, *scale, *shift;
  A *running_mean = nullptr, *running_var = nullptr;
  double momentum = 0;

  FOVEA_INLINE void channel(std::int64_t c, std::int64_t rows) const {
    const double m = mean[c], v = variance[c], inverse = 1 / sqrt(v + eps), factor = gamma[c] * inverse;
    inv_std[c] = A(inverse);
    scale[c] = A(factor);
    shift[c] = A(beta[c] - m * factor);
    if (!running_mean) return;
    const double unbias = double(rows) / double(rows - 1);
    running_mean[c] = A((1 - momentum) * running_mean[c] + momentum * m);
    running_var[c] = A((1 - momentum) * running_var[c] + momentum * unbias * v);
  }
};
template <class A> void batch_norm_affine(Reference, const BatchNormAffine<A>& a, ChannelShape s);
template <class A> void batch_norm_affine(Cpu, const BatchNormAffine<A>& a, ChannelShape s);
template <class A> void batch_norm_affine(Cuda, const BatchNormAffine<A>& a, ChannelShape s);

/// y = act(scale[c] * x + shift[c] + residual). residual (rows, channels) or null; y may be x or residual.
template <class T>
void scale_shift(Reference, const T* x, const T* residual, const acc_t<T>* scale, const acc_t<T>* shift, Activation a, T* y,
                 ChannelShape s);
template <class T>
void scale_shift(Cpu, const T* x, const T* residual, const acc_t<T>* scale, const acc_t<T>* shift, Activation a, T* y, ChannelShape s);
template <class T>
void scale_shift(Cuda, const T* x, const T* residual, const acc_t<T>* scale, const acc_t<T>* shift, Activation a, T* y, ChannelShape s);

/// Everything the gradient of y = act(scale * x + shift + residual) needs, where scale = gamma * inv_std and
/// shift = beta - mean * scale. Null pointers: no such input, or nobody wants that gradient.
template <class T> struct BatchNormGradient {
  const T* x;                    // (rows, channels) the norm's input
  const T* residual = nullptr;   // read only if there is an activation (its mask depends on it)
  const T* dy;
  const acc_t<T>*mean, *inv_std;   // (channels) of the batch, or the running ones
  const acc_t<T>*scale, *shift;    // (channels)
  Activation activation = Activation::none;
  bool batch_statistics = true;   // false: mean and inv_std are constants (inference, frozen norm)
  T* dx = nullptr;                // may be dy
  bool accumulate_dx = false;
  T* dresidual = nullptr;   // = g, below; may be dy when dx is not
  bool accumulate_dresidual = false;
  acc_t<T>* dgamma = nullptr;
  acc_t<T>* dbeta = nullptr;
  bool accumulate_dgamma = false, accumulate_dbeta = false;
};

/// With g = act'(.) * dy and x^ = (x - mean) * inv_std:   dbeta = sum g,   dgamma = sum g x^,
/// dx = scale * (g - dbeta / rows - x^ * dgamma / rows),  or scale * g with constant statistics.
template <class T> void batch_norm_backward(Reference, const BatchNormGradient<T>& a, ChannelShape s, void* workspace);
template <class T> void batch_norm_backward(Cpu, const BatchNormGradient<T>& a, ChannelShape s, void* workspace);
template <class T> void batch_norm_backward(Cuda, const BatchNormGradient<T>& a, ChannelShape s, void* workspace);

}   // namespace fovea::kernels
