// vit.h: Vision Transformers: ViT and DeiT. Papers, and where we depart from them: vit.cpp.
#pragma once

#include "nn/attention.h"
#include "nn/conv2d.h"
#include "nn/dropout.h"
#include "nn/layer_norm.h"
#include "nn/linear.h"
#include "nn/sequential.h"
#include "vision/models/models.h"

namespace fovea::vision {

struct ViTConfig {
  std::string name;
  std::int64_t patch, layers, heads, width;   // Table 1: P, Layers, Heads, Hidden size D; the MLP has 4 D
  std::int64_t size = 224;
  bool distilled = false;   // a second token that learns from a teacher
  bool mean_pooling = false;
};

struct TransformerBlockOptions {
  std::int64_t width = 0, heads = 0, hidden = 0;
  double dropout = 0, drop_path = 0;
};

/// z' = MSA(LN(z)) + z, Eq. (2);  z = MLP(LN(z')) + z', Eq. (3). z (B, T, width).
class TransformerBlock : public nn::Module {
 public:
  using Options = TransformerBlockOptions;
  explicit TransformerBlock(const Options& o);
  Variable forward(const Variable& z) override;
  std::string describe() const override;

 private:
  Options o_;
  nn::LayerNorm& ln_1_;
  nn::MultiheadAttention& self_attention_;
  nn::LayerNorm& ln_2_;
  nn::Sequential& mlp_;   // linear, GELU, dropout, linear, dropout
  nn::Dropout& dropout_;
  nn::StochasticDepth& drop_path_;
};

/// Position embedding, blocks, norm. z (B, T, width); patches lie on a grid of rows x columns behind the `tokens` tokens.
class TransformerEncoder : public nn::Module {
 public:
  struct Options {
    ViTConfig config;
    std::int64_t grid, tokens;   // patches along a side of the images that it is made for
    double dropout, stochastic_depth;
    bool recompute;
  };
  explicit TransformerEncoder(const Options& o);
  Variable encode(const Variable& z, std::int64_t rows, std::int64_t columns);
  Variable forward(const Variable& z) override { return encode(z, o_.grid, o_.grid); }
  std::string describe() const override { return "TransformerEncoder"; }

 private:
  Options o_;
  Variable& pos_embedding_;   // (1, tokens + grid^2, width)
  nn::Dropout& dropout_;
  std::vector<TransformerBlock*> layers_;
  nn::LayerNorm* ln_ = nullptr;
};

class VisionTransformer : public Classifier {
 public:
  VisionTransformer(const ViTConfig& config, const ModelOptions& o);
  Variable features(const Variable& x) override;   // (N, width): the class token, or the mean of the patches
  /// Of a distilled network the mean of both heads in evaluation; in training the class head, with the other among take_auxiliary().
  Variable forward(const Variable& x) override;
  std::vector<Auxiliary> take_auxiliary() override { return std::exchange(auxiliary_, {}); }
  std::string describe() const override { return config_.name; }

 private:
  Variable encode(const Variable& x);   // (N, tokens + patches, width)

  ViTConfig config_;
  std::int64_t tokens_;
  Variable *class_token_ = nullptr, *distillation_token_ = nullptr;   // (1, 1, width)
  nn::Conv2d& conv_proj_;                                             // E in Eq. (1)
  TransformerEncoder& encoder_;
  nn::Linear *head_ = nullptr, *head_dist_ = nullptr;
  std::vector<Auxiliary> auxiliary_;
};

std::vector<ModelEntry> vit_models();

}   // namespace fovea::vision
