// mobilenet_v3.cpp: Howard et al. 2019, "Searching for MobileNetV3" (arXiv:1905.02244), Tables 1 and 2.
//
// The inverted residuals of V2 with squeeze-and-excitation (mbconv.h, Fig. 4), found by search; h-swish in the deeper half and a hard
// sigmoid in SE, of straight lines and so cheap (section 5.2); SE has a quarter of the expanded channels (5.3); the last 1x1 stands behind
// the mean, where it costs one pixel (5.1, Fig. 5).
//
// Names are torchvision's. Where we depart, as it does: a row that does not expand (the first) has no 1x1 in front of its depthwise;
// channels of SE are rounded to multiples of 8, as in the authors' code.
#include "vision/models/mobilenet_v3.h"

#include "autograd/pooling.h"
#include "nn/activation.h"
#include "vision/models/channels.h"

namespace fovea::vision {

using nn::Conv2dNormActivation;

namespace {

constexpr double kEps = 1e-3, kMomentum = 0.01;   // of all norms, as torchvision has them (section 6.1.1: decay 0.99)
constexpr bool SE = true, HS = true, no = false, RE = false;

// kernel, expansion, out, SE, nonlinearity, stride
const MobileNetV3Config kLarge{.name = "mobilenet_v3_large",      // Table 1, with the shape behind each row at 224
                               .rows = {{3, 16, 16, no, RE, 1},   // 112x112x16
                                        {3, 64, 24, no, RE, 2},   // 56x56x24
                                        {3, 72, 24, no, RE, 1},
                                        {5, 72, 40, SE, RE, 2},   // 28x28x40
                                        {5, 120, 40, SE, RE, 1},
                                        {5, 120, 40, SE, RE, 1},
                                        {3, 240, 80, no, HS, 2},   // 14x14x80
                                        {3, 200, 80, no, HS, 1},
                                        {3, 184, 80, no, HS, 1},
                                        {3, 184, 80, no, HS, 1},
                                        {3, 480, 112, SE, HS, 1},   // 14x14x112
                                        {3, 672, 112, SE, HS, 1},
                                        {5, 672, 160, SE, HS, 2},   // 7x7x160
                                        {5, 960, 160, SE, HS, 1},
                                        {5, 960, 160, SE, HS, 1}},
                               .last = 1280};
const MobileNetV3Config kSmall{.name = "mobilenet_v3_small",      // Table 2
                               .rows = {{3, 16, 16, SE, RE, 2},   // 56x56x16
                                        {3, 72, 24, no, RE, 2},   // 28x28x24
                                        {3, 88, 24, no, RE, 1},
                                        {5, 96, 40, SE, HS, 2},   // 14x14x40
                                        {5, 240, 40, SE, HS, 1},
                                        {5, 240, 40, SE, HS, 1},
                                        {5, 120, 48, SE, HS, 1},   // 14x14x48
                                        {5, 144, 48, SE, HS, 1},
                                        {5, 288, 96, SE, HS, 2},   // 7x7x96
                                        {5, 576, 96, SE, HS, 1},
                                        {5, 576, 96, SE, HS, 1}},
                               .last = 1024};

}   // namespace

MobileNetV3::MobileNetV3(const MobileNetV3Config& config, const ModelOptions& o)
    : config_(config), features_(add<nn::Sequential>("features")), classifier_(add<nn::Sequential>("classifier")) {
  const auto layer = [&](std::int64_t in, std::int64_t out, std::int64_t kernel, std::int64_t stride) {
    features_.add<Conv2dNormActivation>({.in = in,
                                         .out = out,
                                         .kernel = kernel,
                                         .stride = stride,
                                         .activation = Activation::hard_swish,
                                         .eps = kEps,
                                         .momentum = kMomentum});
  };
  layer(o.channels, 16, 3, o.small_images ? 1 : 2);   // 112x112x16
  std::int64_t in = 16;
  bool keep = o.small_images;   // the first stride among the rows, too, is left out for small pictures
  for (const auto& r : config.rows) {
    features_.add<MBConv>({.in = in,
                           .expanded = r.expanded,
                           .out = r.out,
                           .kernel = r.kernel,
                           .stride = keep ? 1 : r.stride,
                           .squeeze = r.se ? round_channels(static_cast<double>(r.expanded / 4)) : 0,
                           .activation = r.hard_swish ? Activation::hard_swish : Activation::relu,
                           .scale_activation = Activation::hard_sigmoid,   // section 5.2
                           .eps = kEps,
                           .momentum = kMomentum});
    if (r.stride == 2) keep = false;
    in = r.out;
  }
  layer(in, 6 * in, 1, 1);   // 7x7x960, 7x7x576
  classifier_.add<nn::Linear>({.in = 6 * in, .out = config.last});
  classifier_.add<nn::Hardswish>();
  classifier_.add<nn::Dropout>({.p = o.dropout.value_or(0.2)});
  head_ = &classifier_.add<nn::Linear>({.in = config.last, .out = o.classes});
}

Variable MobileNetV3::features(const Variable& x) { return classifier_.forward_until(global_avg_pool(features_(x)), *head_); }

Variable MobileNetV3::forward(const Variable& x) { return (*head_)(features(x)); }

std::vector<ModelEntry> mobilenet_v3_models() {
  std::vector<ModelEntry> entries;
  for (const MobileNetV3Config& c : {kSmall, kLarge})
    entries.push_back({.name = c.name,
                       .description = "inverted residuals with SE and hard swish, found by search",
                       .paper = "Howard et al. 2019, Searching for MobileNetV3, arXiv:1905.02244",
                       .size = 224,
                       .make = [c](const ModelOptions& o) { return std::make_unique<MobileNetV3>(c, o); }});
  return entries;
}

}   // namespace fovea::vision
