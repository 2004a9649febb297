// lamb.h: one step of LAMB over some tensors of a flat array. You et al. 2020, "Large Batch Optimization for Deep Learning:
// Training BERT in 76 minutes" (arXiv:1904.00962), Algorithm 2, with the identity for phi.
// Two passes: moments and norms (16 B read, 8 B written for each float32 parameter), then the step, which makes its direction
// again from the moments rather than store it (12 B read, 4 B written): 40 B.
#pragma once

#include "kernels/backend.h"
#include "kernels/math.h"
#include "kernels/runs.h"

namespace fovea::kernels {

struct LambStep {
  double lr, beta1 = 0.9, beta2 = 0.999, eps = 1e-6, weight_decay = 0;
  bool adapt = true;             // false: the trust ratio is 1
  double bias1 = 1, bias2 = 1;   // 1 - beta1^t and 1 - beta2^t at step t = 1, 2, ...
};

/// |w| / |r + weight_decay w|; 1 for a tensor of which either norm is 0.
FOVEA_INLINE double lamb_ratio(const LambStep& o, double w_norm, double direction_norm) {
  return o.adapt && w_norm > 0 && direction_norm > 0 ? w_norm / direction_norm : 1;
}

/// Of one parameter; V is double, or the 16 lanes of cpu/simd.h.
template <class V> struct LambRule {
  V beta1, beta2, rest1, rest2, decay, inverse_bias1, root_bias2, eps;

  FOVEA_INLINE explicit LambRule(const LambStep& o)
      : beta1(V(o.beta1)),
        beta2(V(o.beta2)),
        rest1(V(1 - o.beta1)),
        rest2(V(1 - o.beta2)),
        decay(V(o.weight_decay)),
        inverse_bias1(V(1 / o.bias1)),
        root_bias2(V(1 / sqrt(o.bias2))),
        eps(V(o.eps)) {}

  FOVEA_INLINE void moments(V g, V& m, V& v) const {
    m = beta1 * m + rest1 * g;
    v = beta2 * v + rest2 * g * g;
  }
  /// r + weight_decay w, with r = m^ / (sqrt(v^) + eps)
  FOVEA_INLINE V direction(V w, V m, V v) const { return inverse_bias1 * m / (sqrt(v) * root_bias2 + eps) + decay * w; }
};

template <class T> std::size_t lamb_workspace_bytes(Reference, const Run* runs, std::int64_t count);
template <class T> std::size_t lamb_workspace_bytes(Cpu, const Run* runs, std::int64_t count);
template <class T> std::size_t lamb_workspace_bytes(Cuda, const Run* runs, std::int64_t count);
/// w, m and v are updated, g is read, in `count` runs of those arrays: each is a tensor with a ratio of its own. T is float or double.
template <class T>
void lamb_step(Reference, T* w, const T* g, T* m, T* v, const LambStep& o, const Run* runs, std::int64_t count, void* workspace);
template <class T>
void lamb_step(Cpu, T* w, const T* g, T* m, T* v, const LambStep& o, const Run* runs, std::int64_t count, void* workspace);
template <class T>
void lamb_step(Cuda, T* w, const T* g, T* m, T* v, const LambStep& o, const Run* runs, std::int64_t count, void* workspace);

}   // namespace fovea::kernels
