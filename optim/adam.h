// adam.h: adaptive moment estimation. Kingma & Ba 2015, "Adam: A Method for Stochastic Optimization" (arXiv:1412.6980),
// Algorithm 1. With weight decay as PyTorch's Adam has it: L2, through the gradient and so through its moments.
//
//   g  = dL/dw + weight_decay * w
//   m  = beta1 * m + (1 - beta1) * g               m^ = m / (1 - beta1^t)
//   v  = beta2 * v + (1 - beta2) * g^2             v^ = v / (1 - beta2^t)
//   w  = w - lr * m^ / (sqrt(v^) + eps)
//
// t counts the updates of w: a step in which w has no gradient is none. Cost: 28 B a float32 parameter in one pass; memory for m and v.
#pragma once

#include "optim/optimizer.h"

namespace fovea::optim {

struct AdamOptions {
  double lr = 1e-3;
  double beta1 = 0.9, beta2 = 0.999;
  double eps = 1e-8;   // outside of the root
  double weight_decay = 0;
};

class Adam : public Optimizer {
 public:
  /// Throws ShapeError for options outside of their range.
  Adam(const Parameters& parameters, const AdamOptions& options);

 protected:
  Adam(const char* name, const Parameters& parameters, const AdamOptions& options, bool decoupled);

 private:
  void update(const Slice& s) override;

  AdamOptions options_;   // lr and weight_decay are the base class's
  bool decoupled_;
  Tensor m_, v_;
};

/// The ranges that Adam, AdamW and LAMB share.
void check_moments(const char* optimiser, double beta1, double beta2, double eps);

}   // namespace fovea::optim
