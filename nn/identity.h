// identity.h: what stands where a layer might be.
#pragma once

#include "nn/module.h"

namespace fovea::nn {

struct IdentityOptions {};

/// y = x: a shortcut without a projection, or a head that was taken off.
class Identity : public Module {
 public:
  using Options = IdentityOptions;
  explicit Identity(const Options& = {}) {}
  Variable forward(const Variable& x) override { return x; }
  std::string describe() const override { return "Identity"; }
};

}   // namespace fovea::nn
