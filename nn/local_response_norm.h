// local_response_norm.h: local response normalisation as a layer. Gradient and cost: kernels/local_response_norm.h.
#pragma once

#include "autograd/local_response_norm.h"
#include "nn/module.h"

namespace fovea::nn {

/// y[c] = x[c] (k + alpha / size * sum of x^2 over the `size` channels around c)^-beta. x (..., C) -> y (..., C); no parameters.
/// Options as in PyTorch's LocalResponseNorm: {.size = 5, .alpha = 1e-4, .beta = 0.75, .k = 1}.
/// Krizhevsky, Sutskever & Hinton 2012, section 3.3, whose alpha is alpha / size here.
class LocalResponseNorm : public Module {
 public:
  using Options = LocalResponse;
  explicit LocalResponseNorm(const Options& o);
  Variable forward(const Variable& x) override;
  std::string describe() const override;

 private:
  Options o_;
};

}   // namespace fovea::nn
