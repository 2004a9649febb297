// adamw.h: Adam with decoupled weight decay. Loshchilov & Hutter 2019, "Decoupled Weight Decay Regularization"
// (arXiv:1711.05101), Algorithm 2.
//
//   m, v, m^, v^ as in adam.h, of the plain gradient
//   w = w - lr * weight_decay * w - lr * m^ / (sqrt(v^) + eps)
//
// The paper's decay is scaled by the schedule alone (line 12: eta_t lambda), PyTorch's and this one by the whole rate lr. So decay per
// step is lr * weight_decay, and values are as large as 0.05 (Swin, ConvNeXt) or 0.3 (ViT). Cost: as Adam's.
#pragma once

#include "optim/adam.h"

namespace fovea::optim {

struct AdamWOptions {
  double lr = 1e-3;
  double beta1 = 0.9, beta2 = 0.999;
  double eps = 1e-8;   // outside of the root
  double weight_decay = 0.01;
};

class AdamW : public Adam {
 public:
  /// Throws ShapeError for options outside of their range.
  AdamW(const Parameters& parameters, const AdamWOptions& o)
      : Adam("adamw", parameters, {.lr = o.lr, .beta1 = o.beta1, .beta2 = o.beta2, .eps = o.eps, .weight_decay = o.weight_decay}, true) {}
};

}   // namespace fovea::optim
