// lamb.h: Adam's direction with a rate for every tensor in proportion to its norm, for batches of many thousands. You et al.
// 2020, "Large Batch Optimization for Deep Learning: Training BERT in 76 minutes" (arXiv:1904.00962), Algorithm 2.
//
//   m, v, m^, v^ as in adam.h, of the plain gradient
//   r = m^ / (sqrt(v^) + eps)
//   w = w - lr * |w| / |r + weight_decay * w| * (r + weight_decay * w)          (ratio 1 where either norm is 0)
//
// phi is the identity, as in the paper's experiments; the ratio of 1 at norms of 0 is not the paper's. Neither clips gradients nor
// bounds the ratio (NVIDIA's form does; see clip_norm in clip.h). Parameters without ratio and decay take Adam's step:
// no_trust_ratio(undecayed).weight_decay(0, undecayed).
// Cost: 40 B a float32 parameter in two passes; memory for m and v.
#pragma once

#include "optim/optimizer.h"

namespace fovea::optim {

struct LAMBOptions {
  double lr = 1e-3;
  double beta1 = 0.9, beta2 = 0.999;
  double eps = 1e-6;
  double weight_decay = 0.01;
};

class LAMB : public Optimizer {
 public:
  /// Throws ShapeError for options outside of their range.
  LAMB(const Parameters& parameters, const LAMBOptions& options);

 private:
  void update(const Slice& s) override;

  LAMBOptions options_;   // lr and weight_decay are the base class's
  Tensor m_, v_;
};

}   // namespace fovea::optim
