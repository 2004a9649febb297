// cuda_math.h: the elementary functions of math.h for float, where a formula runs inside a kernel: the toolkit's, correct to 1 or 2 units in
// the last place. (The fast ones, __expf and its kin, are for kernels that say why they suffice.)
#pragma once

#include <math.h>

#include "kernels/backend.h"

namespace fovea::kernels {

FOVEA_INLINE float exp(float x) { return ::expf(x); }
FOVEA_INLINE float log1p(float x) { return ::log1pf(x); }
FOVEA_INLINE float tanh(float x) { return ::tanhf(x); }
FOVEA_INLINE float normal_cdf(float x) { return 0.5f * ::erfcf(-0.70710678f * x); }
FOVEA_INLINE float gelu_slope(float x) {
  x = min(40.f, max(-40.f, x));   // as in math.h
  return normal_cdf(x) + x * (0.39894228f * exp(-0.5f * x * x));
}
FOVEA_INLINE float sigmoid(float x) { return 1 / (1 + exp(-x)); }
FOVEA_INLINE float sqrt(float x) { return ::sqrtf(x); }
FOVEA_INLINE float fma(float a, float b, float c) { return ::fmaf(a, b, c); }

}   // namespace fovea::kernels
