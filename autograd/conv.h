// conv.h: 2-d convolution. Formulas, both gradients, sources and cost: kernels/conv2d.h; the loops: kernels/conv2d_reference.cpp.
#pragma once

#include "autograd/variable.h"
#include "kernels/conv2d.h"

namespace fovea {

/// Height and width; one number means both.
struct Size2 {
  std::int64_t h = 1, w = 1;
  constexpr Size2(std::int64_t both) : h(both), w(both) {}
  constexpr Size2(std::int64_t height, std::int64_t width) : h(height), w(width) {}
  constexpr bool operator==(const Size2&) const = default;
};

struct Conv2dConfig {
  Size2 stride = 1, padding = 0, dilation = 1;
  std::int64_t groups = 1;
};

/// x (N, H, W, C), w (K, R, S, C / groups), b (K) or undefined -> (N, P, Q, K),
/// P = floor((H + 2 padding.h - dilation.h (R - 1) - 1) / stride.h) + 1.
/// db = the sum of dy over images and pixels. Keeps x, or what an Activated x is made of.
Variable conv2d(const Variable& x, const Variable& w, const Variable& b, const Conv2dConfig& o);

/// Checks x and w against each other and gives the kernels' shape. Throws ShapeError, `op` in front.
kernels::Conv2dShape conv2d_shape(const char* op, const Shape& x, const Shape& w, const Conv2dConfig& o);

}   // namespace fovea
