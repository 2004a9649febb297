// squeeze_excitation.h: channels that are weighed by what the whole image shows.
#pragma once

#include "autograd/activation.h"
#include "nn/conv2d.h"

namespace fovea::nn {

struct SqueezeExcitationOptions {
  std::int64_t channels = 0, squeeze = 0;   // of x; between the two layers: channels / r
  Activation activation = Activation::relu, scale_activation = Activation::sigmoid;
};

/// y = x s for each channel, s = scale_activation(fc2(activation(fc1(z)))), z the mean of x over its pixels. x (N, H, W, channels) -> the
/// same shape. Hu et al. 2018, "Squeeze-and-Excitation Networks", Eq. (2) squeeze, (3) excitation, (4) scale; 2 channels squeeze
/// multiply-adds an image. Names and biased 1x1 convolutions as in torchvision; EfficientNet has silu and sigmoid, MobileNet V3 relu
/// and hard_sigmoid.
class SqueezeExcitation : public Module {
 public:
  using Options = SqueezeExcitationOptions;
  explicit SqueezeExcitation(const Options& o);
  Variable forward(const Variable& x) override;
  std::string describe() const override;

 private:
  Options o_;
  Conv2d &fc1_, &fc2_;
};

}   // namespace fovea::nn
