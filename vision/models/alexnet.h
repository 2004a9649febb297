// alexnet.h: AlexNet of 2012 in two groups, and the one tower that everybody uses. Papers, and where we depart from them: alexnet.cpp.
#pragma once

#include "nn/linear.h"
#include "nn/pooling.h"
#include "nn/sequential.h"
#include "vision/models/models.h"

namespace fovea::vision {

struct AlexNetConfig {
  struct Convolution {
    std::int64_t out, kernel, stride, padding, groups;
    bool norm, pool;   // local response norm and 3x3 maximum with stride 2 behind it
    double bias = 0;   // to begin with
  };
  std::string name;
  std::vector<Convolution> convolutions;
  std::int64_t pooled = 6;      // side of what the classifier sees
  std::int64_t hidden = 4096;   // width of its two hidden layers
  double std = 0;               // first weights N(0, std^2), and hidden biases of 1: section 5; 0: those of nn::Conv2d and nn::Linear
};

class AlexNet : public Classifier {
 public:
  AlexNet(const AlexNetConfig& config, const ModelOptions& o);
  Variable features(const Variable& x) override;   // (N, hidden)
  Variable forward(const Variable& x) override;
  std::string describe() const override { return config_.name; }

 private:
  void start();

  AlexNetConfig config_;
  nn::Sequential& features_;
  nn::AdaptiveAvgPool2d& avgpool_;
  nn::Sequential& classifier_;   // dropout, linear, ReLU, dropout, linear, ReLU
  nn::Linear& head_;             // its last entry
};

std::vector<ModelEntry> alexnet_models();

}   // namespace fovea::vision
