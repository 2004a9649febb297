// reductions.h: sum, mean, maximum and variance, of everything or along axes (negative ones count from the back), as in PyTorch: without
// keepdim the axes are gone, with it they stay with an extent of 1. Every sum has an order fixed by the shape.
//
// Along axes, the result has x's dtype (sums are taken in float32 for bfloat16); of everything, it is a scalar of acc_dtype, as losses are.
// Cost: x read once, twice for the variance; a copy more where the axes are not neighbours.
#pragma once

#include <vector>

#include "autograd/variable.h"

namespace fovea {

using Axes = std::vector<int>;

Variable sum(const Variable& x);    // dx = dy, repeated
Variable mean(const Variable& x);   // dx = dy / n, repeated

Variable sum(const Variable& x, const Axes& axes, bool keepdim = false);
Variable mean(const Variable& x, const Axes& axes, bool keepdim = false);
/// The largest; a NaN wins. Equal maxima share the gradient evenly, as torch.amax has it (torch.max along one axis gives it to one of them).
Variable amax(const Variable& x, const Axes& axes, bool keepdim = false);

struct VarOptions {
  std::int64_t correction = 1;   // 1: unbiased (Bessel), 0: biased, as batch norm uses it
  bool keepdim = false;
};
/// sum (x - mean)^2 / (n - correction), in two passes. dx = 2 (x - mean) dy / (n - correction).
Variable var(const Variable& x, const Axes& axes, const VarOptions& o = {});

}   // namespace fovea
