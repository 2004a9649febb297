// adam.h: one step of Adam (Kingma & Ba 2015, arXiv:1412.6980, Algorithm 1) or AdamW (Loshchilov & Hutter 2019,
// arXiv:1711.05101, Algorithm 2) over a flat run of parameters. 16 B read and 12 B written for each float32 parameter.
#pragma once

#include "kernels/backend.h"
#include "kernels/math.h"

namespace fovea::kernels {

struct AdamStep {
  double lr, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0;
  bool decoupled = false;        // AdamW: the decay acts on w itself, not through the gradient and its moments
  double bias1 = 1, bias2 = 1;   // 1 - beta1^t and 1 - beta2^t at step t = 1, 2, ...: the moments start as 0
};

/// The update of one parameter; V is double, or the 16 lanes of cpu/simd.h.
template <class V> struct AdamRule {
  V beta1, beta2, rest1, rest2, l2, keep, rate, root_bias2, eps;

  FOVEA_INLINE explicit AdamRule(const AdamStep& o)
      : beta1(V(o.beta1)),
        beta2(V(o.beta2)),
        rest1(V(1 - o.beta1)),
        rest2(V(1 - o.beta2)),
        l2(V(o.decoupled ? 0 : o.weight_decay)),
        keep(V(o.decoupled ? 1 - o.lr * o.weight_decay : 1)),
        rate(V(o.lr / o.bias1)),
        root_bias2(V(1 / sqrt(o.bias2))),
        eps(V(o.eps)) {}

  FOVEA_INLINE void operator()(V& w, V g, V& m, V& v) const {
    g = g + l2 * w;                                           // Adam's weight decay
    m = beta1 * m + rest1 * g;                                // first moment
    v = beta2 * v + rest2 * g * g;                            // second moment
    w = keep * w - rate * m / (sqrt(v) * root_bias2 + eps);   // lr m^ / (sqrt(v^) + eps) with m^ = m / bias1, v^ = v / bias2
  }
};

/// w, m and v (n each) are updated, g (n) is read. T is float or double.
template <class T> void adam_step(Reference, T* w, const T* g, T* m, T* v, const AdamStep& o, std::int64_t n);
template <class T> void adam_step(Cpu, T* w, const T* g, T* m, T* v, const AdamStep& o, std::int64_t n);
template <class T> void adam_step(Cuda, T* w, const T* g, T* m, T* v, const AdamStep& o, std::int64_t n);

}   // namespace fovea::kernels
