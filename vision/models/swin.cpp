// swin.cpp: Liu et al. 2021, "Swin Transformer: Hierarchical Vision Transformer using Shifted Windows" (arXiv:2103.14030).
//
// Attention within windows of M x M patches, M = 7, costs 2 M^2 HW C instead of 2 (HW)^2 C multiply-adds, Eq. (1) and (2); every second
// layer shifts the windows by half, so that neighbours meet (Fig. 2, Eq. (3)). Stages halve the resolution like a convolutional network's
// (Fig. 3). The attention itself, with its relative position bias (Eq. (4)) and the cyclic shift (Fig. 4), is nn/window_attention.h.
//
// Names are torchvision's. No departures known.
#include "vision/models/swin.h"

#include <algorithm>

#include "autograd/arithmetic.h"
#include "autograd/pooling.h"
#include "autograd/shape_ops.h"
#include "nn/activation.h"
#include "nn/identity.h"
#include "nn/init.h"

namespace fovea::vision {

SwinBlock::SwinBlock(const Options& o)
    : o_(o),
      norm1_(add<nn::LayerNorm>("norm1", {.channels = o.width})),
      attn_(add<nn::ShiftedWindowAttention>("attn", {.channels = o.width, .heads = o.heads, .window = o.window, .shift = o.shift})),
      stochastic_depth_(add<nn::StochasticDepth>("stochastic_depth", {.p = o.drop_path})),
      norm2_(add<nn::LayerNorm>("norm2", {.channels = o.width})),
      mlp_(add<nn::Sequential>("mlp")) {
  mlp_.add<nn::Linear>({.in = o.width, .out = 4 * o.width});
  mlp_.add<nn::GELU>();
  mlp_.add<nn::Identity>();   // torchvision has a dropout of probability 0 here, so the next is number 3
  mlp_.add<nn::Linear>({.in = 4 * o.width, .out = o.width});
}

Variable SwinBlock::forward(const Variable& z) {                // (N, H, W, width)
  const Variable y = stochastic_depth_(attn_(norm1_(z))) + z;   // z^ of Eq. (3)
  return stochastic_depth_(mlp_(norm2_(y))) + y;                // z of Eq. (3)
}

std::string SwinBlock::describe() const {
  return detail::join("SwinBlock(width ", o_.width, ", heads ", o_.heads, ", window ", o_.window, ", shift ", o_.shift, ")");
}

/// Section 3.1: 2x2 neighbours side by side, 4 C -> 2 C.
PatchMerging::PatchMerging(const Options& o)
    : reduction_(add<nn::Linear>("reduction", {.in = 4 * o.width, .out = 2 * o.width, .bias = false})),
      norm_(add<nn::LayerNorm>("norm", {.channels = 4 * o.width})) {}

Variable PatchMerging::forward(const Variable& z) {   // (N, H, W, C)
  require(z.rank() == 4, "expected z of shape (N, H, W, C), got ", z.shape());
  const bool odd = z.dim(1) % 2 || z.dim(2) % 2;
  const Variable y = odd ? pad(z, {.axis = 1, .after = z.dim(1) % 2}, {.axis = 2, .after = z.dim(2) % 2}) : z;
  std::vector<Variable> neighbours;   // in the order of the published weights: down first
  for (const auto& [row, column] : {std::pair{0, 0}, std::pair{1, 0}, std::pair{0, 1}, std::pair{1, 1}})
    neighbours.push_back(slice(y, {.axis = 1, .begin = row, .step = 2}, {.axis = 2, .begin = column, .step = 2}));
  return reduction_(norm_(concatenate(neighbours, -1)));   // (N, H/2, W/2, 2 C)
}

SwinTransformer::SwinTransformer(const SwinConfig& config, const ModelOptions& o)
    : config_(config), features_(add<nn::Sequential>("features")) {
  auto& patches = features_.add<nn::Sequential>();
  patches.add<nn::Conv2d>({.in = o.channels, .out = config.width, .kernel = config.patch, .stride = config.patch});
  patches.add<nn::Identity>();   // torchvision permutes axes here; ours are in that order
  patches.add<nn::LayerNorm>({.channels = config.width});

  std::int64_t total = 0, block = 0, width = config.width;
  for (const std::int64_t depth : config.depths) total += depth;
  for (std::size_t stage = 0; stage < config.depths.size(); ++stage) {
    if (stage > 0) {
      features_.add<PatchMerging>({.width = width});
      width *= 2;
    }
    auto& blocks = features_.add<nn::Sequential>();
    blocks.set_recompute(o.recompute);
    for (std::int64_t i = 0; i < config.depths[stage]; ++i, ++block)
      blocks.add<SwinBlock>(
          {.width = width,
           .heads = config.heads[stage],
           .window = config.window,
           .shift = i % 2 == 0 ? 0 : config.window / 2,
           .drop_path = o.stochastic_depth * static_cast<double>(block) / static_cast<double>(std::max<std::int64_t>(total - 1, 1))});
  }
  norm_ = &add<nn::LayerNorm>("norm", {.channels = width});
  head_ = &add<nn::Linear>("head", {.in = width, .out = o.classes});
  apply([](nn::Module& m) {
    auto* linear = dynamic_cast<nn::Linear*>(&m);
    if (!linear) return;
    Variable weight = linear->weight(), bias = linear->bias();
    weight.assign(nn::truncated_normal(weight.shape(), 0, 0.02, -2, 2, default_generator().next()));
    if (bias.defined()) bias.assign(Tensor::zeros(bias.shape()));
  });
}

// Shapes of Swin-T at 224: Fig. 3.
Variable SwinTransformer::features(const Variable& x) {
  const Variable z = (*norm_)(features_(x));   // 56x56x96, 28x28x192, 14x14x384, 7x7x768
  return global_avg_pool(z);                   // 768
}

Variable SwinTransformer::forward(const Variable& x) { return (*head_)(features(x)); }

// C, blocks a stage and heads of C / 32: section 3.3.
std::vector<ModelEntry> swin_models() {
  std::vector<ModelEntry> entries;
  for (const SwinConfig& config : {SwinConfig{.name = "swin_t", .width = 96, .depths = {2, 2, 6, 2}, .heads = {3, 6, 12, 24}},
                                   {.name = "swin_s", .width = 96, .depths = {2, 2, 18, 2}, .heads = {3, 6, 12, 24}},
                                   {.name = "swin_b", .width = 128, .depths = {2, 2, 18, 2}, .heads = {4, 8, 16, 32}},
                                   {.name = "swin_l", .width = 192, .depths = {2, 2, 18, 2}, .heads = {6, 12, 24, 48}}})
    entries.push_back({.name = config.name,
                       .description = "shifted windows, section 3.3",
                       .paper = "Liu et al. 2021, Swin Transformer, arXiv:2103.14030",
                       .size = 224,
                       .make = [config](const ModelOptions& o) {
                         SwinConfig c = config;
                         if (o.small_images) c.patch = 2, c.window = 4;   // 16, 8, 4 and 2 patches a side for 32 pixels
                         return std::make_unique<SwinTransformer>(c, o);
                       }});
  return entries;
}

}   // namespace fovea::vision
