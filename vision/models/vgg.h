// vgg.h: 3x3 convolutions all the way, 11 to 19 layers. The paper, and where we depart from it: vgg.cpp.
#pragma once

#include "nn/linear.h"
#include "nn/pooling.h"
#include "nn/sequential.h"
#include "vision/models/models.h"

namespace fovea::vision {

struct VGGConfig {
  std::string name;
  std::vector<std::vector<std::int64_t>> stages;   // channels of the convolutions between one maximum pool and the next
  bool batch_norm = false;
  std::int64_t pooled = 7;      // side of what the classifier sees
  std::int64_t hidden = 4096;   // width of its two hidden layers
};

class VGG : public Classifier {
 public:
  VGG(const VGGConfig& config, const ModelOptions& o);
  Variable features(const Variable& x) override;   // (N, hidden)
  Variable forward(const Variable& x) override;
  std::string describe() const override { return config_.name; }

 private:
  VGGConfig config_;
  nn::Sequential& features_;
  nn::AdaptiveAvgPool2d& avgpool_;
  nn::Sequential& classifier_;   // linear, ReLU, dropout, linear, ReLU, dropout
  nn::Linear& head_;             // its last entry
};

std::vector<ModelEntry> vgg_models();

}   // namespace fovea::vision
