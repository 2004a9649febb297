// dot.h: what gradient checks differentiate.
#pragma once

#include "autograd/variable.h"

namespace fovea {

/// <x, direction>, a scalar; dx = dy direction. `direction` is a constant shaped like x.
Variable dot(const Variable& x, const Tensor& direction);

}   // namespace fovea
