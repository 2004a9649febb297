// shape_ops.h: the same numbers in another shape, order or dtype. An axis may be negative: -1 is the last. Gradients go back the way the
// numbers came; nothing is kept for them but shapes. Costs, but for the views: every element once in and once out.
#pragma once

#include <limits>
#include <vector>

#include "autograd/variable.h"

namespace fovea {

/// A view; one extent may be -1.
Variable reshape(const Variable& x, Shape shape);
/// (N, H, W, C) -> (N, C*H*W) in channel-major order, so that the weights of a following linear layer mean what they mean in
/// published files. A copy, unless H = W = 1 or C = 1. (N, C) stays as it is.
Variable flatten(const Variable& x);
/// Another dtype; the gradient comes back in x's.
Variable convert(const Variable& x, DType dtype);

/// Axis a of the result is axis order[a] of x: permute(x, {0, 3, 1, 2}) turns (N, H, W, C) into (N, C, H, W). A view where only axes of
/// extent 1 move.
Variable permute(const Variable& x, const std::vector<int>& order);
/// Two axes change places.
Variable transpose(const Variable& x, int first, int second);
/// (.., C) -> (.., C): the channels, as a matrix of `groups` rows, transposed, so that the next grouped convolution sees channels of every
/// group. Zhang et al. 2018, "ShuffleNet", Fig. 1 and section 3.1.
Variable channel_shuffle(const Variable& x, std::int64_t groups);

/// Tensors that differ in one axis at most, one after the other along it.
Variable concatenate(const std::vector<Variable>& xs, int axis);
/// The reverse: pieces of these extents, which add up to x's. Each piece is a slice.
std::vector<Variable> split(const Variable& x, const std::vector<std::int64_t>& extents, int axis);
/// The same in equal pieces; `pieces` divides the extent.
std::vector<Variable> chunk(const Variable& x, std::int64_t pieces, int axis);

/// Elements begin, begin + step, ... before end of one axis. begin and end count from the back when negative, as in Python; unlike there
/// they have to lie in the axis, and something has to be left (begin = end is allowed: it gives an extent of 0).
struct AxisSlice {
  static constexpr std::int64_t kToTheEnd = std::numeric_limits<std::int64_t>::max();
  int axis = 0;
  std::int64_t begin = 0, end = kToTheEnd, step = 1;
};
/// slice(x, {.axis = 1, .begin = 2}) is x[:, 2:]; a copy, unless it is of the first axis with step 1.
Variable slice(const Variable& x, const AxisSlice& s);
/// Two axes in one copy: slice(x, {.axis = 1, .step = 2}, {.axis = 2, .step = 2}) is x[:, ::2, ::2].
Variable slice(const Variable& x, const AxisSlice& s, const AxisSlice& t);

/// Zeros in front of and behind one axis.
struct AxisPadding {
  int axis = 0;
  std::int64_t before = 0, after = 0;
};
/// pad(x, {.axis = -1, .before = 8, .after = 8}) gives an image 16 more channels: with a slice of step 2, the parameter-free shortcut of
/// He et al. 2016, section 3.3 (A).
Variable pad(const Variable& x, const AxisPadding& p);
Variable pad(const Variable& x, const AxisPadding& p, const AxisPadding& q);

}   // namespace fovea
