// layer_norm.h: the layer-normalisation layer. Gradients and cost: kernels/layer_norm.h.
#pragma once

#include "autograd/layer_norm.h"
#include "nn/module.h"

namespace fovea::nn {

struct LayerNormOptions {
  std::int64_t channels = 0;
  double eps = 1e-5;    // ViT, Swin and ConvNeXt as published in torchvision: 1e-6 (Swin 1e-5)
  bool affine = true;   // weight and bias
  bool bias = true;     // with affine
};

/// y = weight (x - mean) / sqrt(variance + eps) + bias, mean and variance over the channels of each pixel or token.
/// x (..., channels) -> y (..., channels). weight = 1, bias = 0 at first. The same in training and evaluation.
/// Ba, Kiros & Hinton 2016 (arXiv:1607.06450), Eq. (4).
class LayerNorm : public Module {
 public:
  using Options = LayerNormOptions;
  explicit LayerNorm(const Options& o);
  Variable forward(const Variable& x) override;
  std::string describe() const override;

  const Options& options() const { return o_; }

 private:
  Options o_;
  Variable *weight_ = nullptr, *bias_ = nullptr;
};

}   // namespace fovea::nn
