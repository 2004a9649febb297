// math.h: exp, log, log1p, sqrt, sigmoid, tanh and the normal distribution of 16 lanes, 1 to 3 ulp, the same bits for AVX2 and AVX-512 (libm's are neither
// vectors nor the same on every machine). exp and log: range reduction and minimax polynomials as in the Cephes library, S. L.
// Moshier 1992. The tests sweep each over its whole range against double and hold it to the bound stated here.
#pragma once

#include "kernels/cpu/simd.h"
#include "kernels/math.h"

namespace fovea::kernels::FOVEA_ISA {
namespace {

FOVEA_INLINE Native fma(Native a, Native b, float c) { return fma(a, b, broadcast(c)); }
FOVEA_INLINE Native select(NativeInt mask, Native yes, Native no) { return (Native)((mask & (NativeInt)yes) | (~mask & (NativeInt)no)); }

constexpr float kRound = 12582912.f;   // 1.5 * 2^23: adding it leaves an integer in the low bits
/// 2^n for -127 <= n <= 127, where n = -127 gives 0; n in the low bits of `exponent`.
FOVEA_INLINE Native power_of_2(NativeUint exponent) { return (Native)((exponent << 23) + (127u << 23)); }

/// x = n ln 2 + r with n = round(x / ln 2), |r| <= ln 2 / 2. For |x| < 1000; n as a number and as an integer.
struct Reduced {
  Native n, r;
  NativeUint exponent;   // n in its low bits
  FOVEA_INLINE explicit Reduced(Native x) {
    const Native round = broadcast(kRound), biased = fma(x, broadcast(1.44269504088896341f), round);
    n = biased - round;
    exponent = (NativeUint)biased;
    r = fma(n, broadcast(-0.693359375f), x);   // ln 2 in two parts; n times the first is exact
    r = fma(n, broadcast(2.12194440e-4f), r);
  }
  /// (e^r - 1) / r = 1 + r p(r)
  FOVEA_INLINE Native slope() const {
    Native p = broadcast(1.9875691500e-4f);
    p = fma(p, r, 1.3981999507e-3f);
    p = fma(p, r, 8.3334519073e-3f);
    p = fma(p, r, 4.1665795894e-2f);
    p = fma(p, r, 1.6666665459e-1f);
    p = fma(p, r, 5.0000001201e-1f);
    return fma(p, r, 1.f);
  }
  FOVEA_INLINE Native exp() const { return fma(slope(), r, 1.f); }
  FOVEA_INLINE Native power() const { return power_of_2(exponent); }
};

/// e^x. +inf above 88.73, 0 for -inf; below -87.34 the result is denormal, which inside parallel_for means 0. A NaN stays one.
FOVEA_INLINE Native exp(Native x) {
  x = min(broadcast(89.f), max(broadcast(-104.f), x));   // e^89 is inf, and e^-104 is 0 in any rounding
  const Reduced of(x);
#if defined(__AVX512F__)
  return (Native)_mm512_maskz_scalef_ps(0xffff, (__m512)of.exp(), (__m512)of.n);   // 2^n e^r, rounded once
#else
  const NativeInt n = (NativeInt)of.exponent - (NativeInt)broadcast(kRound), half = n >> 1;   // in two factors: 2^128 is no float
  return of.exp() * power_of_2((NativeUint)half) * power_of_2((NativeUint)(n - half));
#endif
}

/// e^x for x < 88, in fewer steps: 2^n has a float of its own down to n = -126, and n = -127, where x <= -88 ends, gives 0. A NaN stays one.
/// Softmax and sigmoid never ask for more.
FOVEA_INLINE Native exp_below_88(Native x) {
  const Reduced of(max(broadcast(-88.f), x));
  return of.exp() * of.power();
}

/// e^x for x <= 0 as one term of many, of which the largest is e^0 (the sum of a softmax): to 2e-7 of that 1, not of itself, in three
/// quarters of the time. x = (n + f) ln 2 without a second part of ln 2, and 2^f = 1 + f p(f), minimax to 1.1e-7. A NaN stays one.
FOVEA_INLINE Native exp_beside_1(Native x) {
  x = max(broadcast(-88.f), x);
  const Native log2_e = broadcast(1.44269504088896341f), round = broadcast(kRound), biased = fma(x, log2_e, round);
  const Native f = fma(x, log2_e, round - biased);
  Native p = broadcast(1.3274633093e-3f);
  p = fma(p, f, 9.6719618887e-3f);
  p = fma(p, f, 5.5506784469e-2f);
  p = fma(p, f, 2.4022234976e-1f);
  p = fma(p, f, 6.9314706326e-1f);
  return fma(p, f, 1.f) * power_of_2((NativeUint)biased);
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

/// |x| and the sign of x, by bits: x = |x| with that sign.
FOVEA_INLINE Native magnitude(Native x) { return (Native)((NativeInt)x & 0x7fffffff); }
FOVEA_INLINE Native with_sign_of(Native x, Native y) { return select((NativeInt)broadcast(-0.f), x, y); }

/// 1 / (1 + e^-x) or, for a negative x, the same multiplied by e^x / e^x: nothing overflows. 3 ulp; 0 below -87.68.
FOVEA_INLINE Native sigmoid(Native x) {
  const Native one = broadcast(1.f), e = exp_below_88(with_sign_of(broadcast(-1.f), x));   // e^-|x|
  return select((NativeInt)x < NativeInt{}, e, one) / (one + e);
}

/// tanh |x| = -m / (2 + m) with m = e^-2|x| - 1 = 2^n (e^r - 1) + (2^n - 1), which does not cancel: near 0, n is 0. 3 ulp.
FOVEA_INLINE Native tanh(Native x) {
  const Native a = with_sign_of(broadcast(-1.f), x);   // -|x|
  const Reduced of(max(broadcast(-88.f), a + a));
  const Native m = fma(of.slope() * of.r, of.power(), of.power() - broadcast(1.f));
  return with_sign_of(x, m / (broadcast(2.f) + m));
}

/// 1/2 + x (0.1 + p(x^2) / q(x^2)), coefficients from the constant term on. The 0.1 leaves little to the quotient where x is large, and so
/// little of its rounding.
template <int P, int Q> FOVEA_INLINE Native half_plus_odd(Native x, const float (&p)[P], const float (&q)[Q]) {
  const Native square = x * x;
  Native top = broadcast(p[P - 1]), bottom = broadcast(q[Q - 1]);
#pragma GCC unroll 8
  for (int i = P - 2; i >= 0; --i) top = fma(top, square, p[i]);
#pragma GCC unroll 8
  for (int i = Q - 2; i >= 0; --i) bottom = fma(bottom, square, q[i]);
  return fma(x, broadcast(0.1f) + top / bottom, 0.5f);
}

/// Phi(x) = Prob[N(0, 1) <= x] to 1.2e-7, 0 from -5.51 down and 1 from 5.51 up. Minimax for the error, 8e-9 before rounding.
FOVEA_INLINE Native normal_cdf(Native x) {
  constexpr float p[] = {0.298942238f, 0.00870036427f, 0.00181267119f, -1.96195469e-05f, -1.01260741e-06f, -9.70005658e-08f};
  constexpr float q[] = {1.f, 0.251521617f, 0.0286457967f, 0.00188443612f, 7.36468064e-05f, 1.19749859e-06f};
  x = min(broadcast(5.51f), max(broadcast(-5.51f), x));
  return max(Native{}, half_plus_odd(x, p, q));   // at -5.51 the sum is 1e-8 below 0
}

/// (x Phi(x))' = Phi(x) + x e^(-x^2 / 2) / sqrt(2 pi) to 2e-7, held from |x| = 6 on. Minimax for the error, 5e-9 before rounding.
FOVEA_INLINE Native gelu_slope(Native x) {
  constexpr float p[] = {0.6978845f,      -0.0491116159f,  0.00901081972f,   -0.00012981391f,
                         6.16714669e-06f, 4.06724006e-08f, -2.33591368e-08f, -2.88792584e-11f};
  constexpr float q[] = {1.f, 0.31072405f, 0.0455823764f, 0.00415015779f, 0.000258600456f, 1.08119539e-05f, 3.63615698e-07f};
  return half_plus_odd(min(broadcast(6.f), max(broadcast(-6.f), x)), p, q);
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

/// v x^(-3/4) for x > 0, where x stands for itself up to 3.4e38: 3 ulp and the rounding of v. The bits of a float are about its logarithm, so a constant less a quarter of
/// them is a first guess of x^(-1/4). With t = x y^4, between 0.750 and 0.950, y (c - d t) is one that is off by 1.1e-3 at most (minimax); and with
/// h = 1 - x y^4 of that one, x^(-3/4) = y^3 (1 - h)^(-3/4) = y^3 (1 + 3/4 h + 21/32 h^2 + ...), the next term being 5e-8 at most.
FOVEA_INLINE Native times_power_minus_three_quarters(Native v, Native x) {
  constexpr float c = 1.30412423f, d = 0.30765617f;
  x = min(broadcast(3.4e38f), x);   // a NaN stays one
  Native y = (Native)(0x4f500000 - ((NativeInt)x >> 2));
  Native square = y * y;
  y = y * fma(broadcast(-d) * x * square, square, c);
  square = y * y;
  const Native h = fma((Native{} - x) * square, square, 1.f), start = v * (y * square);
  return fma(start * h, fma(h, broadcast(21.f / 32), 0.75f), start);
}

#define FOVEA_LANEWISE(function)                                     \
  FOVEA_INLINE F16 function(F16 x) {                                 \
    for (int i = 0; i < F16::kParts; ++i) x.v[i] = function(x.v[i]); \
    return x;                                                        \
  }
FOVEA_LANEWISE(exp)
FOVEA_LANEWISE(exp_below_88)
FOVEA_LANEWISE(exp_beside_1)
FOVEA_LANEWISE(log)
FOVEA_LANEWISE(log1p)
FOVEA_LANEWISE(sigmoid)
FOVEA_LANEWISE(tanh)
FOVEA_LANEWISE(normal_cdf)
FOVEA_LANEWISE(gelu_slope)
FOVEA_LANEWISE(sqrt)
#undef FOVEA_LANEWISE
FOVEA_INLINE F16 times_power_minus_three_quarters(F16 v, F16 x) {
  for (int i = 0; i < F16::kParts; ++i) v.v[i] = times_power_minus_three_quarters(v.v[i], x.v[i]);
  return v;
}

}   // namespace
}   // namespace fovea::kernels::FOVEA_ISA
