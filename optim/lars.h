// lars.h: layer-wise adaptive rate scaling: SGD whose every tensor has a rate in proportion to |w| / |g|, for batches of many
// thousands. You et al. 2017, "Large Batch Training of Convolutional Networks" (arXiv:1708.03888), Algorithm 1.
//
//   ratio = trust_coefficient * |w| / (|dL/dw| + weight_decay * |w| + eps)      (1 where |w| or |dL/dw| is 0)
//   g = ratio * (dL/dw + weight_decay * w)
//   v = momentum * v + g                                                        (first: v = g)
//   w = w - lr * v,  with Nesterov  w - lr * (g + momentum * v)
//
// The ratio is the paper's lambda, the local rate with weight decay: Eq. (6), and a line of Algorithm 1. Where we depart: the paper
// has neither eps nor the 1 for norms of 0, nor Nesterov's form.
// The global rate stands outside of the velocity, as in sgd.h; Algorithm 1 has it inside. Biases and norm parameters are usually
// left without ratio and decay: Parameters(...).no_trust_ratio(undecayed).weight_decay(0, undecayed).
// Cost: 28 B a float32 parameter in two passes; memory for v.
#pragma once

#include "optim/optimizer.h"

namespace fovea::optim {

struct LARSOptions {
  double lr;
  double momentum = 0.9, weight_decay = 0;
  double trust_coefficient = 1e-3;   // the paper's eta
  double eps = 1e-8;
  bool nesterov = false;   // needs momentum
};

class LARS : public Optimizer {
 public:
  /// Throws ShapeError for options outside of their range.
  LARS(const Parameters& parameters, const LARSOptions& options);

 private:
  void update(const Slice& s) override;

  LARSOptions options_;   // lr and weight_decay are the base class's
  Tensor velocity_;       // undefined without momentum
};

}   // namespace fovea::optim
