// layer_suspects.h: a layer's output is not what it should be. Which of the usual mistakes would explain it?
#pragma once

#include <string>
#include <vector>

#include "nn/module.h"

namespace fovea::vision {

/// Layer m made `ours` of x. Runs it again with other epsilons, paddings, activations and so on, and says which of them give `expected` within `tolerance` (of the
/// largest magnitude): "fits with eps 0.001 (here 1e-05)". Each is tried, none guessed; nothing fits: nothing is said.
///
///   BatchNorm2d             epsilon; the batch's statistics instead of the running ones, or the reverse; without weight and bias
///   LayerNorm               epsilon; without weight and bias
///   Conv2d                  padding, also unequal as TensorFlow's "SAME"; stride; dilation; without bias; the input's channels reversed
///   Linear                  weight transposed; without bias
///   GELU, ReLU, ...         every other activation; the forms of GELU by erf, by tanh and by sigmoid
///   MaxPool2d, AvgPool2d    rounding up; padding counted or not
///   ShiftedWindowAttention  without the shift; with it but without the mask
///   what has layers inside  another activation of the last layer's output `before`, also with the shortcut x added before or after, or as a gate of x
///   those with parameters   an activation after it
///   any                     a constant factor; the axes of `expected` in another order than its shape says
std::vector<std::string> layer_suspects(const nn::Module& m, const Tensor& x, const Tensor& before, const Tensor& ours,
                                        const Tensor& expected, double tolerance);

/// Shifted windows without the mask that keeps pixels from opposite edges of the image apart: the usual mistake.
Variable window_attention_without_mask(const Variable& qkv, const Variable& qkv_bias, const Variable& table, std::int64_t heads,
                                       std::int64_t window, std::int64_t shift);

}   // namespace fovea::vision
