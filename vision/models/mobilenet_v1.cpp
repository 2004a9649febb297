// mobilenet_v1.cpp: Howard et al. 2017, "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications"
// (arXiv:1704.04861), Table 1.
//
// A 3x3 convolution costs 9 in out multiply-adds a pixel, Eq. (2); one depthwise 3x3 and one 1x1 together 9 in + in out, Eq. (5): eight to
// nine times less. A width multiplier, alpha of section 3.3, thins all layers alike.
//
// Names are timm's, and so is the width 1.25. Where we depart: ReLU6 for ReLU, as in the authors' published weights. The stride 2 that Table 1 prints at the last
// depthwise convolution is 1, as the 7x7 in front of it and behind it say.
#include "vision/models/mobilenet_v1.h"

#include <cmath>

namespace fovea::vision {

using kernels::Activation::relu6;
using nn::BatchNorm2d, nn::Conv2d, nn::conv_norm_act;

namespace {

std::int64_t scaled(double width, std::int64_t channels) { return std::llround(width * static_cast<double>(channels)); }

}   // namespace

/// Fig. 3 right: Eq. (3), then 1x1.
DepthwiseSeparable::DepthwiseSeparable(const Options& o)
    : o_(o),
      conv_dw_(
          add<Conv2d>("conv_dw", {.in = o.in, .out = o.in, .kernel = 3, .stride = o.stride, .padding = 1, .groups = o.in, .bias = false})),
      bn1_(add<BatchNorm2d>("bn1", {.channels = o.in})),
      conv_pw_(add<Conv2d>("conv_pw", {.in = o.in, .out = o.out, .kernel = 1, .bias = false})),
      bn2_(add<BatchNorm2d>("bn2", {.channels = o.out})) {}

Variable DepthwiseSeparable::forward(const Variable& x) {                       // (N, H, W, in)
  const Variable y = conv_norm_act(x, conv_dw_, bn1_, {.activation = relu6});   // (N, H/s, W/s, in)
  return conv_norm_act(y, conv_pw_, bn2_, {.activation = relu6});               // (N, H/s, W/s, out)
}

std::string DepthwiseSeparable::describe() const {
  return detail::join("DepthwiseSeparable(", o_.in, " -> ", o_.out, o_.stride == 1 ? "" : detail::join(", stride ", o_.stride), ")");
}

MobileNetV1::MobileNetV1(double width, const ModelOptions& o)
    : conv_stem_(add<Conv2d>(
          "conv_stem",
          {.in = o.channels, .out = scaled(width, 32), .kernel = 3, .stride = o.small_images ? 1 : 2, .padding = 1, .bias = false})),
      bn1_(add<BatchNorm2d>("bn1", {.channels = scaled(width, 32)})),
      blocks_(add<nn::Sequential>("blocks")),
      global_pool_(add<nn::GlobalAvgPool2d>("global_pool")),
      classifier_(add<nn::Linear>("classifier", {.in = scaled(width, 1024), .out = o.classes})) {
  // Table 1: the blocks of one resolution; the first of them has the stride.
  struct Stage {
    std::int64_t channels, blocks, stride;
  };
  std::int64_t in = scaled(width, 32);
  for (const Stage& s : {Stage{64, 1, 1},   // 112x112x64 for width 1 at 224
                         {128, 2, 2},       // 56x56x128
                         {256, 2, 2},       // 28x28x256
                         {512, 6, 2},       // 14x14x512
                         {1024, 2, 2}}) {   // 7x7x1024
    auto& stage = blocks_.add<nn::Sequential>();
    for (std::int64_t i = 0; i < s.blocks; ++i) {
      const std::int64_t out = scaled(width, s.channels);
      // Small pictures keep their resolution through the second stage, too.
      stage.add<DepthwiseSeparable>({.in = in, .out = out, .stride = i == 0 && !(o.small_images && s.channels == 128) ? s.stride : 1});
      in = out;
    }
  }
}

Variable MobileNetV1::features(const Variable& x) {
  const Variable y = conv_norm_act(x, conv_stem_, bn1_, {.activation = relu6});   // 112x112x32
  return global_pool_(blocks_(y));                                                // 7x7x1024, 1024
}

Variable MobileNetV1::forward(const Variable& x) { return classifier_(features(x)); }

std::vector<ModelEntry> mobilenet_v1_models() {
  std::vector<ModelEntry> entries;
  for (const auto& [name, width] : std::vector<std::pair<std::string, double>>{{"mobilenet_v1_1.25", 1.25},
                                                                               {"mobilenet_v1_1.0", 1},
                                                                               {"mobilenet_v1_0.75", 0.75},
                                                                               {"mobilenet_v1_0.5", 0.5},
                                                                               {"mobilenet_v1_0.25", 0.25}})
    entries.push_back({.name = name,
                       .description = "depthwise separable convolutions, Table 1",
                       .paper = "Howard et al. 2017, MobileNets, arXiv:1704.04861",
                       .size = 224,
                       .make = [w = width](const ModelOptions& o) { return std::make_unique<MobileNetV1>(w, o); }});
  return entries;
}

}   // namespace fovea::vision
