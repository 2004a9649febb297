// swin.h: the Swin Transformer. The paper: swin.cpp.
#pragma once

#include "nn/conv2d.h"
#include "nn/dropout.h"
#include "nn/layer_norm.h"
#include "nn/linear.h"
#include "nn/sequential.h"
#include "nn/window_attention.h"
#include "vision/models/models.h"

namespace fovea::vision {

/// Section 3.3: C, layer numbers, and heads of C / 32.
struct SwinConfig {
  std::string name;
  std::int64_t width;
  std::array<std::int64_t, 4> depths, heads;
  std::int64_t window = 7, patch = 4;
};

struct SwinBlockOptions {
  std::int64_t width = 0, heads = 0, window = 7, shift = 0;
  double drop_path = 0;
};

/// z^ = W-MSA(LN(z)) + z,  z = MLP(LN(z^)) + z^: Eq. (3). z (N, H, W, width).
class SwinBlock : public nn::Module {
 public:
  using Options = SwinBlockOptions;
  explicit SwinBlock(const Options& o);
  Variable forward(const Variable& z) override;
  std::string describe() const override;

 private:
  Options o_;
  nn::LayerNorm& norm1_;
  nn::ShiftedWindowAttention& attn_;
  nn::StochasticDepth& stochastic_depth_;
  nn::LayerNorm& norm2_;
  nn::Sequential& mlp_;   // linear, GELU, dropout, linear, dropout
};

struct PatchMergingOptions {
  std::int64_t width = 0;
};

/// 2x2 neighbours side by side, norm, 4 C -> 2 C: section 3.1. z (N, H, W, C) -> (N, H/2, W/2, 2 C), odd sizes padded with zeros.
class PatchMerging : public nn::Module {
 public:
  using Options = PatchMergingOptions;
  explicit PatchMerging(const Options& o);
  Variable forward(const Variable& z) override;
  std::string describe() const override { return "PatchMerging"; }

 private:
  nn::Linear& reduction_;
  nn::LayerNorm& norm_;
};

class SwinTransformer : public Classifier {
 public:
  SwinTransformer(const SwinConfig& config, const ModelOptions& o);
  Variable features(const Variable& x) override;   // (N, 8 width)
  Variable forward(const Variable& x) override;
  std::string describe() const override { return config_.name; }

 private:
  SwinConfig config_;
  nn::Sequential& features_;   // patches and norm, then stages with a merging between each two
  nn::LayerNorm* norm_ = nullptr;
  nn::Linear* head_ = nullptr;
};

std::vector<ModelEntry> swin_models();

}   // namespace fovea::vision
