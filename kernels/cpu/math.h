// math.h: exp, log and log1p of 16 lanes, about 1 ulp, the same bits for AVX2 and AVX-512 (libm's are neither vectors nor
// the same on every machine). Range reduction and minimax polynomials as in the Cephes library, S. L. Moshier 1992.
#pragma once

#include "kernels/cpu/simd.h"
#include "kernels/math.h"

namespace fovea::kernels::FOVEA_ISA {
namespace {

FOVEA_INLINE Native fma(Native a, Native b, float c) { return fma(a, b, broadcast(c)); }
FOVEA_INLINE Native select(NativeInt mask, Native yes, Native no) { return (Native)((mask & (NativeInt)yes) | (~mask & (NativeInt)no)); }

/// With n = round(x / ln 2) and r = x - n ln 2, |r| <= ln 2 / 2:  e^x = 2^n e^r,  e^r = 1 + r + r^2 p(r).
/// +inf above 88.73, 0 for -inf; below -87.34 the result is denormal, which inside parallel_for means 0. A NaN stays one.
FOVEA_INLINE Native exp(Native x) {
  x = max(broadcast(-104.f), x);                        // e^-104 is 0 in any rounding
  x = Native{} - max(broadcast(-89.f), Native{} - x);   // e^89 is inf
  const Native round = broadcast(12582912.f);           // 1.5 * 2^23: adding it leaves an integer in the low bits
  const Native biased = fma(x, broadcast(1.44269504088896341f), round);
  const Native n = biased - round;
  Native r = fma(n, broadcast(-0.693359375f), x);   // ln 2 in two parts; n times the first is exact
  r = fma(n, broadcast(2.12194440e-4f), r);
  Native p = broadcast(1.9875691500e-4f);
  p = fma(p, r, 1.3981999507e-3f);
  p = fma(p, r, 8.3334519073e-3f);
  p = fma(p, r, 4.1665795894e-2f);
  p = fma(p, r, 1.6666665459e-1f);
  p = fma(p, r, 5.0000001201e-1f);
  p = fma(p, r * r, r) + broadcast(1.f);
#if defined(__AVX512F__)
  return (Native)_mm512_maskz_scalef_ps(0xffff, (__m512)p, (__m512)n);   // 2^n p, rounded once
#else
  const NativeInt exponent = (NativeInt)biased - (NativeInt)round;
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

#define FOVEA_LANEWISE(function)                                     \
  FOVEA_INLINE F16 function(F16 x) {                                 \
    for (int i = 0; i < F16::kParts; ++i) x.v[i] = function(x.v[i]); \
    return x;                                                        \
  }
FOVEA_LANEWISE(exp)
FOVEA_LANEWISE(log)
FOVEA_LANEWISE(log1p)
#undef FOVEA_LANEWISE

}   // namespace
}   // namespace fovea::kernels::FOVEA_ISA
