// local_response_norm.h: brightness normalisation across neighbouring channels. Krizhevsky, Sutskever & Hinton 2012, section 3.3.
//
// Forward moves 8 B an element of float, backward 12 B; one power an element each (for beta = 3/4 a root, else a
// logarithm and an exponential).
#pragma once

#include "kernels/backend.h"
#include "kernels/bfloat16.h"
#include "kernels/math.h"

namespace fovea::kernels {

/// The paper's n, alpha, beta and k; alpha is divided by the size, as PyTorch and Caffe do (the paper's own 1e-4 with n = 5 is 5e-4 here).
struct LocalResponse {
  std::int64_t size = 5;                     // 1..kMaxLocalResponse
  double alpha = 1e-4, beta = 0.75, k = 1;   // alpha >= 0, k > 0
};
constexpr std::int64_t kMaxLocalResponse = 128;

/// With d[c] = k + alpha / size * sum over j in c - size/2 .. c + (size - 1)/2, as far as there are channels, of x[j]^2:
/// y[c] = x[c] d[c]^-beta.   x, y (rows, cols): pixels and channels; not aliased.
template <class T> void local_response_norm_forward(Reference, const T* x, LocalResponse o, T* y, RowShape s);
template <class T> void local_response_norm_forward(Cpu, const T* x, LocalResponse o, T* y, RowShape s);
template <class T> void local_response_norm_forward(Cuda, const T* x, LocalResponse o, T* y, RowShape s);

/// dx[c] = dy[c] d[c]^-beta - 2 alpha beta / size x[c] * sum over j in c - (size - 1)/2 .. c + size/2 of dy[j] x[j] d[j]^(-beta - 1):
/// the sum goes over the windows that c is in. d is computed again from x. dx is neither x nor dy.
template <class T>
void local_response_norm_backward(Reference, const T* x, const T* dy, LocalResponse o, T* dx, RowShape s, bool accumulate);
template <class T> void local_response_norm_backward(Cpu, const T* x, const T* dy, LocalResponse o, T* dx, RowShape s, bool accumulate);
template <class T> void local_response_norm_backward(Cuda, const T* x, const T* dy, LocalResponse o, T* dx, RowShape s, bool accumulate);

}   // namespace fovea::kernels
