// softplus.h: a smooth ReLU as a layer. Gradient and cost: kernels/softplus.h.
#pragma once

#include "nn/module.h"

namespace fovea::nn {

struct SoftplusOptions {};

/// y = log(1 + e^x), element by element; any shape. Dugas et al. 2001.
class Softplus : public Module {
 public:
  using Options = SoftplusOptions;
  explicit Softplus(const Options& = {}) {}
  Variable forward(const Variable& x) override;
  std::string describe() const override { return "Softplus"; }
};

}   // namespace fovea::nn
