// relu.h: the rectifier as a layer.
#pragma once

#include "nn/module.h"

namespace fovea::nn {

struct ReLUOptions {};

/// y = max(x, 0), element by element; any shape. Nair & Hinton 2010.
class ReLU : public Module {
 public:
  using Options = ReLUOptions;
  explicit ReLU(const Options& = {}) {}
  Variable forward(const Variable& x) override;
  std::string describe() const override { return "ReLU"; }
};

}   // namespace fovea::nn
