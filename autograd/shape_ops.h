// shape_ops.h: the same numbers in another shape, order or dtype.
#pragma once

#include "autograd/variable.h"

namespace fovea {

/// A view; one extent may be -1.
Variable reshape(const Variable& x, Shape shape);
/// (N, H, W, C) -> (N, C*H*W) in channel-major order, so that the weights of a following linear layer mean what they mean in
/// published files. A copy, unless H = W = 1 or C = 1. (N, C) stays as it is.
Variable flatten(const Variable& x);
/// Another dtype; the gradient comes back in x's.
Variable convert(const Variable& x, DType dtype);

}   // namespace fovea
