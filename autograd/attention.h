// attention.h: multi-head scaled dot-product attention. Vaswani et al. 2017 (arXiv:1706.03762), Eq. (1) and section 3.2.2:
//
//   y = softmax(scale * q k^T + bias) v      for every batch and head
//
// The heads are neighbouring pieces of C / heads channels. No (T, T) matrix is kept for the backward pass: see kernels/attention.h.
#pragma once

#include <optional>

#include "autograd/variable.h"

namespace fovea {

struct AttentionOptions {
  std::int64_t heads = 1;
  std::optional<double> scale = {};   // 1 / sqrt(C / heads), unless given
};

/// Self-attention on the fused projection: qkv (B, T, 3 C), in it q, k and v one behind the other -> (B, T, C).
/// bias: undefined, or (heads, T, T) for all, or (G, heads, T, T), of which batch b takes number b % G (G divides B). float32 for float32 and
/// bfloat16; -inf forbids a pair.
Variable attention(const Variable& qkv, const Variable& bias, const AttentionOptions& o);
/// q (B, T, C), k and v (B, S, C) -> (B, T, C); bias (heads, T, S) or (G, heads, T, S) or undefined.
Variable attention(const Variable& q, const Variable& k, const Variable& v, const Variable& bias, const AttentionOptions& o);

/// The weights softmax(scale * q k^T + bias) by themselves, (B, heads, T, S): for pictures.
Tensor attention_weights(const Tensor& qkv, const Tensor& bias, const AttentionOptions& o);
Tensor attention_weights(const Tensor& q, const Tensor& k, const Tensor& bias, const AttentionOptions& o);

}   // namespace fovea
