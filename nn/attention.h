// attention.h: multi-head self-attention, the layer of the Vision Transformer. Gradients and cost: kernels/attention.h.
#pragma once

#include "autograd/attention.h"
#include "nn/linear.h"
#include "nn/module.h"

namespace fovea::nn {

struct MultiheadAttentionOptions {
  std::int64_t channels = 0, heads = 1;
  bool bias = true;
};

/// q, k, v = x in_proj_weight^T + in_proj_bias;  y = out_proj(softmax(q k^T / sqrt(d)) v), d = channels / heads, for every head.
/// x (B, T, channels) -> y (B, T, channels). Vaswani et al. 2017 (arXiv:1706.03762), section 3.2.2, with q, k and v from the same x.
/// in_proj_weight (3 channels, channels) ~ U(-b, b), b = sqrt(6 / (channels + 3 channels)), Glorot & Bengio 2010, Eq. (16); biases 0;
/// out_proj.weight as in Linear: PyTorch's nn.MultiheadAttention, whose parameter names these are.
class MultiheadAttention : public Module {
 public:
  using Options = MultiheadAttentionOptions;
  explicit MultiheadAttention(const Options& o);
  Variable forward(const Variable& x) override;
  std::string describe() const override;

  /// How much each token (third axis) attends to each other (fourth): (B, heads, T, T), rows sum to 1. For pictures; records nothing.
  Tensor attention_weights(const Variable& x);

  const Options& options() const { return o_; }

 private:
  Variable project(const Variable& x);   // (B, T, 3 channels)

  Options o_;
  Variable& in_proj_weight_;
  Variable* in_proj_bias_ = nullptr;
  Linear& out_proj_;
};

}   // namespace fovea::nn
