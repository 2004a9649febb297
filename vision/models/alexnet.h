// alexnet.h: the network that began it, in the two forms in use.
//
//   Krizhevsky, Sutskever & Hinton 2012, "ImageNet Classification with Deep Convolutional Neural Networks": alexnet_2012
//   Krizhevsky 2014, "One weird trick for parallelizing convolutional neural networks" (arXiv:1404.5997): alexnet
//
// `alexnet` is torchvision's, one tower after the second paper, and takes its weights. `alexnet_2012` is Fig. 2 of the first: convolutions
// 2, 4 and 5 in two groups (one for each of the two GPUs), local response norm behind the first two, images of 227 pixels (the 224 of the
// paper do not give its 55 x 55). Departure: batches and pictures in colour only; the order is ReLU, norm, pool as in section 3.5.
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
  };
  std::string name;
  std::vector<Convolution> convolutions;
  std::int64_t pooled = 6;      // side of what the classifier sees
  std::int64_t hidden = 4096;   // width of its two hidden layers
};

class AlexNet : public Classifier {
 public:
  AlexNet(const AlexNetConfig& config, const ModelOptions& o);
  Variable features(const Variable& x) override;   // (N, hidden)
  Variable forward(const Variable& x) override;
  std::string describe() const override { return config_.name; }

 private:
  AlexNetConfig config_;
  nn::Sequential& features_;
  nn::AdaptiveAvgPool2d& avgpool_;
  nn::Sequential& classifier_;   // dropout, linear, ReLU, dropout, linear, ReLU
  nn::Linear& head_;             // its last entry
};

std::vector<ModelEntry> alexnet_models();

}   // namespace fovea::vision
