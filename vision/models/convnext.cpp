// convnext.cpp: Liu et al. 2022, "A ConvNet for the 2020s" (arXiv:2201.03545), Table 9.
//
// A ResNet modernised step by step towards Swin: patchify stem (section 2.2), depthwise convolution (2.3), inverted bottleneck (2.4), 7x7
// and moved to the front (2.5), one GELU and one layer norm a block, downsampling layers between stages (2.6); the block is Fig. 4 right.
//
// Names are torchvision's. First weights have a deviation of 0.02, as in the authors' code; Table 5 of the paper prints trunc. normal (0.2).
// No other departures known.
#include "vision/models/convnext.h"

#include "autograd/arithmetic.h"
#include "autograd/pooling.h"
#include "autograd/shape_ops.h"
#include "nn/activation.h"
#include "nn/identity.h"
#include "nn/init.h"

namespace fovea::vision {

namespace {

constexpr double kEps = 1e-6;   // of the layer norms, as published

}   // namespace

/// Fig. 4 right, and a layer scale: Touvron et al. 2021 (CaiT, arXiv:2103.17239), section 2.
ConvNeXtBlock::ConvNeXtBlock(const Options& o)
    : o_(o),
      layer_scale_(add_parameter("layer_scale", Tensor::full({o.channels, 1, 1}, static_cast<float>(o.layer_scale)))),
      block_(add<nn::Sequential>("block")),
      stochastic_depth_(add<nn::StochasticDepth>("stochastic_depth", {.p = o.drop_path})) {
  const std::int64_t c = o.channels;
  block_.add<nn::Conv2d>({.in = c, .out = c, .kernel = 7, .padding = 3, .groups = c});
  block_.add<nn::Identity>();   // torchvision permutes axes here and at the end; ours are in that order
  block_.add<nn::LayerNorm>({.channels = c, .eps = kEps});
  block_.add<nn::Linear>({.in = c, .out = 4 * c});
  block_.add<nn::GELU>();
  block_.add<nn::Linear>({.in = 4 * c, .out = c});
}

Variable ConvNeXtBlock::forward(const Variable& x) { return stochastic_depth_(block_(x) * reshape(layer_scale_, {o_.channels})) + x; }

ConvNeXt::ConvNeXt(const ConvNeXtConfig& config, const ModelOptions& o)
    : config_(config), features_(add<nn::Sequential>("features")), classifier_(add<nn::Sequential>("classifier")) {
  std::int64_t total = 0, block = 0;
  for (const std::int64_t depth : config.depths) total += depth;
  for (std::size_t stage = 0; stage < config.depths.size(); ++stage) {
    auto& smaller = features_.add<nn::Sequential>();   // patches and norm, later norm and 2x2 with stride 2: section 2.2, 2.6
    if (stage == 0) {
      smaller.add<nn::Conv2d>({.in = o.channels, .out = config.channels[0], .kernel = config.patch, .stride = config.patch});
      smaller.add<nn::LayerNorm>({.channels = config.channels[0], .eps = kEps});
    } else {
      smaller.add<nn::LayerNorm>({.channels = config.channels[stage - 1], .eps = kEps});
      smaller.add<nn::Conv2d>({.in = config.channels[stage - 1], .out = config.channels[stage], .kernel = 2, .stride = 2});
    }
    auto& blocks = features_.add<nn::Sequential>();
    blocks.set_recompute(o.recompute);
    for (std::int64_t i = 0; i < config.depths[stage]; ++i, ++block)
      blocks.add<ConvNeXtBlock>(
          {.channels = config.channels[stage],
           .drop_path = o.stochastic_depth * static_cast<double>(block) / static_cast<double>(std::max<std::int64_t>(total - 1, 1))});
  }
  classifier_.add<nn::LayerNorm>({.channels = config.channels.back(), .eps = kEps});
  classifier_.add<nn::Identity>();   // torchvision flattens here
  head_ = &classifier_.add<nn::Linear>({.in = config.channels.back(), .out = o.classes});
  apply([](nn::Module& m) {   // appendix A.1, but for the deviation
    const auto start = [](Variable weight, Variable bias) {
      weight.assign(nn::truncated_normal(weight.shape(), 0, 0.02, -2, 2, default_generator().next()));
      bias.assign(Tensor::zeros(bias.shape()));
    };
    if (auto* linear = dynamic_cast<nn::Linear*>(&m)) start(linear->weight(), linear->bias());
    if (auto* conv = dynamic_cast<nn::Conv2d*>(&m)) start(conv->weight(), conv->bias());
  });
}

// Shapes of ConvNeXt-T at 224: Table 9.
Variable ConvNeXt::features(const Variable& x) {
  const Variable y = features_(x);                                // 56x56x96, 28x28x192, 14x14x384, 7x7x768
  return classifier_.forward_until(global_avg_pool(y), *head_);   // 768
}

Variable ConvNeXt::forward(const Variable& x) { return (*head_)(features(x)); }

// Channels and blocks of the four stages: section 3.
std::vector<ModelEntry> convnext_models() {
  std::vector<ModelEntry> entries;
  for (const ConvNeXtConfig& config : {ConvNeXtConfig{.name = "convnext_tiny", .channels = {96, 192, 384, 768}, .depths = {3, 3, 9, 3}},
                                       {.name = "convnext_small", .channels = {96, 192, 384, 768}, .depths = {3, 3, 27, 3}},
                                       {.name = "convnext_base", .channels = {128, 256, 512, 1024}, .depths = {3, 3, 27, 3}},
                                       {.name = "convnext_large", .channels = {192, 384, 768, 1536}, .depths = {3, 3, 27, 3}},
                                       {.name = "convnext_xlarge", .channels = {256, 512, 1024, 2048}, .depths = {3, 3, 27, 3}}})
    entries.push_back({.name = config.name,
                       .description = "depthwise 7x7 and inverted bottlenecks, section 3",
                       .paper = "Liu et al. 2022, A ConvNet for the 2020s, arXiv:2201.03545",
                       .size = 224,
                       .make = [config](const ModelOptions& o) {
                         ConvNeXtConfig c = config;
                         if (o.small_images) c.patch = 2;   // 16, 8, 4 and 2 pixels a side for 32
                         return std::make_unique<ConvNeXt>(c, o);
                       }});
  return entries;
}

}   // namespace fovea::vision
