// lars.h: one step of layer-wise adaptive rate scaling over some tensors of a flat array. You et al. 2017, "Large Batch Training
// of Convolutional Networks" (arXiv:1708.03888), Algorithm 1.
// Two passes: norms (8 B read for each float32 parameter), then the step (12 B read, 8 B written): 28 B.
#pragma once

#include "kernels/backend.h"
#include "kernels/math.h"
#include "kernels/runs.h"

namespace fovea::kernels {

struct LarsStep {
  double lr, momentum = 0.9, weight_decay = 0, trust_coefficient = 1e-3, eps = 1e-8;
  bool nesterov = false;
  bool adapt = true;    // false: the trust ratio is 1, which is SGD
  bool first = false;   // the velocity starts as the scaled gradient itself
};

/// Eq. (6): trust_coefficient |w| / (|g| + weight_decay |w| + eps); eps is ours, and so is 1 for a tensor of which either norm is 0.
FOVEA_INLINE double lars_ratio(const LarsStep& o, double w_norm, double g_norm) {
  if (!o.adapt || !(w_norm > 0) || !(g_norm > 0)) return 1;
  return o.trust_coefficient * w_norm / (g_norm + o.weight_decay * w_norm + o.eps);
}

/// The update of one parameter; V is double, or the 16 lanes of cpu/simd.h.
template <class V> struct LarsRule {
  V ratio, l2, momentum, rate;
  bool nesterov, first;

  FOVEA_INLINE LarsRule(const LarsStep& o, double trust_ratio)
      : ratio(V(trust_ratio)), l2(V(o.weight_decay)), momentum(V(o.momentum)), rate(V(o.lr)), nesterov(o.nesterov), first(o.first) {}

  FOVEA_INLINE void operator()(V& w, V g, V& v) const {
    g = ratio * (g + l2 * w);
    v = first ? g : momentum * v + g;
    w = w - rate * (nesterov ? g + momentum * v : v);
  }
};

template <class T> std::size_t lars_workspace_bytes(Reference, const Run* runs, std::int64_t count);
template <class T> std::size_t lars_workspace_bytes(Cpu, const Run* runs, std::int64_t count);
template <class T> std::size_t lars_workspace_bytes(Cuda, const Run* runs, std::int64_t count);
/// w and v (null when momentum is 0) are updated, g is read, in `count` runs of those arrays: each is a tensor with a ratio of its
/// own. T is float or double.
template <class T>
void lars_step(Reference, T* w, const T* g, T* v, const LarsStep& o, const Run* runs, std::int64_t count, void* workspace);
template <class T> void lars_step(Cpu, T* w, const T* g, T* v, const LarsStep& o, const Run* runs, std::int64_t count, void* workspace);
template <class T> void lars_step(Cuda, T* w, const T* g, T* v, const LarsStep& o, const Run* runs, std::int64_t count, void* workspace);

}   // namespace fovea::kernels
