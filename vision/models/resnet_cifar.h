// resnet_cifar.h: the residual networks for CIFAR-10, and their plain twins. The paper: resnet_cifar.cpp.
#pragma once

#include "nn/conv_norm_act.h"
#include "nn/dropout.h"
#include "nn/linear.h"
#include "nn/pooling.h"
#include "nn/sequential.h"
#include "vision/models/models.h"

namespace fovea::vision {

/// x (N, H, W, in) -> (N, H/stride, W/stride, out), divisions rounded up: x[:, ::stride, ::stride], with zero channels behind its own.
Variable identity_shortcut(const Variable& x, std::int64_t out, std::int64_t stride);

struct IdentityBlockOptions {
  std::int64_t in = 0, out = 0, stride = 1;
  bool shortcut = true;   // false: y = relu(F(x)), a block of the plain network
  double drop_path = 0;   // probability that F is dropped, image by image: Huang et al. 2016
};

/// relu(F(x) + identity_shortcut(x)), F of two 3x3 convolutions (Fig. 5 left): a ReLU on the sum of Eq. (1).
/// x (N, H, W, in) -> (N, H/stride, W/stride, out).
class IdentityBlock : public nn::Module {
 public:
  using Options = IdentityBlockOptions;
  explicit IdentityBlock(const Options& o);
  Variable forward(const Variable& x) override;
  std::string describe() const override;

 private:
  Options o_;
  nn::Conv2d& conv1_;
  nn::BatchNorm2d& bn1_;
  nn::Conv2d& conv2_;
  nn::BatchNorm2d& bn2_;
  nn::StochasticDepth* drop_path_ = nullptr;
};

struct CifarResNetConfig {
  std::string name;
  std::int64_t n;          // blocks of each of the three stages, of 16, 32 and 64 channels
  bool shortcuts = true;   // false: the plain network of section 4.2, Fig. 6 left
};

class CifarResNet : public Classifier {
 public:
  CifarResNet(const CifarResNetConfig& config, const ModelOptions& o);
  Variable features(const Variable& x) override;   // (N, 64)
  Variable forward(const Variable& x) override;
  std::string describe() const override { return config_.name; }

 private:
  CifarResNetConfig config_;
  nn::Conv2d& conv1_;
  nn::BatchNorm2d& bn1_;
  nn::Sequential& layer1_;
  nn::Sequential& layer2_;
  nn::Sequential& layer3_;
  nn::GlobalAvgPool2d& avgpool_;
  nn::Linear& fc_;
};

std::vector<ModelEntry> resnet_cifar_models();
std::vector<ModelEntry> plain_cifar_models();   // without shortcuts

}   // namespace fovea::vision
