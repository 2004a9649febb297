// lenet.cpp: LeNet-5. LeCun, Bottou, Bengio & Haffner 1998, "Gradient-based learning applied to document recognition", section II.B, Fig.
// 2: convolutions C1, C3 and C5, sub-sampling S2 and S4 between them, then fully connected layers.
//
// Where we depart, as everybody does: S2 and S4 are plain means (the paper's have a trained factor and bias a map, and squash), C3 sees
// all maps of S2 (Table I leaves out connections), tanh(a) for A tanh(S a) with A = 1.7159, Eq. (6), and a linear layer for the radial
// basis functions of Eq. (7).
#include "vision/models/lenet.h"

#include <algorithm>

#include "autograd/shape_ops.h"
#include "nn/activation.h"
#include "nn/conv2d.h"
#include "nn/pooling.h"

namespace fovea::vision {

// Shapes behind each layer for 32x32: Fig. 2.
LeNet5::LeNet5(const ModelOptions& o) : features_(add<nn::Sequential>("features")), classifier_(add<nn::Sequential>("classifier")) {
  features_.add<nn::Conv2d>({.in = o.channels, .out = 6, .kernel = 5});   // C1: 28x28x6
  features_.add<nn::Tanh>();
  features_.add<nn::AvgPool2d>({.kernel = 2, .stride = 2});       // S2: 14x14x6
  features_.add<nn::Conv2d>({.in = 6, .out = 16, .kernel = 5});   // C3: 10x10x16
  features_.add<nn::Tanh>();
  features_.add<nn::AvgPool2d>({.kernel = 2, .stride = 2});         // S4: 5x5x16
  features_.add<nn::Conv2d>({.in = 16, .out = 120, .kernel = 5});   // C5: 1x1x120
  features_.add<nn::Tanh>();
  classifier_.add<nn::Linear>({.in = 120, .out = 84});   // F6
  classifier_.add<nn::Tanh>();
  head_ = &classifier_.add<nn::Linear>({.in = 84, .out = o.classes});
}

// "The input is a 32x32 pixel image. This is significantly larger than the largest character in the database": MNIST's 28x28 get a border.
Variable LeNet5::features(const Variable& x) {
  require(std::min(x.dim(1), x.dim(2)) >= 28 && std::max(x.dim(1), x.dim(2)) <= 32, "LeNet-5: expected pictures of 28x28 to 32x32, got ",
          x.shape());
  const std::int64_t h = 32 - x.dim(1), w = 32 - x.dim(2);
  const Variable centred =
      h + w > 0 ? pad(x, {.axis = 1, .before = h / 2, .after = h - h / 2}, {.axis = 2, .before = w / 2, .after = w - w / 2}) : x;
  return classifier_.forward_until(flatten(features_(centred)), *head_);
}

Variable LeNet5::forward(const Variable& x) { return (*head_)(features(x)); }

std::vector<ModelEntry> lenet_models() {
  return {{.name = "lenet5",
           .description = "the convolutional network of 1998, for digits",
           .paper = "LeCun et al. 1998, Gradient-based learning applied to document recognition",
           .size = 32,
           .make = [](const ModelOptions& o) { return std::make_unique<LeNet5>(o); },
           .channels = 1,
           .classes = 10}};
}

}   // namespace fovea::vision
