#include "vision/models/resnet.h"

namespace fovea::vision {

using kernels::Activation::relu;
using nn::BatchNorm2d, nn::Conv2d, nn::conv_norm_act;

Projection::Projection(const Options& o)
    : conv_(add<Conv2d>("0", {.in = o.in, .out = o.out, .kernel = 1, .stride = o.stride, .bias = false})),
      bn_(add<BatchNorm2d>("1", {.channels = o.out})) {}

Variable Projection::forward(const Variable& x) { return conv_norm_act(x, conv_, bn_); }

BasicBlock::BasicBlock(const Options& o)
    : o_(o),
      conv1_(add<Conv2d>("conv1", {.in = o.in, .out = o.out, .kernel = 3, .stride = o.stride, .padding = 1, .bias = false})),
      bn1_(add<BatchNorm2d>("bn1", {.channels = o.out})),
      conv2_(add<Conv2d>("conv2", {.in = o.out, .out = o.out, .kernel = 3, .padding = 1, .bias = false})),
      bn2_(add<BatchNorm2d>("bn2", {.channels = o.out})) {
  if (o.stride != 1 || o.in != o.out) downsample_ = &add<Projection>("downsample", {.in = o.in, .out = o.out, .stride = o.stride});
}

Variable BasicBlock::forward(const Variable& x) {                            // (N, H, W, in)
  const Variable y = conv_norm_act(x, conv1_, bn1_, {.activation = relu});   // (N, H/s, W/s, out)
  const Variable shortcut = downsample_ ? (*downsample_)(x) : x;             // (N, H/s, W/s, out)
  return conv_norm_act(y, conv2_, bn2_, {.activation = relu, .residual = &shortcut});
}

std::string BasicBlock::describe() const {
  return detail::join("BasicBlock(", o_.in, " -> ", o_.out, o_.stride == 1 ? "" : detail::join(", stride ", o_.stride), ")");
}

ResNet::ResNet(const ResNetConfig& config, const ModelOptions& o)
    : config_(config),
      conv1_(add<Conv2d>("conv1", {.in = o.channels,
                                   .out = config.width,
                                   .kernel = config.stem_kernel,
                                   .stride = config.stem_stride,
                                   .padding = config.stem_kernel / 2,
                                   .bias = false})),
      bn1_(add<BatchNorm2d>("bn1", {.channels = config.width})) {
  if (config.stem_pool) maxpool_ = &add<nn::MaxPool2d>("maxpool", {.kernel = 3, .stride = 2, .padding = 1});
  std::int64_t in = config.width, out = config.width;
  for (const std::int64_t depth : config.depths) {
    if (depth == 0) break;
    auto& layer = add<nn::Sequential>("layer" + std::to_string(layers_.size() + 1));
    for (std::int64_t i = 0; i < depth; ++i) {
      const bool halve = i == 0 && !layers_.empty();   // the first stage has the stem's resolution
      layer.add<BasicBlock>({.in = in, .out = out, .stride = halve ? 2 : 1});
      in = out;
    }
    layers_.push_back(&layer);
    out *= 2;
  }
  avgpool_ = &add<nn::GlobalAvgPool2d>("avgpool");
  fc_ = &add<nn::Linear>("fc", {.in = in, .out = o.classes});
}

// Shapes for resnet18 at 224 (resnet8_mnist at 28): Table 1.
Variable ResNet::features(const Variable& x) {
  Variable y = conv_norm_act(x, conv1_, bn1_, {.activation = relu});   // 112x112x64 (14x14x16)
  if (maxpool_) y = (*maxpool_)(y);                                    // 56x56x64
  for (nn::Sequential* layer : layers_) y = (*layer)(y);               // 56x56x64, 28x28x128, 14x14x256, 7x7x512 (14x14x16, 7x7x32, 4x4x64)
  return (*avgpool_)(y);                                               // 512 (64)
}

Variable ResNet::forward(const Variable& x) { return (*fc_)(features(x)); }

}   // namespace fovea::vision
