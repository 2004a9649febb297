// resnet.h: residual networks. He et al. 2016, "Deep Residual Learning for Image Recognition" (arXiv:1512.03385).
//
// Names are torchvision's, so its weights load. Where we depart from the paper: shortcuts that change shape are always
// projections (option B of section 3.3), and resnet8_mnist is ours: a stem of stride 2 and one block a stage, for 28x28 digits.
#pragma once

#include <array>

#include "nn/conv_norm_act.h"
#include "nn/linear.h"
#include "nn/pooling.h"
#include "nn/sequential.h"
#include "vision/models/models.h"

namespace fovea::vision {

/// W_s x: the shortcut of Eq. (2), a 1x1 convolution with batch norm. x (N, H, W, in) -> (N, H/stride, W/stride, out).
class Projection : public nn::Module {
 public:
  struct Options {
    std::int64_t in, out, stride;
  };
  explicit Projection(const Options& o);
  Variable forward(const Variable& x) override;
  std::string describe() const override { return "Projection"; }

 private:
  nn::Conv2d& conv_;
  nn::BatchNorm2d& bn_;
};

struct BasicBlockOptions {
  std::int64_t in = 0, out = 0, stride = 1;
};

/// y = relu(F(x) + x) or relu(F(x) + W_s x), F of two 3x3 convolutions. He et al. 2016, Fig. 5 left; Eq. (1) with an identity
/// shortcut, Eq. (2) with a projection. x (N, H, W, in) -> y (N, H/stride, W/stride, out), divisions rounded up.
class BasicBlock : public nn::Module {
 public:
  using Options = BasicBlockOptions;
  explicit BasicBlock(const Options& o);
  Variable forward(const Variable& x) override;
  std::string describe() const override;

 private:
  Options o_;
  nn::Conv2d& conv1_;
  nn::BatchNorm2d& bn1_;
  nn::Conv2d& conv2_;
  nn::BatchNorm2d& bn2_;
  Projection* downsample_ = nullptr;
};

struct ResNetConfig {
  const char* name;
  std::array<std::int64_t, 4> depths;   // blocks of each stage; 0: there is no such stage
  std::int64_t width = 64;              // channels of stem and first stage; each further stage doubles them
  std::int64_t stem_kernel = 7, stem_stride = 2;
  bool stem_pool = true;   // 3x3 maximum with stride 2 behind the stem
};

inline constexpr ResNetConfig kResNet18{.name = "resnet18", .depths = {2, 2, 2, 2}};   // Table 1
inline constexpr ResNetConfig kResNet34{.name = "resnet34", .depths = {3, 4, 6, 3}};
inline constexpr ResNetConfig kResNet8Mnist{
    .name = "resnet8_mnist", .depths = {1, 1, 1, 0}, .width = 16, .stem_kernel = 3, .stem_pool = false};

class ResNet : public Classifier {
 public:
  ResNet(const ResNetConfig& config, const ModelOptions& o);
  Variable features(const Variable& x) override;   // (N, width of the last stage)
  Variable forward(const Variable& x) override;
  std::string describe() const override { return config_.name; }

 private:
  ResNetConfig config_;
  nn::Conv2d& conv1_;
  nn::BatchNorm2d& bn1_;
  nn::MaxPool2d* maxpool_ = nullptr;
  std::vector<nn::Sequential*> layers_;   // "layer1", ...: conv2_x to conv5_x in Table 1
  nn::GlobalAvgPool2d* avgpool_ = nullptr;
  nn::Linear* fc_ = nullptr;
};

}   // namespace fovea::vision
