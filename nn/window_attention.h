// window_attention.h: self-attention within shifted windows, the layer of the Swin Transformer. Gradients and cost:
// kernels/window_attention.h.
#pragma once

#include "autograd/window_attention.h"
#include "nn/linear.h"
#include "nn/module.h"

namespace fovea::nn {

struct ShiftedWindowAttentionOptions {
  std::int64_t channels = 0, heads = 1;
  Size2 window = 7;
  Size2 shift = 0;   // half a window in every second layer
  bool qkv_bias = true, proj_bias = true;
};

/// y = proj(attention of qkv(x) within windows, with the relative position bias).  x (N, H, W, channels) -> y of the same shape, any H, W.
/// Liu et al. 2021 (arXiv:2103.14030), section 3.2, Eq. (4) and Fig. 4; parameters and numbers are those of torchvision's layer of this name.
/// relative_position_bias_table ((2 window.h - 1) (2 window.w - 1), heads) ~ N(0, 0.02^2), as torchvision has it: its truncation at +-2 lies a
/// hundred standard deviations out. relative_position_index (T * T), T = window.h window.w, is there for files only: it follows from the window.
class ShiftedWindowAttention : public Module {
 public:
  using Options = ShiftedWindowAttentionOptions;
  explicit ShiftedWindowAttention(const Options& o);
  Variable forward(const Variable& x) override;
  std::string describe() const override;

  /// How much each token of a window attends to each other: (N, windows, heads, T, T); rows of padded pixels are 0. For pictures; records nothing.
  Tensor attention_weights(const Variable& x);

  const Options& options() const { return o_; }

 private:
  Variable project(const Variable& x);   // (N, H, W, 3 channels)
  Variable qkv_bias();                   // undefined without one

  Options o_;
  Variable& relative_position_bias_table_;
  Linear &qkv_, &proj_;
};

}   // namespace fovea::nn
