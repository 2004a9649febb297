// vit.cpp: Vision Transformers.
//
//   Dosovitskiy et al. 2021, "An Image is Worth 16x16 Words" (arXiv:2010.11929): ViT, Table 1 and Eq. (1)-(4)
//   Touvron et al. 2021, "Training data-efficient image transformers & distillation through attention" (arXiv:2012.12877): the sizes Ti
//   and S (Table 1), and the distillation token (Fig. 2, the `deit_` members)
//
// An image is cut into patches, each projected to a token (a convolution whose stride is its kernel, E of Eq. (1)); a class token in front,
// a position embedding added; blocks of attention and MLP; the class token's last state is classified.
//
// Names are torchvision's, also for members that it lacks. Where we depart: no hidden layer in the head (section 3.1 has one for
// pre-training); drop path in the blocks, for those who ask for it, is an addition (Huang et al. 2016); `mean_pooling` classifies the mean
// of the patches instead of a class token (appendix D.3).
#include "vision/models/vit.h"

#include <cmath>
#include <utility>

#include "autograd/arithmetic.h"
#include "autograd/interpolate.h"
#include "autograd/reductions.h"
#include "autograd/shape_ops.h"
#include "nn/activation.h"
#include "nn/init.h"

namespace fovea::vision {

namespace {

constexpr double kEps = 1e-6;   // of the layer norms, as published

RandomKey key() { return default_generator().next(); }

/// "mlp" and "heads": layers under given names.
struct Named : nn::Module {
  using Options = nn::NoOptions;
  explicit Named(const Options& = {}) {}
  Variable forward(const Variable& x) override {
    Variable y = x;
    for (const auto& child : children()) y = (*child)(y);
    return y;
  }
  using Module::add;
  std::string describe() const override { return "Layers"; }
};

}   // namespace

/// A layer of the encoder: Fig. 1 right.
TransformerBlock::TransformerBlock(const Options& o)
    : o_(o),
      ln_1_(add<nn::LayerNorm>("ln_1", {.channels = o.width, .eps = kEps})),
      self_attention_(add<nn::MultiheadAttention>("self_attention", {.channels = o.width, .heads = o.heads})),
      ln_2_(add<nn::LayerNorm>("ln_2", {.channels = o.width, .eps = kEps})),
      mlp_(add<nn::Sequential>("mlp")),
      dropout_(add<nn::Dropout>("dropout", {.p = o.dropout})),
      drop_path_(add<nn::StochasticDepth>("drop_path", {.p = o.drop_path})) {
  for (const auto& [in, out] : {std::pair{o.width, o.hidden}, std::pair{o.hidden, o.width}}) {
    auto& linear = mlp_.add<nn::Linear>({.in = in, .out = out});
    // Xavier, and biases of almost 0: the JAX original, as torchvision follows it.
    Variable weight = linear.weight(), bias = linear.bias();
    weight.assign(nn::xavier_uniform(weight.shape(), 1, key()));
    bias.assign(nn::normal(bias.shape(), 1e-6, key()));
    if (in == o.width) mlp_.add<nn::GELU>();
    mlp_.add<nn::Dropout>({.p = o.dropout});
  }
}

Variable TransformerBlock::forward(const Variable& z) {                     // (B, T, width)
  const Variable y = drop_path_(dropout_(self_attention_(ln_1_(z)))) + z;   // z' of Eq. (2)
  return drop_path_(mlp_(ln_2_(y))) + y;                                    // z of Eq. (3)
}

std::string TransformerBlock::describe() const {
  return detail::join("TransformerBlock(width ", o_.width, ", heads ", o_.heads, ", MLP ", o_.hidden, ")");
}

TransformerEncoder::TransformerEncoder(const Options& o)
    : o_(o),
      pos_embedding_(add_parameter("pos_embedding", nn::normal({1, o.tokens + o.grid * o.grid, o.config.width}, 0.02, key()))),
      dropout_(add<nn::Dropout>("dropout", {.p = o.dropout})) {
  auto& layers = add<Named>("layers");
  for (std::int64_t i = 0; i < o.config.layers; ++i)
    layers_.push_back(&layers.add<TransformerBlock>(
        "encoder_layer_" + std::to_string(i),
        {.width = o.config.width,
         .heads = o.config.heads,
         .hidden = 4 * o.config.width,
         .dropout = o.dropout,
         .drop_path = o.config.layers > 1 ? o.stochastic_depth * static_cast<double>(i) / static_cast<double>(o.config.layers - 1) : 0}));
  ln_ = &add<nn::LayerNorm>("ln", {.channels = o.config.width, .eps = kEps});
}

Variable TransformerEncoder::encode(const Variable& z, std::int64_t rows, std::int64_t columns) {
  Variable position = pos_embedding_;
  if (rows != o_.grid || columns != o_.grid) {
    // Images of another size: the grid of embeddings is resized like a picture (section 3.2); those of the tokens stay.
    const Variable grid = reshape(slice(position, {.axis = 1, .begin = o_.tokens}), {1, o_.grid, o_.grid, o_.config.width});
    const Variable resized = interpolate(grid, {.size = {rows, columns}, .mode = Interpolation::bicubic});
    position = concatenate({slice(position, {.axis = 1, .end = o_.tokens}), reshape(resized, {1, rows * columns, o_.config.width})}, 1);
  }
  Variable y = dropout_(z + position);
  for (TransformerBlock* layer : layers_) y = nn::run(*layer, y, o_.recompute);
  return (*ln_)(y);   // Eq. (4)
}

VisionTransformer::VisionTransformer(const ViTConfig& config, const ModelOptions& o)
    : config_(config),
      tokens_(config.mean_pooling ? 0
              : config.distilled  ? 2
                                  : 1),
      class_token_(config.mean_pooling ? nullptr : &add_parameter("class_token", Tensor::zeros({1, 1, config.width}))),
      distillation_token_(config.distilled ? &add_parameter("distillation_token", Tensor::zeros({1, 1, config.width})) : nullptr),
      conv_proj_(add<nn::Conv2d>("conv_proj", {.in = o.channels, .out = config.width, .kernel = config.patch, .stride = config.patch})),
      encoder_(add<TransformerEncoder>("encoder", {.config = config,
                                                   .grid = config.size / config.patch,
                                                   .tokens = tokens_,
                                                   .dropout = o.dropout.value_or(0),
                                                   .stochastic_depth = o.stochastic_depth,
                                                   .recompute = o.recompute})) {
  require(config.size % config.patch == 0, config.name, ": expected an image size that patches of ", config.patch, " divide, got ",
          config.size);
  Variable projection = conv_proj_.weight();
  const double std = 1 / std::sqrt(static_cast<double>(nn::fan_of(projection.shape(), nn::Fan::in)));
  projection.assign(nn::truncated_normal(projection.shape(), 0, std, -2, 2, key()));
  auto& heads = add<Named>("heads");
  head_ = &heads.add<nn::Linear>("head", {.in = config.width, .out = o.classes});
  if (config.distilled) head_dist_ = &heads.add<nn::Linear>("head_dist", {.in = config.width, .out = o.classes});
  for (nn::Linear* head : {head_, head_dist_})   // zeros: the first loss is log(classes), whatever the features
    if (head) {
      Variable weight = head->weight(), bias = head->bias();
      weight.assign(Tensor::zeros(weight.shape()));
      bias.assign(Tensor::zeros(bias.shape()));
    }
}

Variable VisionTransformer::encode(const Variable& x) {   // (N, H, W, channels)
  const Variable patches = conv_proj_(x);                 // (N, H/P, W/P, width)
  const std::int64_t n = patches.dim(0), rows = patches.dim(1), columns = patches.dim(2);
  Variable z = reshape(patches, {n, rows * columns, config_.width});   // channels last: an image is a sequence already
  std::vector<Variable> parts;
  for (Variable* token : {class_token_, distillation_token_})
    if (token) parts.push_back(expand(convert(*token, x.dtype()), {n, 1, config_.width}));
  parts.push_back(z);
  return encoder_.encode(parts.size() == 1 ? z : concatenate(parts, 1), rows, columns);   // Eq. (1)
}

namespace {

/// Token i of every image: (N, T, width) -> (N, width).
Variable token(const Variable& z, std::int64_t i) { return reshape(slice(z, {.axis = 1, .begin = i, .end = i + 1}), {z.dim(0), z.dim(2)}); }

}   // namespace

Variable VisionTransformer::features(const Variable& x) {
  const Variable z = encode(x);
  return config_.mean_pooling ? mean(z, {1}) : token(z, 0);
}

Variable VisionTransformer::forward(const Variable& x) {
  auxiliary_.clear();
  if (!config_.distilled) return (*head_)(features(x));
  const Variable z = encode(x);
  const Variable logits = (*head_)(token(z, 0)), distilled = (*head_dist_)(token(z, 1));
  if (!training()) return scale(logits + distilled, 0.5);   // Touvron et al. 2021, section 4, of logits as in their code
  auxiliary_.push_back({distilled, 1});
  return logits;
}

// P, layers, heads, width: Table 1 of each paper.
std::vector<ModelEntry> vit_models() {
  constexpr const char* vit = "Dosovitskiy et al. 2021, An Image is Worth 16x16 Words, arXiv:2010.11929";
  constexpr const char* deit = "Touvron et al. 2021, Training data-efficient image transformers, arXiv:2012.12877";
  const std::vector<std::pair<const char*, ViTConfig>> rows = {
      {deit, {.name = "vit_tiny_p16", .patch = 16, .layers = 12, .heads = 3, .width = 192}},
      {deit, {.name = "vit_small_p16", .patch = 16, .layers = 12, .heads = 6, .width = 384}},
      {deit, {.name = "vit_small_p32", .patch = 32, .layers = 12, .heads = 6, .width = 384}},
      {vit, {.name = "vit_b_16", .patch = 16, .layers = 12, .heads = 12, .width = 768}},
      {vit, {.name = "vit_b_32", .patch = 32, .layers = 12, .heads = 12, .width = 768}},
      {vit, {.name = "vit_l_16", .patch = 16, .layers = 24, .heads = 16, .width = 1024}},
      {vit, {.name = "vit_l_32", .patch = 32, .layers = 24, .heads = 16, .width = 1024}},
      {deit, {.name = "deit_tiny_distilled_p16", .patch = 16, .layers = 12, .heads = 3, .width = 192, .distilled = true}},
      {deit, {.name = "deit_small_distilled_p16", .patch = 16, .layers = 12, .heads = 6, .width = 384, .distilled = true}},
      {deit, {.name = "deit_base_distilled_p16", .patch = 16, .layers = 12, .heads = 12, .width = 768, .distilled = true}},
  };
  std::vector<ModelEntry> entries;
  for (const auto& [paper, config] : rows)
    entries.push_back(
        {.name = config.name,
         .description = detail::join("transformer on patches of ", config.patch, config.distilled ? ", distillation token" : ""),
         .paper = paper,
         .size = config.size,
         .make = [c = config](const ModelOptions& o) {
           ViTConfig changed = c;
           if (o.small_images) changed.patch = 4, changed.size = 32;   // 64 patches of 4x4
           if (o.image_size > 0) changed.size = o.image_size;
           return std::make_unique<VisionTransformer>(changed, o);
         }});
  return entries;
}

}   // namespace fovea::vision
