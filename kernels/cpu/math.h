// math.h: exp, log, log1p, sqrt, sigmoid, tanh and erf of 16 lanes, 1 to 3 ulp, the same bits for AVX2 and AVX-512 (libm's are neither
// vectors nor the same on every machine). exp and log: range reduction and minimax polynomials as in the Cephes library, S. L.
// Moshier 1992. The tests sweep each over its whole range against double and hold it to the bound stated here.
#pragma once

#include "kernels/cpu/simd.h"
#include "kernels/math.h"

namespace fovea::kernels::FOVEA_ISA {
namespace {

FOVEA_INLINE Native fma(Native a, Native b, float c) { return fma(a, b, broadcast(c)); }
FOVEA_INLINE Native select(NativeInt mask, Native yes, Native no) { return (Native)((mask & (NativeInt)yes) | (~mask & (NativeInt)no)); }

/// With n = round(x / ln 2) and r = x - n ln 2, |r| <= ln 2 / 2:  e^x = 2^n e^r,  e^r = 1 + r + r^2 p(r). For |x| < 1000; n goes out, as a number and as an
/// integer.
FOVEA_INLINE Native exp_reduced(Native x, Native& n, NativeInt& exponent) {
  const Native round = broadcast(12582912.f);   // 1.5 * 2^23: adding it leaves an integer in the low bits
  const Native biased = fma(x, broadcast(1.44269504088896341f), round);
  n = biased - round;
  exponent = (NativeInt)biased - (NativeInt)round;
  Native r = fma(n, broadcast(-0.693359375f), x);   // ln 2 in two parts; n times the first is exact
  r = fma(n, broadcast(2.12194440e-4f), r);
  Native p = broadcast(1.9875691500e-4f);
  p = fma(p, r, 1.3981999507e-3f);
  p = fma(p, r, 8.3334519073e-3f);
  p = fma(p, r, 4.1665795894e-2f);
  p = fma(p, r, 1.6666665459e-1f);
  p = fma(p, r, 5.0000001201e-1f);
  return fma(p, r * r, r) + broadcast(1.f);
}

/// +inf above 88.73, 0 for -inf; below -87.34 the result is denormal, which inside parallel_for means 0. A NaN stays one.
FOVEA_INLINE Native exp(Native x) {
  x = max(broadcast(-104.f), x);                        // e^-104 is 0 in any rounding
  x = Native{} - max(broadcast(-89.f), Native{} - x);   // e^89 is inf
  Native n;
  NativeInt exponent;
  const Native p = exp_reduced(x, n, exponent);
#if defined(__AVX512F__)
  return (Native)_mm512_maskz_scalef_ps(0xffff, (__m512)p, (__m512)n);   // 2^n p, rounded once
#else
  const NativeInt half = exponent >> 1;   // 2^n in two factors: n = 128 has no float of its own
  return p * (Native)((half + 127) << 23) * (Native)((exponent - half + 127) << 23);
#endif
}

/// With x = 2^n m and sqrt(1/2) <= m < sqrt(2):  log x = n ln 2 + log m,  log(1 + f) = f - f^2 / 2 + f^3 p(f).
/// -inf for 0 (and denormals), +inf for +inf; NaN for a negative x or a NaN.
FOVEA_INLINE Native log(Native x) {
  const NativeInt offset = (NativeInt)((NativeUint)x - 0x3f3504f3u);   // the bits of sqrt(1/2); unsigned, as -0 would overflow
  const Native n = __builtin_convertvector(offset >> 23, Native);
  const Native f = (Native)((offset & 0x007fffff) + 0x3f3504f3) - broadcast(1.f);
  Native p = broadcast(7.0376836292e-2f);
  p = fma(p, f, -1.1514610310e-1f);
  p = fma(p, f, 1.1676998740e-1f);
  p = fma(p, f, -1.2420140846e-1f);
  p = fma(p, f, 1.4249322787e-1f);
  p = fma(p, f, -1.6668057665e-1f);
  p = fma(p, f, 2.0000714765e-1f);
  p = fma(p, f, -2.4999993993e-1f);
  p = fma(p, f, 3.3333331174e-1f);
  const Native square = f * f;
  p = fma(n, broadcast(-2.12194440e-4f), p * f * square);
  p = fma(square, broadcast(-0.5f), p);
  Native y = fma(n, broadcast(0.693359375f), f + p);
  const float inf = __builtin_inff();
  y = select(x < broadcast(1.17549435e-38f), broadcast(-inf), y);
  y = select(x < Native{}, broadcast(__builtin_nanf("")), y);
  return select(x < broadcast(inf), y, x + y);   // +inf and NaN
}

/// log(1 + x) for x > -1: log of the rounded u = 1 + x, plus what the rounding lost, (x - (u - 1)) / u.
FOVEA_INLINE Native log1p(Native x) {
  const Native one = broadcast(1.f), u = one + x;
  const Native y = log(u) + (x - (u - one)) / u;
  return select(x < broadcast(__builtin_inff()), y, u);
}

/// 1 / (1 + e^-x), 3 ulp. 0 where e^-x overflows (below -88.73), 1 for large x.
FOVEA_INLINE Native sigmoid(Native x) {
  const Native one = broadcast(1.f);
  return one / (one + exp(Native{} - x));
}

/// |x| and the sign of x, by bits: x = |x| with that sign.
FOVEA_INLINE Native magnitude(Native x) { return (Native)((NativeInt)x & 0x7fffffff); }
FOVEA_INLINE Native with_sign_of(Native x, Native magnitude_of_y) {
  return (Native)(((NativeInt)x & (NativeInt)broadcast(-0.f)) | (NativeInt)magnitude_of_y);
}

/// tanh |x| = 1 - 2 / (e^2|x| + 1), which near 0 would cancel: below 0.625 an odd polynomial instead (Cephes' tanhf). 3 ulp.
FOVEA_INLINE Native tanh(Native x) {
  const Native a = magnitude(x), one = broadcast(1.f), square = x * x;
  const Native large = one - broadcast(2.f) / (exp(a + a) + one);
  Native p = broadcast(-5.70498872745e-3f);
  p = fma(p, square, 2.06390887954e-2f);
  p = fma(p, square, -5.37397155531e-2f);
  p = fma(p, square, 1.33314422036e-1f);
  p = fma(p, square, -3.33332819422e-1f);
  return select(a < broadcast(0.625f), fma(p * square, x, x), with_sign_of(x, large));   // a NaN compares false, and exp keeps it
}

/// (2 / sqrt(pi)) int_0^x e^-t^2 dt. Up to 0.93 an odd polynomial; from there 1 - e^p(|x|), where the rounding of e^p no longer
/// matters. Minimax coefficients by N. Juffa (public domain). 2 ulp.
FOVEA_INLINE Native erf(Native x) {
  const Native a = min(broadcast(4.f), magnitude(x)), square = x * x;   // from 3.92 on it rounds to 1
  Native q = fma(broadcast(-1.72853470e-5f), a, 3.83197126e-4f);
  q = fma(q, a * a, fma(broadcast(-3.88396438e-3f), a, 2.42546219e-2f));
  q = fma(q, a, -1.06777877e-1f);
  q = fma(q, a, -6.34846687e-1f);
  q = fma(q, a, -1.28717512e-1f);
  q = fma(q, a, Native{} - a);
  Native n;   // between -24 and 0: nothing overflows
  NativeInt exponent;
  const Native e = exp_reduced(q, n, exponent), large = broadcast(1.f) - e * (Native)((exponent + 127) << 23);
  Native p = broadcast(-5.96761703e-4f);
  p = fma(p, square, 4.99119423e-3f);
  p = fma(p, square, -2.67681349e-2f);
  p = fma(p, square, 1.12819925e-1f);
  p = fma(p, square, -3.76125336e-1f);
  p = fma(p, square, 1.28379166e-1f);
  return select(a < broadcast(0.927734375f), fma(p, x, x), with_sign_of(x, large));
}

/// Correctly rounded, as the hardware has it; NaN below 0.
FOVEA_INLINE Native sqrt(Native x) {
#if defined(__AVX512F__)
  return (Native)_mm512_maskz_sqrt_ps(0xffff, (__m512)x);   // unmasked, but GCC 12 does not warn
#elif defined(__AVX2__)
  return (Native)_mm256_sqrt_ps((__m256)x);
#else
  return (Native)_mm_sqrt_ps((__m128)x);
#endif
}

#define FOVEA_LANEWISE(function)                                     \
  FOVEA_INLINE F16 function(F16 x) {                                 \
    for (int i = 0; i < F16::kParts; ++i) x.v[i] = function(x.v[i]); \
    return x;                                                        \
  }
FOVEA_LANEWISE(exp)
FOVEA_LANEWISE(log)
FOVEA_LANEWISE(log1p)
FOVEA_LANEWISE(sigmoid)
FOVEA_LANEWISE(tanh)
FOVEA_LANEWISE(erf)
FOVEA_LANEWISE(sqrt)
#undef FOVEA_LANEWISE

}   // namespace
}   // namespace fovea::kernels::FOVEA_ISA
