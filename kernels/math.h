// math.h: the elementary functions that formulas generic over their number type call, for double. Those for the 16 virtual
// lanes are in cpu/math.h. Builtins, because the templates of <cmath> could leave weak symbols in per-instruction-set files.
#pragma once

#include "kernels/backend.h"

namespace fovea::kernels {

/// a > b ? a : b and a < b ? a : b, as the hardware has them: b when either is NaN.
FOVEA_INLINE float max(float a, float b) { return a > b ? a : b; }
FOVEA_INLINE double max(double a, double b) { return a > b ? a : b; }
FOVEA_INLINE float min(float a, float b) { return a < b ? a : b; }
FOVEA_INLINE double min(double a, double b) { return a < b ? a : b; }
/// yes where m > 0, else no (also where m is NaN); no is 0 if left out.
FOVEA_INLINE float where_positive(float m, float yes, float no = 0.f) { return m > 0 ? yes : no; }
FOVEA_INLINE double where_positive(double m, double yes, double no = 0.) { return m > 0 ? yes : no; }

FOVEA_INLINE double exp(double x) { return __builtin_exp(x); }
FOVEA_INLINE double log1p(double x) { return __builtin_log1p(x); }
FOVEA_INLINE double tanh(double x) { return __builtin_tanh(x); }
/// Phi(x) = Prob[N(0, 1) <= x], and the derivative of x Phi(x): Phi(x) + x e^(-x^2 / 2) / sqrt(2 pi).
FOVEA_INLINE double normal_cdf(double x) { return 0.5 * __builtin_erfc(-0.70710678118654752440 * x); }
FOVEA_INLINE double gelu_slope(double x) {
  x = min(40., max(-40., x));   // from there on it is 0 or 1, and inf * 0 would be NaN
  return normal_cdf(x) + x * (0.39894228040143267794 * exp(-0.5 * x * x));
}
/// 1 / (1 + e^-x)
FOVEA_INLINE double sigmoid(double x) { return 1 / (1 + exp(-x)); }
FOVEA_INLINE double sqrt(double x) { return __builtin_sqrt(x); }
/// a * b + c, rounded once
FOVEA_INLINE double fma(double a, double b, double c) { return __builtin_fma(a, b, c); }

}   // namespace fovea::kernels

#if defined(__CUDACC__) || defined(FOVEA_CUDA_EMULATED)
#include "kernels/cuda_math.h"   // the same for float, in kernels
#endif
