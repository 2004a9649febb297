// dropout.h: noise that regularises. Both ops take one key from default_generator() for each call; nothing is kept for the backward
// pass but that key: the gradient is the same mask and factor applied to dy.
#pragma once

#include "autograd/variable.h"

namespace fovea {

/// Each element is 0 with probability p, else x / (1 - p). Srivastava et al. 2014, section 4. Element i stays where
/// key.bits(i) >= p 2^32, whatever the device. p in [0, 1].
Variable dropout(const Variable& x, double p, RandomKey key = default_generator().next());

/// What stochastic depth draws for: each sample (the first axis) by itself, or the batch as a whole.
enum class DropMode { row, batch };
/// x / (1 - p), or 0 with probability p: the branch of a residual block that is skipped in training. Huang et al. 2016, Eq. (2);
/// torchvision's stochastic_depth. x of rank >= 1, p in [0, 1].
Variable stochastic_depth(const Variable& x, double p, DropMode mode, RandomKey key = default_generator().next());

}   // namespace fovea
