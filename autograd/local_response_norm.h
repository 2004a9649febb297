// local_response_norm.h: local response normalisation, AlexNet's. Gradient and cost: kernels/local_response_norm.h.
#pragma once

#include "autograd/variable.h"
#include "kernels/local_response_norm.h"

namespace fovea {

using kernels::LocalResponse;   // size, alpha, beta, k

/// y[c] = x[c] (k + alpha / size * sum of x^2 over the `size` channels around c)^-beta, for each pixel; x (..., C). The window of an even
/// size has one channel more below c. Throws ShapeError unless 1 <= size <= 128, alpha >= 0 and k > 0.
/// Krizhevsky, Sutskever & Hinton 2012, section 3.3, with alpha divided by the size as in PyTorch: the paper's alpha = 1e-4, n = 5, k = 2 is
/// {.size = 5, .alpha = 5e-4, .k = 2}.
Variable local_response_norm(const Variable& x, const LocalResponse& o = {});
/// Throws ShapeError, naming `op`, for options that are not as above.
void check_local_response(const char* op, const LocalResponse& o);

}   // namespace fovea
