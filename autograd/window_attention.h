// window_attention.h: self-attention within shifted windows. Liu et al. 2021, "Swin Transformer" (arXiv:2103.14030), section 3.2 and Eq. (4):
//
//   y = softmax(q k^T / sqrt(d) + B + mask) v      in every window and for every head
//
// equal to torchvision's shifted_window_attention between its two projections. The formulas are in kernels/window_attention.h.
#pragma once

#include "autograd/conv.h"
#include "autograd/variable.h"

namespace fovea {

struct WindowAttentionOptions {
  std::int64_t heads = 1;
  Size2 window = 7;
  Size2 shift = 0;   // less than the window; counts as 0 along an axis that one window covers
};

/// qkv (N, H, W, 3 C), the projection of the unpadded image -> (N, H, W, C), for any H and W.
/// qkv_bias (3 C): the bias that was added in that projection, which is what a padded pixel has for q, k and v; it gets the gradient of
/// the padded pixels here, that of the others comes through qkv. Undefined: zeros.
/// table ((2 window.h - 1) (2 window.w - 1), heads): the relative position bias. float32 for float32 and bfloat16.
Variable window_attention(const Variable& qkv, const Variable& qkv_bias, const Variable& table, const WindowAttentionOptions& o);

/// The weights by themselves, (N, windows, heads, T, T) with T = window.h window.w: for pictures. Rows of padded pixels are 0.
Tensor window_attention_weights(const Tensor& qkv, const Variable& qkv_bias, const Tensor& table, const WindowAttentionOptions& o);

/// int64 (T * T): the row of the table for every pair of tokens of a window, as files of torchvision have it.
Tensor relative_position_index(Size2 window);

}   // namespace fovea
