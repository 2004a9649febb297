// softmax.h: probabilities from logits, and their logarithms.
#pragma once

#include "autograd/variable.h"

namespace fovea {

/// y_j = exp(x_j) / sum_i exp(x_i) along the last axis; any shape (..., classes). An entry of -inf gets weight 0. Keeps its output only:
/// dL/dx = y (dL/dy - <dL/dy, y>).
Variable softmax(const Variable& x);
/// log softmax(x), exact also where softmax(x) rounds to 0 or 1. dL/dx = dL/dy - softmax(x) sum dL/dy.
Variable log_softmax(const Variable& x);

}   // namespace fovea
