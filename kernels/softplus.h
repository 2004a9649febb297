// softplus.h: a smooth ReLU. Dugas et al. 2001, "Incorporating Second-Order Functional Knowledge for Better Option Pricing". Forward moves
// 8 B an element of float32, backward 12 B; an exponential and a logarithm each.
#pragma once

#include "kernels/backend.h"
#include "kernels/bfloat16.h"
#include "kernels/math.h"

namespace fovea::kernels {

/// y = log(1 + e^x), as max(x, 0) + log(1 + e^-|x|): nothing overflows, and nothing is lost for large |x|.
struct Softplus {
  template <class V> FOVEA_INLINE static V value(V x) {
    const V magnitude = max(x, V(0.f) - x);
    return max(V(0.f), x) + log1p(exp(V(0.f) - magnitude));
  }
  /// dL/dx = dL/dy / (1 + e^-x). Where e^-x overflows, the quotient is 0 as it should be.
  template <class V> FOVEA_INLINE static V gradient(V x, V dy) { return dy / (V(1.f) + exp(V(0.f) - x)); }
};

/// y may be x.
template <class T> void softplus_forward(Reference, const T* x, T* y, std::int64_t n);
template <class T> void softplus_forward(Cpu, const T* x, T* y, std::int64_t n);
template <class T> void softplus_forward(Cuda, const T* x, T* y, std::int64_t n);
/// Needs the input x. dx may be dy.
template <class T> void softplus_backward(Reference, const T* x, const T* dy, T* dx, std::int64_t n, bool accumulate);
template <class T> void softplus_backward(Cpu, const T* x, const T* dy, T* dx, std::int64_t n, bool accumulate);
template <class T> void softplus_backward(Cuda, const T* x, const T* dy, T* dx, std::int64_t n, bool accumulate);

}   // namespace fovea::kernels
