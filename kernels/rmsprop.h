// rmsprop.h: one step of RMSprop over a flat run of parameters. Tieleman & Hinton 2012, "Neural Networks for Machine Learning",
// lecture 6.5: divide the gradient by a running root mean square of itself. Centered: Graves 2013 (arXiv:1308.0850), Eq. (38)-(45).
// Plain, 12 B read and 8 B written for each float32 parameter; momentum and centering add 8 B each.
#pragma once

#include "kernels/activation.h"
#include "kernels/backend.h"
#include "kernels/math.h"

namespace fovea::kernels {

struct RmspropStep {
  double lr, alpha = 0.99, eps = 1e-8, weight_decay = 0, momentum = 0;
  bool centered = false;
  bool eps_inside = false;       // sqrt(mean square + eps), TensorFlow's; else sqrt(mean square) + eps, PyTorch's
  bool lr_in_velocity = false;   // the velocity sums rate * step, TensorFlow's; else w moves by rate * velocity, PyTorch's
};

/// The update of one parameter; V is double, or the 16 lanes of cpu/simd.h. v: mean square, m: mean (centered), b: velocity.
template <class V> struct RmspropRule {
  V alpha, rest, l2, eps, momentum, inner_rate, outer_rate;
  bool centered, eps_inside;

  FOVEA_INLINE explicit RmspropRule(const RmspropStep& o)
      : alpha(V(o.alpha)),
        rest(V(1 - o.alpha)),
        l2(V(o.weight_decay)),
        eps(V(o.eps)),
        momentum(V(o.momentum)),
        inner_rate(V(o.lr_in_velocity ? o.lr : 1)),
        outer_rate(V(o.lr_in_velocity ? 1 : o.lr)),
        centered(o.centered),
        eps_inside(o.eps_inside) {}

  FOVEA_INLINE void operator()(V& w, V g, V& v, V& m, V& b) const {
    g = g + l2 * w;
    v = alpha * v + rest * g * g;
    V square = v;
    if (centered) {
      m = alpha * m + rest * g;
      square = max(v - m * m, V(0.f));   // the variance; a rounding error may leave it below 0
    }
    b = momentum * b + inner_rate * g / (eps_inside ? sqrt(square + eps) : sqrt(square) + eps);
    w = w - outer_rate * b;
  }
};

/// w, v, m (null unless centered) and b (null when momentum is 0), n each, are updated; g (n) is read. T is float or double.
template <class T> void rmsprop_step(Reference, T* w, const T* g, T* v, T* m, T* b, const RmspropStep& o, std::int64_t n);
template <class T> void rmsprop_step(Cpu, T* w, const T* g, T* v, T* m, T* b, const RmspropStep& o, std::int64_t n);
template <class T> void rmsprop_step(Cuda, T* w, const T* g, T* v, T* m, T* b, const RmspropStep& o, std::int64_t n);

}   // namespace fovea::kernels
