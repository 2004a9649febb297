// elementwise.h: activations, and what gradient checks differentiate.
#pragma once

#include "autograd/variable.h"

namespace fovea {

/// max(x, 0); keeps its output, not its input.
Variable relu(const Variable& x);
/// <x, direction>, a scalar: what gradient checks differentiate. `direction` is a constant shaped like x.
Variable dot(const Variable& x, const Tensor& direction);

}   // namespace fovea
