// upsample.h: a layer that resizes. Formulas, gradient and cost: kernels/interpolate.h.
#pragma once

#include "autograd/interpolate.h"
#include "nn/module.h"

namespace fovea::nn {

using UpsampleOptions = InterpolateConfig;   // size or scale_factor, mode, align_corners

/// Nearest, bilinear or bicubic resize. x (N, H, W, C) -> y (N, size.h, size.w, C). No parameters.
class Upsample : public Module {
 public:
  using Options = UpsampleOptions;
  explicit Upsample(const Options& o);
  Variable forward(const Variable& x) override;
  std::string describe() const override;

 private:
  Options o_;
};

}   // namespace fovea::nn
