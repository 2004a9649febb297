// resnet_cifar.h: the residual networks for CIFAR-10 of He et al. 2016, "Deep Residual Learning for Image Recognition" (arXiv:1512.03385),
// section 4.2: 6n + 2 layers, n = 3, 5, 7, 9, 18 (Table 6), for images of 32x32; and their plain twins without shortcuts (Fig. 6 left).
//
// Every shortcut is parameter-free: where the shape changes, the identity takes every second row and column and new channels are zero
// (option A of section 3.3), so a residual network has exactly the parameters of its plain counterpart. We depart from the paper in
// nothing here; the 110 layers, which it warms up at learning rate 0.01, are a matter of the recipe.
#pragma once

#include "nn/conv_norm_act.h"
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
};

/// y = relu(F(x) + identity_shortcut(x)), F of two 3x3 convolutions: Eq. (1), Fig. 5 left. x (N, H, W, in) -> y (N, H/stride, W/stride, out).
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

}   // namespace fovea::vision
