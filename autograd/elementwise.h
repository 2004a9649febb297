// elementwise.h: arithmetic on Variables of equal shape.
#pragma once

#include "autograd/variable.h"

namespace fovea {

/// a + b; both of one shape and dtype.
Variable add(const Variable& a, const Variable& b);
/// factor * x
Variable scale(const Variable& x, double factor);
/// The mean of all elements: a scalar of acc_dtype.
Variable mean(const Variable& x);
/// <x, direction>, a scalar: what gradient checks differentiate. `direction` is a constant shaped like x.
Variable dot(const Variable& x, const Tensor& direction);

}   // namespace fovea
