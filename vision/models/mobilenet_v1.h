// mobilenet_v1.h: depthwise separable convolutions. The paper, and where we depart from it: mobilenet_v1.cpp.
#pragma once

#include "nn/conv_norm_act.h"
#include "nn/linear.h"
#include "nn/pooling.h"
#include "nn/sequential.h"
#include "vision/models/models.h"

namespace fovea::vision {

struct DepthwiseSeparableOptions {
  std::int64_t in = 0, out = 0, stride = 1;
};

/// Depthwise 3x3, then 1x1, each with norm and activation: Fig. 3 right. x (N, H, W, in) -> y (N, H/stride, W/stride, out).
class DepthwiseSeparable : public nn::Module {
 public:
  using Options = DepthwiseSeparableOptions;
  explicit DepthwiseSeparable(const Options& o);
  Variable forward(const Variable& x) override;
  std::string describe() const override;

 private:
  Options o_;
  nn::Conv2d& conv_dw_;
  nn::BatchNorm2d& bn1_;
  nn::Conv2d& conv_pw_;
  nn::BatchNorm2d& bn2_;
};

class MobileNetV1 : public Classifier {
 public:
  /// `width` multiplies every number of channels: alpha in section 3.3.
  MobileNetV1(double width, const ModelOptions& o);
  Variable features(const Variable& x) override;   // (N, 1024 width)
  Variable forward(const Variable& x) override;
  std::string describe() const override { return "MobileNetV1"; }

 private:
  nn::Conv2d& conv_stem_;
  nn::BatchNorm2d& bn1_;
  nn::Sequential& blocks_;
  nn::GlobalAvgPool2d& global_pool_;
  nn::Linear& classifier_;
};

std::vector<ModelEntry> mobilenet_v1_models();

}   // namespace fovea::vision
