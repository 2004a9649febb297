// layer_norm.h: layer normalisation. Gradients and cost: kernels/layer_norm.h.
#pragma once

#include "autograd/variable.h"

namespace fovea {

/// y = gamma (x - mean) / sqrt(variance + eps) + beta with mean and variance over the last axis, for each row by itself.
/// x (..., C); gamma, beta (C) in acc_dtype, or undefined: 1 and 0. Keeps x and two numbers a row.
/// Ba, Kiros & Hinton 2016 (arXiv:1607.06450), Eq. (4).
Variable layer_norm(const Variable& x, const Variable& gamma = {}, const Variable& beta = {}, double eps = 1e-5);

}   // namespace fovea
