// sgd.h: one step of stochastic gradient descent over a flat run of parameters. Sutskever et al. 2013, Eq. (1)-(4), as optim/sgd.h has
// them. 12 B read and 8 B written for each float32 parameter, 8 and 4 without momentum.
#pragma once

#include "kernels/backend.h"
#include "kernels/math.h"

namespace fovea::kernels {

struct SgdStep {
  double lr, momentum = 0, dampening = 0, weight_decay = 0;
  bool nesterov = false;
  bool first = false;   // the velocity starts as the gradient itself, undampened (Sutskever et al. 2013 as PyTorch has it)
};

/// The update of one parameter: g' = g + weight_decay w;  v = momentum v + (1 - dampening) g';  w -= lr (nesterov ? g' + momentum v : v).
/// V is double, float, or the 16 lanes of cpu/simd.h.
template <class V> struct SgdRule {
  V minus_lr, momentum, undamped, l2;
  bool keeps_velocity, nesterov, first;

  FOVEA_INLINE explicit SgdRule(const SgdStep& o)
      : minus_lr(V(-o.lr)),
        momentum(V(o.momentum)),
        undamped(V(1 - o.dampening)),
        l2(V(o.weight_decay)),
        keeps_velocity(o.momentum != 0),
        nesterov(o.nesterov),
        first(o.first) {}

  FOVEA_INLINE void operator()(V& w, V g, V& v) const {
    g = fma(l2, w, g);
    if (keeps_velocity) {
      v = first ? g : fma(momentum, v, undamped * g);
      g = nesterov ? fma(momentum, v, g) : v;
    }
    w = fma(minus_lr, g, w);
  }
};

/// T is float or double (parameters are never bfloat16). v is not read when momentum is 0 (and may be null).
template <class T> void sgd_step(Reference, T* w, const T* g, T* v, const SgdStep& o, std::int64_t n);
template <class T> void sgd_step(Cpu, T* w, const T* g, T* v, const SgdStep& o, std::int64_t n);
template <class T> void sgd_step(Cuda, T* w, const T* g, T* v, const SgdStep& o, std::int64_t n);

}   // namespace fovea::kernels
