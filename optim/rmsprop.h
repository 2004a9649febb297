// rmsprop.h: gradients divided by their running root mean square. Tieleman & Hinton 2012, "Neural Networks for Machine
// Learning", lecture 6.5; centered: Graves 2013 (arXiv:1308.0850), Eq. (38)-(45).
//
//   g = dL/dw + weight_decay * w
//   v = alpha * v + (1 - alpha) * g^2              centered: m = alpha * m + (1 - alpha) * g, and below v - m^2 for v
//   PyTorch:     b = momentum * b + g / (sqrt(v) + eps)           w = w - lr * b          v starts as 0
//   TensorFlow:  b = momentum * b + lr * g / sqrt(v + eps)        w = w - b               v starts as 1
//
// Recipes name their framework's epsilon: EfficientNet's and MobileNetV3's 1e-3 is TensorFlow's, 0.0316 = sqrt(1e-3) PyTorch's
// stand-in. The TensorFlow form also differs in the start (small first steps) and in when a changed rate acts.
// Cost: 20 B a float32 parameter in one pass; momentum and centering add 8 B each.
#pragma once

#include "optim/optimizer.h"

namespace fovea::optim {

enum class RMSpropForm { pytorch, tensorflow };

struct RMSpropOptions {
  double lr = 1e-2;
  double alpha = 0.99;   // decay of the mean square; TensorFlow's rho, 0.9 in its recipes
  double eps = 1e-8;
  double weight_decay = 0, momentum = 0;
  bool centered = false;
  RMSpropForm form = RMSpropForm::pytorch;
};

class RMSprop : public Optimizer {
 public:
  /// Throws ShapeError for options outside of their range.
  RMSprop(const Parameters& parameters, const RMSpropOptions& options);

 private:
  void update(const Slice& s) override;

  RMSpropOptions options_;   // lr and weight_decay are the base class's
  Tensor v_, m_, b_;         // m_: undefined unless centered; b_: undefined without momentum
};

}   // namespace fovea::optim
