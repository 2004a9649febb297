// conv2d_norm_activation.h: convolution, batch norm and activation as one layer: what networks since 2015 are made of.
#pragma once

#include <array>

#include "nn/conv_norm_act.h"

namespace fovea::nn {

struct Conv2dNormActivationOptions {
  std::int64_t in = 0, out = 0;
  Size2 kernel = 3, stride = 1;   // padded so that stride 1 keeps the size: (kernel - 1) / 2
  std::int64_t groups = 1;
  Activation activation = Activation::relu;
  double eps = 1e-5, momentum = 0.1;               // of the norm
  std::array<const char*, 2> names = {"0", "1"};   // of convolution and norm, in files
};

/// y = act(bn(conv(x))), by conv_norm_act, so fused. torchvision.ops.Conv2dNormActivation.
/// x (N, H, W, in) -> y (N, P, Q, out), P = floor((H - 1) / stride) + 1 for odd kernels.
class Conv2dNormActivation : public Module {
 public:
  using Options = Conv2dNormActivationOptions;
  explicit Conv2dNormActivation(const Options& o);
  Variable forward(const Variable& x) override;
  /// act(bn(conv(x)) + residual)
  Variable forward(const Variable& x, const Variable& residual);
  std::string describe() const override;

 private:
  Options o_;
  Conv2d& conv_;
  BatchNorm2d& bn_;
};

}   // namespace fovea::nn
