// scale_channels.h: the excitation of squeeze-and-excitation.
#pragma once

#include "autograd/variable.h"

namespace fovea {

/// y[n,h,w,c] = x[n,h,w,c] s[n,c]. x (N, H, W, C), s (N, C) -> (N, H, W, C). Hu et al. 2018, Eq. (4).
/// dx = dy s and ds[n,c] = sum over the pixels of dy x, in one pass. Keeps x and s.
Variable scale_channels(const Variable& x, const Variable& s);

}   // namespace fovea
