// resnet_cifar.cpp: the residual networks for CIFAR-10 of He et al. 2016, "Deep Residual Learning for Image Recognition"
// (arXiv:1512.03385), section 4.2: 6n + 2 layers, n = 3, 5, 7, 9, 18 (Table 6), for images of 32x32; and their plain twins without
// shortcuts (Fig. 6 left).
//
// Huang et al. 2016, "Deep Networks with Stochastic Depth" (arXiv:1603.09382), trained the 110 layers with blocks dropped at random: the option
// stochastic_depth, 0.5 in their section 4. Here it is image by image, theirs is for a whole mini-batch.
//
// Every shortcut is parameter-free: where the shape changes, the identity takes every second row and column and new channels are zero
// (option A of section 3.3), so a residual network has exactly the parameters of its plain counterpart. We depart from the paper in
// nothing here; the 110 layers, which it warms up at learning rate 0.01, are a matter of the recipe.
#include "vision/models/resnet_cifar.h"

#include "autograd/activation.h"
#include "autograd/arithmetic.h"
#include "autograd/shape_ops.h"

namespace fovea::vision {

using kernels::Activation::relu;
using nn::BatchNorm2d, nn::Conv2d, nn::conv_norm_act;

/// Option A of section 3.3.
Variable identity_shortcut(const Variable& x, std::int64_t out, std::int64_t stride) {
  Variable y = x;
  if (stride != 1) y = slice(y, {.axis = 1, .step = stride}, {.axis = 2, .step = stride});
  if (out != x.dim(3)) y = pad(y, {.axis = 3, .after = out - x.dim(3)});
  return y;
}

IdentityBlock::IdentityBlock(const Options& o)
    : o_(o),
      conv1_(add<Conv2d>("conv1", {.in = o.in, .out = o.out, .kernel = 3, .stride = o.stride, .padding = 1, .bias = false})),
      bn1_(add<BatchNorm2d>("bn1", {.channels = o.out})),
      conv2_(add<Conv2d>("conv2", {.in = o.out, .out = o.out, .kernel = 3, .padding = 1, .bias = false})),
      bn2_(add<BatchNorm2d>("bn2", {.channels = o.out})) {
  if (o.drop_path > 0) drop_path_ = &add<nn::StochasticDepth>("drop_path", {.p = o.drop_path});
  require(o.out >= o.in, "IdentityBlock: expected at least as many channels out as in, got ", o.in, " in and ", o.out, " out");
}

/// Eq. (1) and a ReLU, Fig. 5 left; without the shortcut the plain network's two layers. With stochastic depth Huang et al. 2016, Eq. (2).
Variable IdentityBlock::forward(const Variable& x) {                         // (N, H, W, in)
  const Variable y = conv_norm_act(x, conv1_, bn1_, {.activation = relu});   // (N, H/s, W/s, out)
  if (!o_.shortcut) return conv_norm_act(y, conv2_, bn2_, {.activation = relu});
  const Variable shortcut = identity_shortcut(x, o_.out, o_.stride);   // (N, H/s, W/s, out)
  if (drop_path_) return fovea::relu((*drop_path_)(conv_norm_act(y, conv2_, bn2_)) + shortcut);
  return conv_norm_act(y, conv2_, bn2_, {.activation = relu, .residual = &shortcut});
}

std::string IdentityBlock::describe() const {
  return detail::join("IdentityBlock(", o_.in, " -> ", o_.out, o_.stride == 1 ? "" : detail::join(", stride ", o_.stride), ")");
}

CifarResNet::CifarResNet(const CifarResNetConfig& config, const ModelOptions& o)
    : config_(config),
      conv1_(add<Conv2d>("conv1", {.in = o.channels, .out = 16, .kernel = 3, .padding = 1, .bias = false})),
      bn1_(add<BatchNorm2d>("bn1", {.channels = 16})),
      layer1_(add<nn::Sequential>("layer1")),
      layer2_(add<nn::Sequential>("layer2")),
      layer3_(add<nn::Sequential>("layer3")),
      avgpool_(add<nn::GlobalAvgPool2d>("avgpool")),
      fc_(add<nn::Linear>("fc", {.in = 64, .out = o.classes})) {
  std::int64_t in = 16, out = 16, block = 0;
  for (nn::Sequential* layer : {&layer1_, &layer2_, &layer3_}) {
    layer->set_recompute(o.recompute);
    for (std::int64_t i = 0; i < config.n; ++i) {
      // Huang et al. 2016, Eq. (4): block l of L = 3 n survives with p_l = 1 - l / L (1 - p_L); 1 - p_l is the probability to drop it.
      const double drop_path = o.stochastic_depth * static_cast<double>(++block) / static_cast<double>(3 * config.n);
      layer->add<IdentityBlock>({.in = in, .out = out, .stride = in == out ? 1 : 2, .shortcut = config.shortcuts, .drop_path = drop_path});
      in = out;
    }
    out *= 2;
  }
}

Variable CifarResNet::features(const Variable& x) {
  Variable y = conv_norm_act(x, conv1_, bn1_, {.activation = relu});   // 32x32x16
  y = layer3_(layer2_(layer1_(y)));                                    // 32x32x16, 16x16x32, 8x8x64
  return avgpool_(y);                                                  // 64
}

Variable CifarResNet::forward(const Variable& x) { return fc_(features(x)); }

namespace {

std::vector<ModelEntry> entries(const char* name, const char* description, bool shortcuts) {
  std::vector<ModelEntry> all;
  for (const std::int64_t n : {3, 5, 7, 9, 18}) {   // Table 6
    const CifarResNetConfig c{.name = detail::join(name, 6 * n + 2, "_he_cifar"), .n = n, .shortcuts = shortcuts};
    all.push_back({.name = c.name,
                   .description = description,
                   .paper = "He et al. 2016, Deep Residual Learning for Image Recognition, arXiv:1512.03385",
                   .size = 32,
                   .make = [c](const ModelOptions& o) { return std::make_unique<CifarResNet>(c, o); },
                   .classes = 10});
  }
  return all;
}

}   // namespace

std::vector<ModelEntry> resnet_cifar_models() {
  return entries("resnet", "for CIFAR: identity shortcuts without parameters, section 4.2", true);
}

std::vector<ModelEntry> plain_cifar_models() {
  return entries("plain", "for CIFAR: the same layers without shortcuts, section 4.2", false);
}

}   // namespace fovea::vision
