// alexnet.cpp: the network that began it, in the two forms in use.
//
//   alexnet_2012   Krizhevsky, Sutskever & Hinton 2012, "ImageNet Classification with Deep Convolutional Neural Networks", Fig. 2 and
//                  section 3.5: convolutions 2, 4 and 5 in two groups (one for each of the two GPUs); ReLU (3.1), local response norm
//                  behind the first two (3.3), overlapping maximum pools (3.4), dropout in the fully connected layers (4.2).
//   alexnet        torchvision's, which takes its weights: one tower, after Krizhevsky 2014, "One weird trick for parallelizing
//                  convolutional neural networks" (arXiv:1404.5997), without response norm.
//
// Where we depart: alexnet_2012 is for images of 227 pixels, as the 224 of the paper do not give its 55x55; alexnet has 256 filters in its
// fourth convolution, as torchvision's files have, where the paper's one-tower network has 384; a mean over 6x6 bins lets both take images
// of other sizes; first weights are the paper's in alexnet_2012, those of nn::Conv2d and nn::Linear in alexnet and for small pictures.
#include "vision/models/alexnet.h"

#include "autograd/shape_ops.h"
#include "nn/activation.h"
#include "nn/conv2d.h"
#include "nn/dropout.h"
#include "nn/init.h"
#include "nn/local_response_norm.h"

namespace fovea::vision {

AlexNet::AlexNet(const AlexNetConfig& config, const ModelOptions& o)
    : config_(config),
      features_(add<nn::Sequential>("features")),
      avgpool_(add<nn::AdaptiveAvgPool2d>("avgpool", {.output_size = config.pooled})),
      classifier_(add<nn::Sequential>("classifier")),
      head_([&]() -> nn::Linear& {
        const double p = o.dropout.value_or(0.5);   // section 4.2
        classifier_.add<nn::Dropout>({.p = p});
        classifier_.add<nn::Linear>({.in = config.convolutions.back().out * config.pooled * config.pooled, .out = config.hidden});
        classifier_.add<nn::ReLU>();
        classifier_.add<nn::Dropout>({.p = p});
        classifier_.add<nn::Linear>({.in = config.hidden, .out = config.hidden});
        classifier_.add<nn::ReLU>();
        return classifier_.add<nn::Linear>({.in = config.hidden, .out = o.classes});
      }()) {
  std::int64_t in = o.channels;
  for (const auto& c : config.convolutions) {
    features_.add<nn::Conv2d>({.in = in, .out = c.out, .kernel = c.kernel, .stride = c.stride, .padding = c.padding, .groups = c.groups});
    features_.add<nn::ReLU>();
    if (c.norm)
      features_.add<nn::LocalResponseNorm>({.size = 5, .alpha = 5e-4, .beta = 0.75, .k = 2});   // section 3.3: alpha / size is 1e-4
    if (c.pool) features_.add<nn::MaxPool2d>({.kernel = 3, .stride = 2});
    in = c.out;
  }
  if (config.std > 0) start();
}

/// Section 5: "We initialized the weights in each layer from a zero-mean Gaussian distribution with standard deviation 0.01. We initialized
/// the neuron biases in the second, fourth, and fifth convolutional layers, as well as in the fully-connected hidden layers, with the constant
/// 1", so that ReLUs see positive inputs; the others with 0.
void AlexNet::start() {
  const auto fill = [&](Variable weight, Variable bias, double b) {
    weight.assign(nn::normal(weight.shape(), config_.std, default_generator().next()));
    bias.assign(Tensor::full(bias.shape(), b, bias.dtype()));
  };
  auto convolution = config_.convolutions.begin();
  apply([&](Module& m) {
    if (auto* conv = dynamic_cast<nn::Conv2d*>(&m)) fill(conv->weight(), conv->bias(), (convolution++)->bias);
    if (auto* linear = dynamic_cast<nn::Linear*>(&m)) fill(linear->weight(), linear->bias(), linear == &head_ ? 0 : 1);
  });
}

Variable AlexNet::features(const Variable& x) {
  const Variable y = flatten(avgpool_(features_(x)));   // 6x6x256, 9216
  return classifier_.forward_until(y, head_);           // 4096
}

Variable AlexNet::forward(const Variable& x) { return head_(features(x)); }

namespace {

// out, kernel, stride, padding, groups, norm, pool, bias; shapes at 224, of the two groups at 227: Fig. 2
const AlexNetConfig kOneTower{.name = "alexnet",                                      // Krizhevsky 2014, section 5
                              .convolutions = {{64, 11, 4, 2, 1, false, true},        // 55x55x64; 27x27 behind the pool
                                               {192, 5, 1, 2, 1, false, true},        // 27x27x192; 13x13
                                               {384, 3, 1, 1, 1, false, false},       // 13x13x384
                                               {256, 3, 1, 1, 1, false, false},       // 13x13x256
                                               {256, 3, 1, 1, 1, false, true}}};      // 13x13x256; 6x6
const AlexNetConfig kTwoTowers{.name = "alexnet_2012",                                // Krizhevsky et al. 2012, section 3.5
                               .convolutions = {{96, 11, 4, 0, 1, true, true, 0},     // 55x55x96; 27x27 behind the pool
                                                {256, 5, 1, 2, 2, true, true, 1},     // 27x27x256; 13x13
                                                {384, 3, 1, 1, 1, false, false, 0},   // 13x13x384
                                                {384, 3, 1, 1, 2, false, false, 1},   // 13x13x384
                                                {256, 3, 1, 1, 2, false, true, 1}},   // 13x13x256; 6x6
                               .std = 0.01};

std::unique_ptr<Classifier> make(AlexNetConfig c, const ModelOptions& o) {
  if (o.small_images) {   // 32 pixels: a stem that keeps them, 3x3 before the classifier
    c.convolutions[0].kernel = 5, c.convolutions[0].stride = 1, c.convolutions[0].padding = 2;
    c.pooled = 3, c.hidden = 1024, c.std = 0;
  }
  return std::make_unique<AlexNet>(c, o);
}

}   // namespace

std::vector<ModelEntry> alexnet_models() {
  return {{.name = "alexnet",
           .description = "one tower",
           .paper = "Krizhevsky 2014, One weird trick for parallelizing convolutional neural networks, arXiv:1404.5997",
           .size = 224,
           .make = [](const ModelOptions& o) { return make(kOneTower, o); }},
          {.name = "alexnet_2012",
           .description = "two groups, local response norm",
           .paper = "Krizhevsky, Sutskever & Hinton 2012, ImageNet Classification with Deep Convolutional Neural Networks",
           .size = 227,
           .make = [](const ModelOptions& o) { return make(kTwoTowers, o); }}};
}

}   // namespace fovea::vision
