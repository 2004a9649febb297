// math.h: the elementary functions that formulas generic over their number type call, for double. Those for the 16 virtual
// lanes are in cpu/math.h. Builtins, because the templates of <cmath> could leave weak symbols in per-instruction-set files.
#pragma once

#include "kernels/backend.h"

namespace fovea::kernels {

FOVEA_INLINE double exp(double x) { return __builtin_exp(x); }
FOVEA_INLINE double log1p(double x) { return __builtin_log1p(x); }
FOVEA_INLINE double sqrt(double x) { return __builtin_sqrt(x); }

}   // namespace fovea::kernels
