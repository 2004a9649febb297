// resnet.h: residual networks and their descendants: wide, ResNeXt, SE, B, C and D. Papers, and where we depart from them: resnet.cpp.
#pragma once

#include <array>

#include "nn/conv_norm_act.h"
#include "nn/dropout.h"
#include "nn/linear.h"
#include "nn/pooling.h"
#include "nn/sequential.h"
#include "nn/squeeze_excitation.h"
#include "vision/models/models.h"

namespace fovea::vision {

/// What distinguishes the members of the family, a row of the table in resnet.cpp each.
struct ResNetConfig {
  std::string name;
  std::array<std::int64_t, 4> depths;   // blocks of each stage, Table 1; 0: there is no such stage
  bool bottleneck = false;              // three convolutions a block, Fig. 5 right
  std::int64_t width = 64;              // channels of stem and first stage; each further stage doubles them
  std::int64_t groups = 1;              // of the 3x3 convolution: the cardinality of ResNeXt
  std::int64_t width_per_group = 64;    // 64: as in the paper; 128: twice as wide within the bottleneck (wide ResNet)
  bool squeeze_excitation = false;      // SE before the sum, reduction 16: Hu et al. 2018, Fig. 3
  bool stride_in_1x1 = false;           // the paper's place; else the 3x3 (B in Fig. 2 of He et al. 2019)
  bool deep_stem = false;               // three 3x3 convolutions for the 7x7 (C)
  bool pooled_shortcut = false;         // a 2x2 average before the projection, which then has stride 1 (D)
  std::int64_t stem_kernel = 7, stem_stride = 2;
  bool stem_pool = true;   // 3x3 maximum with stride 2 behind the stem
};

struct ResNetBlockOptions {
  std::int64_t in = 0, width = 0;   // width: channels of the stage; a bottleneck's output has four times as many
  std::int64_t stride = 1;
  double drop_path = 0;   // probability that the residual branch is dropped, image by image: Huang et al. 2016
  ResNetConfig config;
};

/// W_s x: the shortcut of Eq. (2), a 1x1 convolution with batch norm. x (N, H, W, in) -> (N, H/stride, W/stride, out).
class Projection : public nn::Module {
 public:
  struct Options {
    std::int64_t in, out, stride;
    bool pooled = false;   // ResNet-D: average first, so that the projection sees every pixel and not a quarter of them
  };
  explicit Projection(const Options& o);
  Variable forward(const Variable& x) override;
  std::string describe() const override { return "Projection"; }

 private:
  nn::AvgPool2d* pool_ = nullptr;
  nn::Conv2d& conv_;
  nn::BatchNorm2d& bn_;
};

/// relu(F(x) + x) or relu(F(x) + W_s x): a ReLU on the sum of Eq. (1) or Eq. (2). x (N, H, W, in) -> (N, H/stride, W/stride, out),
/// divisions rounded up.
class ResidualBlock : public nn::Module {
 protected:
  ResidualBlock(const ResNetBlockOptions& o, std::int64_t out) : o_(o), out_(out) {}
  /// SE, shortcut and stochastic depth, behind the convolutions in the order of torchvision's names.
  void add_rest();
  /// relu(bn(conv(y)) + shortcut), in one kernel when nothing stands between norm and sum.
  Variable join(const Variable& x, const Variable& y, nn::Conv2d& conv, nn::BatchNorm2d& bn);

  ResNetBlockOptions o_;
  std::int64_t out_;

 private:
  nn::SqueezeExcitation* se_ = nullptr;
  Projection* downsample_ = nullptr;
  nn::StochasticDepth* drop_path_ = nullptr;
};

/// F: two 3x3 convolutions. He et al. 2016, Fig. 5 left.
class BasicBlock : public ResidualBlock {
 public:
  using Options = ResNetBlockOptions;
  explicit BasicBlock(const Options& o);
  Variable forward(const Variable& x) override;
  std::string describe() const override;

 private:
  nn::Conv2d& conv1_;
  nn::BatchNorm2d& bn1_;
  nn::Conv2d& conv2_;
  nn::BatchNorm2d& bn2_;
};

/// F: 1x1 down to few channels, 3x3 (in groups: ResNeXt, Xie et al. 2017, Fig. 3c), 1x1 up to four times the width. Fig. 5 right.
class Bottleneck : public ResidualBlock {
 public:
  using Options = ResNetBlockOptions;
  explicit Bottleneck(const Options& o);
  Variable forward(const Variable& x) override;
  std::string describe() const override;

 private:
  std::int64_t inner_;   // channels of the 3x3: D = width_per_group / 64 * width * groups, Xie et al. 2017, Table 1
  nn::Conv2d& conv1_;
  nn::BatchNorm2d& bn1_;
  nn::Conv2d& conv2_;
  nn::BatchNorm2d& bn2_;
  nn::Conv2d& conv3_;
  nn::BatchNorm2d& bn3_;
};

/// Three 3x3 convolutions instead of one 7x7, the first with stride 2: Szegedy et al. 2016 (Inception v3), ResNet-C in He et al. 2019,
/// Fig. 2b. The last one's norm is the network's bn1. x (N, H, W, in) -> (N, H/2, W/2, out).
class DeepStem : public nn::Module {
 public:
  struct Options {
    std::int64_t in, out;   // out / 2 channels between
  };
  explicit DeepStem(const Options& o);
  Variable front(const Variable& x);   // all but the last convolution
  nn::Conv2d& last() { return conv3_; }
  Variable forward(const Variable& x) override { return conv3_(front(x)); }
  std::string describe() const override { return "DeepStem"; }

 private:
  nn::Conv2d& conv1_;
  nn::BatchNorm2d& bn1_;
  nn::Conv2d& conv2_;
  nn::BatchNorm2d& bn2_;
  nn::Conv2d& conv3_;
};

class ResNet : public Classifier {
 public:
  ResNet(const ResNetConfig& config, const ModelOptions& o);
  Variable features(const Variable& x) override;   // (N, channels of the last stage)
  Variable forward(const Variable& x) override;
  std::string describe() const override { return config_.name; }

 private:
  ResNetConfig config_;
  nn::Conv2d* conv1_ = nullptr;
  DeepStem* deep_stem_ = nullptr;   // in the place and under the name of conv1
  nn::BatchNorm2d& bn1_;
  nn::MaxPool2d* maxpool_ = nullptr;
  std::vector<nn::Sequential*> layers_;   // "layer1", ...: conv2_x to conv5_x in Table 1
  nn::GlobalAvgPool2d* avgpool_ = nullptr;
  nn::Linear* fc_ = nullptr;
};

/// The rows of the table of models.
std::vector<ModelEntry> resnet_models();

}   // namespace fovea::vision
