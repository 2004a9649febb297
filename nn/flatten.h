// flatten.h: from images to rows of features.
#pragma once

#include "nn/module.h"

namespace fovea::nn {

struct FlattenOptions {};

/// x (N, H, W, C) -> y (N, C H W) in channel-major order, so that the weights of a following Linear mean what they mean in
/// published files.
class Flatten : public Module {
 public:
  using Options = FlattenOptions;
  explicit Flatten(const Options& = {}) {}
  Variable forward(const Variable& x) override;
  std::string describe() const override { return "Flatten"; }
};

}   // namespace fovea::nn
