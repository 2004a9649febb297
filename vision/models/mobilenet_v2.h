// mobilenet_v2.h: inverted residuals with linear bottlenecks. The paper: mobilenet_v2.cpp.
#pragma once

#include "nn/conv2d_norm_activation.h"
#include "nn/dropout.h"
#include "nn/linear.h"
#include "nn/pooling.h"
#include "nn/sequential.h"
#include "vision/models/models.h"

namespace fovea::vision {

struct InvertedResidualV2Options {
  std::int64_t in = 0, out = 0, stride = 1;
  std::int64_t expansion = 6;   // t in Table 1
};

/// The layers of a block under torchvision's numbers. x (N, H, W, in) -> (N, H/stride, W/stride, out).
class InvertedResidualLayers : public nn::Module {
 public:
  using Options = InvertedResidualV2Options;
  explicit InvertedResidualLayers(const Options& o);
  Variable forward(const Variable& x) override { return run(x, nullptr); }
  /// With *residual added, if there is one.
  Variable run(const Variable& x, const Variable* residual);
  std::string describe() const override { return "Layers"; }

 private:
  nn::Conv2dNormActivation *expand_ = nullptr, *depthwise_ = nullptr;
  nn::Conv2d* project_ = nullptr;
  nn::BatchNorm2d* norm_ = nullptr;
};

/// 1x1 up to expansion * in channels, depthwise 3x3, 1x1 down without activation (the linear bottleneck, section 3.2), with a shortcut
/// between the thin ends where shapes agree: Table 1, Fig. 4d. x (N, H, W, in) -> y (N, H/stride, W/stride, out).
class InvertedResidualV2 : public nn::Module {
 public:
  using Options = InvertedResidualV2Options;
  explicit InvertedResidualV2(const Options& o);
  Variable forward(const Variable& x) override;
  std::string describe() const override;

 private:
  Options o_;
  InvertedResidualLayers& conv_;
};

class MobileNetV2 : public Classifier {
 public:
  MobileNetV2(double width, const ModelOptions& o);
  Variable features(const Variable& x) override;   // (N, 1280)
  Variable forward(const Variable& x) override;
  std::string describe() const override { return "MobileNetV2"; }

 private:
  nn::Sequential &features_, &classifier_;
  nn::Dropout& dropout_;
  nn::Linear& head_;
};

std::vector<ModelEntry> mobilenet_v2_models();

}   // namespace fovea::vision
