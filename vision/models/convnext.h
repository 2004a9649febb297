// convnext.h: a convolutional network with Swin's proportions. The paper: convnext.cpp.
#pragma once

#include "nn/conv2d.h"
#include "nn/dropout.h"
#include "nn/layer_norm.h"
#include "nn/linear.h"
#include "nn/sequential.h"
#include "vision/models/models.h"

namespace fovea::vision {

/// Section 3: channels and blocks of the four stages.
struct ConvNeXtConfig {
  std::string name;
  std::array<std::int64_t, 4> channels, depths;
  std::int64_t patch = 4;
};

struct ConvNeXtBlockOptions {
  std::int64_t channels = 0;
  double layer_scale = 1e-6;   // gamma at first: Touvron et al. 2021 (CaiT), section 2
  double drop_path = 0;
};

/// y = x + gamma * W2 GELU(W1 LN(depthwise 7x7(x))): Fig. 4 right. x, y (N, H, W, channels).
class ConvNeXtBlock : public nn::Module {
 public:
  using Options = ConvNeXtBlockOptions;
  explicit ConvNeXtBlock(const Options& o);
  Variable forward(const Variable& x) override;
  std::string describe() const override { return detail::join("ConvNeXtBlock(", o_.channels, ")"); }

 private:
  Options o_;
  Variable& layer_scale_;   // (channels, 1, 1), as in PyTorch's files
  nn::Sequential& block_;   // depthwise, norm, linear, GELU, linear
  nn::StochasticDepth& stochastic_depth_;
};

class ConvNeXt : public Classifier {
 public:
  ConvNeXt(const ConvNeXtConfig& config, const ModelOptions& o);
  Variable features(const Variable& x) override;   // (N, channels of the last stage), behind the last norm
  Variable forward(const Variable& x) override;
  std::string describe() const override { return config_.name; }

 private:
  ConvNeXtConfig config_;
  nn::Sequential &features_, &classifier_;
  nn::Linear* head_ = nullptr;
};

std::vector<ModelEntry> convnext_models();

}   // namespace fovea::vision
