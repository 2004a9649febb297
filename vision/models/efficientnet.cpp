// efficientnet.cpp: Tan & Le 2019, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks" (arXiv:1905.11946).
//
// A small network found by search, B0 (Table 1), of MBConv blocks (mbconv.h); then depth, width and resolution grown together, Eq. (3):
// depth alpha^phi, width beta^phi, resolution gamma^phi with alpha = 1.2, beta = 1.1, gamma = 1.15 (section 3.3).
//
// Names are torchvision's. Where we depart: the factors and sizes of B1 to B7 are those of the authors' code, which rounds Eq. (3) (B2
// is for 288 pixels, as torchvision evaluates it); stochastic depth, 0.2 in the paper's training (section 5), is 0 unless the options ask
// for it.
#include "vision/models/efficientnet.h"

#include <cmath>

#include "autograd/pooling.h"
#include "vision/models/channels.h"

namespace fovea::vision {

using nn::Conv2dNormActivation;

namespace {

// Width and depth beside B0, pixels, dropout: the authors' code; Eq. (3).
constexpr EfficientNetConfig kMembers[] = {
    {"efficientnet_b0", 1.0, 1.0, 224, 0.2},
    {"efficientnet_b1", 1.0, 1.1, 240, 0.2},
    {"efficientnet_b2", 1.1, 1.2, 288, 0.3},
    {"efficientnet_b3", 1.2, 1.4, 300, 0.3},
    {"efficientnet_b4", 1.4, 1.8, 380, 0.4},
    {"efficientnet_b5", 1.6, 2.2, 456, 0.4, 1e-3, 0.01},
    {"efficientnet_b6", 1.8, 2.6, 528, 0.5, 1e-3, 0.01},
    {"efficientnet_b7", 2.0, 3.1, 600, 0.5, 1e-3, 0.01},
};

/// A stage of Table 1.
struct Stage {
  std::int64_t expansion, kernel, stride, channels, blocks;
};
constexpr Stage kStages[] = {{1, 3, 1, 16, 1},    // 112x112
                             {6, 3, 2, 24, 2},    // 56x56
                             {6, 5, 2, 40, 2},    // 28x28
                             {6, 3, 2, 80, 3},    // 14x14
                             {6, 5, 1, 112, 3},   // 14x14
                             {6, 5, 2, 192, 4},   // 7x7
                             {6, 3, 1, 320, 1}};

}   // namespace

EfficientNet::EfficientNet(const EfficientNetConfig& config, const ModelOptions& o)
    : config_(config), features_(add<nn::Sequential>("features")), classifier_(add<nn::Sequential>("classifier")) {
  const auto channels = [&](std::int64_t c) { return round_channels(config.width * static_cast<double>(c)); };
  const auto blocks = [&](std::int64_t n) { return static_cast<std::int64_t>(std::ceil(config.depth * static_cast<double>(n))); };
  const auto layer = [&](std::int64_t in, std::int64_t out, std::int64_t kernel, std::int64_t stride) {
    features_.add<Conv2dNormActivation>({.in = in,
                                         .out = out,
                                         .kernel = kernel,
                                         .stride = stride,
                                         .activation = Activation::silu,
                                         .eps = config.eps,
                                         .momentum = config.momentum});
  };
  std::int64_t total = 0, block = 0, in = channels(32);
  for (const Stage& s : kStages) total += blocks(s.blocks);
  layer(o.channels, in, 3, o.small_images ? 1 : 2);   // 112x112x32 for B0 at 224
  for (const Stage& s : kStages) {
    auto& stage = features_.add<nn::Sequential>();
    stage.set_recompute(o.recompute);
    const std::int64_t out = channels(s.channels);
    for (std::int64_t i = 0; i < blocks(s.blocks); ++i, ++block) {
      stage.add<MBConv>({.in = in,
                         .expanded = s.expansion == 1 ? in : round_channels(static_cast<double>(s.expansion * in)),
                         .out = out,
                         .kernel = s.kernel,
                         .stride = i > 0 || (o.small_images && s.channels == 24) ? 1 : s.stride,
                         .squeeze = std::max<std::int64_t>(1, in / 4),
                         .activation = Activation::silu,
                         .squeeze_activation = Activation::silu,
                         .eps = config.eps,
                         .momentum = config.momentum,
                         // As torchvision counts: the last block gets a little less than the given probability.
                         .drop_path = o.stochastic_depth * static_cast<double>(block) / static_cast<double>(total)});
      in = out;
    }
  }
  layer(in, 4 * in, 1, 1);   // 7x7x1280
  dropout_ = &classifier_.add<nn::Dropout>({.p = o.dropout.value_or(config.dropout)});
  head_ = &classifier_.add<nn::Linear>({.in = 4 * in, .out = o.classes});
}

Variable EfficientNet::features(const Variable& x) { return global_avg_pool(features_(x)); }   // 1280

Variable EfficientNet::forward(const Variable& x) { return (*head_)((*dropout_)(features(x))); }

std::vector<ModelEntry> efficientnet_models() {
  std::vector<ModelEntry> entries;
  for (const EfficientNetConfig& c : kMembers)
    entries.push_back({.name = c.name,
                       .description = detail::join("MBConv blocks, width ", c.width, ", depth ", c.depth),
                       .paper = "Tan & Le 2019, EfficientNet, arXiv:1905.11946",
                       .size = c.size,
                       .make = [c](const ModelOptions& o) { return std::make_unique<EfficientNet>(c, o); }});
  return entries;
}

}   // namespace fovea::vision
