// vgg.h: Simonyan & Zisserman 2015, "Very Deep Convolutional Networks for Large-Scale Image Recognition" (arXiv:1409.1556), Table 1.
//
// 3x3 convolutions all the way: two of them see 5x5 pixels, three 7x7, with fewer weights and more nonlinearities than one large filter
// (section 2.3). Names are torchvision's. The `_bn` variants have a batch norm (with the convolution's bias kept, as in torchvision's files)
// and are not in the paper. Departure: initialised as in He et al. 2015, where the paper trains shallow networks first.
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
