// mbconv.h: the block of MobileNet V3 and EfficientNet. The papers: mbconv.cpp.
#pragma once

#include "nn/conv2d_norm_activation.h"
#include "nn/dropout.h"
#include "nn/squeeze_excitation.h"

namespace fovea::vision {

struct MBConvOptions {
  std::int64_t in = 0, expanded = 0, out = 0;                                                 // channels
  std::int64_t kernel = 3, stride = 1;                                                        // of the depthwise convolution
  std::int64_t squeeze = 0;                                                                   // hidden channels of SE; 0: no SE
  Activation activation = Activation::relu;                                                   // behind expansion and depthwise convolution
  Activation squeeze_activation = Activation::relu, scale_activation = Activation::sigmoid;   // delta and sigma of SE
  double eps = 1e-5, momentum = 0.1;                                                          // of the norms
  double drop_path = 0;   // probability that the block is skipped, where it has a shortcut
};

/// The layers under torchvision's numbers: 1x1 up, depthwise, SE, 1x1 down without activation.
/// x (N, H, W, in) -> (N, H/stride, W/stride, out).
class MBConvLayers : public nn::Module {
 public:
  using Options = MBConvOptions;
  explicit MBConvLayers(const Options& o);
  Variable forward(const Variable& x) override { return run(x, nullptr); }
  /// With *residual added, if there is one.
  Variable run(const Variable& x, const Variable* residual);
  std::string describe() const override { return "Layers"; }

 private:
  nn::Conv2dNormActivation *expand_ = nullptr, *depthwise_ = nullptr, *project_ = nullptr;
  nn::SqueezeExcitation* se_ = nullptr;
};

/// y = F(x), or F(x) + x where stride is 1 and in is out.
class MBConv : public nn::Module {
 public:
  using Options = MBConvOptions;
  explicit MBConv(const Options& o);
  Variable forward(const Variable& x) override;
  std::string describe() const override;

 private:
  Options o_;
  MBConvLayers& block_;
  nn::StochasticDepth* stochastic_depth_ = nullptr;
};

}   // namespace fovea::vision
