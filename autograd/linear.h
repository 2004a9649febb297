// linear.h: y = x w^T + b, over the last axis. With dy (rows, out), rows being all axes but the last:
//
//   dx = dy w      dw = dy^T x      db = sum over rows of dy
//
// Three products of rows * in * out multiply-adds each. Keeps x.
#pragma once

#include "autograd/variable.h"

namespace fovea {

/// x (..., in) of any rank, w (out, in), b (out) or undefined -> (..., out). w and b are float32 parameters for float32 and bfloat16 x.
Variable linear(const Variable& x, const Variable& w, const Variable& b);

}   // namespace fovea
