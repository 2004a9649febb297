// sgd.h: stochastic gradient descent with momentum. Sutskever et al. 2013, "On the importance of initialization and momentum in
// deep learning", Eq. (1)-(4), in PyTorch's form: the learning rate stands outside of the velocity, so that changing it acts at
// once, and the velocity starts as the first gradient.
//
//   g = dL/dw + weight_decay * w
//   v = momentum * v + (1 - dampening) * g          (first: v = g)
//   w = w - lr * v,  with Nesterov  w - lr * (g + momentum * v)
//
// Cost: 20 B a float32 parameter in one pass and memory for v; without momentum 12 B and none.
#pragma once

#include "optim/optimizer.h"

namespace fovea::optim {

struct SGDOptions {
  double lr;
  double momentum = 0, dampening = 0, weight_decay = 0;
  bool nesterov = false;   // needs momentum, and no dampening
};

class SGD : public Optimizer {
 public:
  /// Throws ShapeError for options outside of their range.
  SGD(const Parameters& parameters, const SGDOptions& options);

 private:
  void update(const Slice& s) override;

  SGDOptions options_;   // lr and weight_decay are the base class's
  Tensor velocity_;      // undefined without momentum
};

}   // namespace fovea::optim
