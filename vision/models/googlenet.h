// googlenet.h: inception modules, as torchvision has them and with the paper's 5x5. The paper, and where we depart from it: googlenet.cpp.
#pragma once

#include "nn/conv2d_norm_activation.h"
#include "nn/dropout.h"
#include "nn/linear.h"
#include "nn/pooling.h"
#include "nn/sequential.h"
#include "vision/models/models.h"

namespace fovea::vision {

/// A row of Table 1: channels of the branches.
struct InceptionOptions {
  std::int64_t in = 0;
  std::int64_t conv1x1 = 0;
  std::int64_t reduce3x3 = 0, conv3x3 = 0;
  std::int64_t reduce5x5 = 0, conv5x5 = 0;
  std::int64_t pool_proj = 0;
  std::int64_t large_kernel = 5;   // 3 in torchvision
  std::int64_t out() const { return conv1x1 + conv3x3 + conv5x5 + pool_proj; }
};

/// Fig. 2b. x (N, H, W, in) -> y (N, H, W, out()).
class Inception : public nn::Module {
 public:
  using Options = InceptionOptions;
  explicit Inception(const Options& o);
  Variable forward(const Variable& x) override;
  std::string describe() const override;

 private:
  Options o_;
  nn::Conv2dNormActivation& branch1_;
  nn::Sequential &branch2_, &branch3_, &branch4_;
};

/// The classifier on the side: 4x4 average, 1x1 convolution of 128 channels, 1024 hidden units (section 5). Only training sees it.
class InceptionAux : public nn::Module {
 public:
  struct Options {
    std::int64_t in, classes;
    double dropout;
  };
  explicit InceptionAux(const Options& o);
  Variable forward(const Variable& x) override;
  std::string describe() const override { return "InceptionAux"; }

 private:
  nn::Conv2dNormActivation& conv_;
  nn::Linear &fc1_, &fc2_;
  nn::Dropout& dropout_;
};

class GoogLeNet : public Classifier {
 public:
  GoogLeNet(std::int64_t large_kernel, const ModelOptions& o);
  Variable features(const Variable& x) override;   // (N, 1024)
  Variable forward(const Variable& x) override;
  std::vector<Auxiliary> take_auxiliary() override { return std::exchange(auxiliary_, {}); }
  std::string describe() const override { return "GoogLeNet"; }

 private:
  std::vector<Module*> stages_;   // in order: stem, inception 3a to 5b, pools between them
  Module *after4a_ = nullptr, *after4d_ = nullptr;
  InceptionAux *aux1_ = nullptr, *aux2_ = nullptr;
  nn::GlobalAvgPool2d* avgpool_ = nullptr;
  nn::Dropout* dropout_ = nullptr;
  nn::Linear* fc_ = nullptr;
  std::vector<Auxiliary> auxiliary_;
};

std::vector<ModelEntry> googlenet_models();

}   // namespace fovea::vision
