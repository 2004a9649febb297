// mobilenet_v2.cpp: Sandler et al. 2018, "MobileNetV2: Inverted Residuals and Linear Bottlenecks" (arXiv:1801.04381), Tables 1 and 2.
//
// A block goes from few channels to many and back: 1x1 up, depthwise 3x3, 1x1 down without activation, as a ReLU on few channels would lose
// what they say (linear bottlenecks, section 3.2); the shortcut joins the thin ends (inverted residuals, section 3.3, Fig. 4d).
//
// Names are torchvision's, and so are two departures: where t is 1, in the first block, there is no 1x1 in front of the depthwise, which
// Table 1 has for every t; and the dropout of 0.2 in front of the classifier.
#include "vision/models/mobilenet_v2.h"

#include "autograd/pooling.h"
#include "vision/models/channels.h"

namespace fovea::vision {

using kernels::Activation::relu6;
using nn::BatchNorm2d, nn::Conv2d, nn::Conv2dNormActivation, nn::conv_norm_act;

/// Table 1: 1x1 up by t, depthwise 3x3 with the stride, 1x1 down, linear.
InvertedResidualLayers::InvertedResidualLayers(const Options& o) {
  const std::int64_t inner = o.in * o.expansion;
  int n = 0;
  const auto next = [&] { return std::to_string(n++); };
  if (o.expansion != 1) expand_ = &add<Conv2dNormActivation>(next(), {.in = o.in, .out = inner, .kernel = 1, .activation = relu6});
  depthwise_ = &add<Conv2dNormActivation>(next(), {.in = inner, .out = inner, .stride = o.stride, .groups = inner, .activation = relu6});
  project_ = &add<Conv2d>(next(), {.in = inner, .out = o.out, .kernel = 1, .bias = false});
  norm_ = &add<BatchNorm2d>(next(), {.channels = o.out});
}

Variable InvertedResidualLayers::run(const Variable& x, const Variable* residual) {   // (N, H, W, in)
  const Variable y = (*depthwise_)(expand_ ? (*expand_)(x) : x);                      // (N, H/s, W/s, inner)
  return conv_norm_act(y, *project_, *norm_, {.residual = residual});                 // (N, H/s, W/s, out)
}

/// Fig. 4d: with a shortcut where the stride is 1 and channels agree.
InvertedResidualV2::InvertedResidualV2(const Options& o) : o_(o), conv_(add<InvertedResidualLayers>("conv", o)) {}

Variable InvertedResidualV2::forward(const Variable& x) { return conv_.run(x, o_.stride == 1 && o_.in == o_.out ? &x : nullptr); }

std::string InvertedResidualV2::describe() const {
  return detail::join("InvertedResidual(", o_.in, " -> ", o_.in * o_.expansion, " -> ", o_.out,
                      o_.stride == 1 ? "" : detail::join(", stride ", o_.stride), ")");
}

MobileNetV2::MobileNetV2(double width, const ModelOptions& o)
    : features_(add<nn::Sequential>("features")),
      classifier_(add<nn::Sequential>("classifier")),
      dropout_(classifier_.add<nn::Dropout>({.p = o.dropout.value_or(0.2)})),
      head_(classifier_.add<nn::Linear>({.in = round_channels(1280 * std::max(1., width)), .out = o.classes})) {
  const auto channels = [&](std::int64_t c) { return round_channels(width * static_cast<double>(c)); };
  // Table 2: expansion t, channels c, blocks n, stride s of the first. Small pictures leave out the first two strides.
  struct Row {
    std::int64_t t, c, n, s;
  };
  std::int64_t in = channels(32);
  features_.add<Conv2dNormActivation>({.in = o.channels, .out = in, .stride = o.small_images ? 1 : 2, .activation = relu6});   // 112x112x32
  for (const Row& r : {Row{1, 16, 1, 1},                                                                                       // 112x112x16
                       {6, 24, 2, 2},                                                                                          // 56x56x24
                       {6, 32, 3, 2},                                                                                          // 28x28x32
                       {6, 64, 4, 2},                                                                                          // 14x14x64
                       {6, 96, 3, 1},                                                                                          // 14x14x96
                       {6, 160, 3, 2},                                                                                         // 7x7x160
                       {6, 320, 1, 1}})                                                                                        // 7x7x320
    for (std::int64_t i = 0; i < r.n; ++i) {
      const std::int64_t out = channels(r.c);
      features_.add<InvertedResidualV2>(
          {.in = in, .out = out, .stride = i == 0 && !(o.small_images && r.c == 24) ? r.s : 1, .expansion = r.t});
      in = out;
    }
  features_.add<Conv2dNormActivation>({.in = in, .out = head_.options().in, .kernel = 1, .activation = relu6});   // 7x7x1280
}

Variable MobileNetV2::features(const Variable& x) { return global_avg_pool(features_(x)); }   // 1280

Variable MobileNetV2::forward(const Variable& x) { return head_(dropout_(features(x))); }

std::vector<ModelEntry> mobilenet_v2_models() {
  std::vector<ModelEntry> entries;
  for (const auto& [name, width] :
       std::vector<std::pair<std::string, double>>{{"mobilenet_v2", 1}, {"mobilenet_v2_1.4", 1.4}, {"mobilenet_v2_0.5", 0.5}})
    entries.push_back({.name = name,
                       .description = "inverted residuals, Table 2",
                       .paper = "Sandler et al. 2018, MobileNetV2: Inverted Residuals and Linear Bottlenecks, arXiv:1801.04381",
                       .size = 224,
                       .make = [w = width](const ModelOptions& o) { return std::make_unique<MobileNetV2>(w, o); }});
  return entries;
}

}   // namespace fovea::vision
