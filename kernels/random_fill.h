// random_fill.h: arrays of random numbers: those of a Philox stream (philox.h), whoever draws them and in whatever order.
//
// Everything here is in double and without fused multiply-adds, so one number alone (RandomKey::normal), Reference and every instruction set
// of Cpu give the same bits.
#pragma once

#include "kernels/backend.h"
#include "kernels/philox.h"

namespace fovea::kernels {

/// y[2 i], y[2 i + 1] = scale * the two normal numbers of block i of the stream, rounded once.
void fill_normal(Reference, float* y, std::int64_t n, double scale, PhiloxKey key);
void fill_normal(Cpu, float* y, std::int64_t n, double scale, PhiloxKey key);

/// y[i] = bound * (2 u - 1), u the upper 24 bits of word i of the stream as a fraction: U[-bound, bound).
void fill_uniform(Reference, float* y, std::int64_t n, double bound, PhiloxKey key);
void fill_uniform(Cpu, float* y, std::int64_t n, double bound, PhiloxKey key);

// What follows is generic: D is double with U = std::uint64_t, or a vector of the one with a vector of the other.

template <class To, class From> FOVEA_INLINE To same_bits(From x) {
  To y;
  __builtin_memcpy(&y, &x, sizeof y);
  return y;
}

/// x < 2^52 as a double: its bits below those of 2^52.
template <class D, class U> FOVEA_INLINE D to_double(U x) { return same_bits<D>(x | std::uint64_t{0x4330000000000000}) - 0x1p52; }

/// Two words as a fraction of 53 bits in [0, 1); exact.
template <class D, class U> FOVEA_INLINE D fraction(U a, U b) { return to_double<D>(a >> 5) * 0x1p-27 + to_double<D>(b >> 6) * 0x1p-53; }

/// log x for 0 < x <= 1, 1 ulp. x = 2^k m, sqrt(1/2) <= m < sqrt(2), f = m - 1, s = f / (2 + f): log m = 2 atanh(s), a polynomial in s^2, summed
/// so that f itself stays exact. The method and the numbers are those of e_log.c in fdlibm, Sun Microsystems 1993.
template <class D, class U> FOVEA_INLINE D log_unit(D x) {
  constexpr std::uint64_t kRoot = 0x3fe6a09e667f3bcd, kOffset = 1024, kMantissa = 0xfffffffffffff;   // the bits of sqrt(1/2)
  const U bits = same_bits<U>(x) + ((kOffset << 52) - kRoot);
  const D k = to_double<D>(bits >> 52) - double(kOffset);
  const D f = same_bits<D>((bits & kMantissa) + kRoot) - 1.0;
  const D s = f / (f + 2.0), z = s * s, w = z * z;
  const D odd =
      z * (w * (w * (w * 1.479819860511658591e-01 + 1.818357216161805012e-01) + 2.857142874366239149e-01) + 6.666666666666735130e-01);
  const D even = w * (w * (w * 1.531383769920937332e-01 + 2.222219843214978396e-01) + 3.999999999940941908e-01);
  const D half = f * f * 0.5;
  return k * 6.93147180369123816490e-01 - ((half - (s * (half + (odd + even)) + k * 1.90821492927058770002e-10)) - f);
}

/// Two independent normal numbers: sqrt(radius2) * cosine and sqrt(radius2) * sine.
template <class D> struct BoxMuller { D radius2, cosine, sine; };

/// Box & Muller 1958, "A note on the generation of random normal deviates": with u, v uniform on [0, 1), -2 log(1 - u) is the square of the
/// length of a vector of two normal numbers, 2 pi v its angle. Words 0..3 of a Philox block, in the lower halves of U.
template <class D, class U> FOVEA_INLINE BoxMuller<D> box_muller(U w0, U w1, U w2, U w3) {
  const D u = fraction<D>(w0, w1), v = fraction<D>(w2, w3);
  // 2 pi v = q pi / 2 + t with |t| <= pi / 4; v - q / 4 is exact.
  const D biased = v * 4.0 + 0x1.8p52;   // rounds to the nearest integer q and leaves it in the lowest bits
  const U q = same_bits<U>(biased);
  const D t = (v - (biased - 0x1.8p52) * 0.25) * 6.283185307179586477, z = t * t;
  // k_sin.c and k_cos.c of fdlibm
  D p = z * 1.58969099521155010221e-10 - 2.50507602534068634195e-08;
  p = z * p + 2.75573137070700676789e-06;
  p = z * p - 1.98412698298579493134e-04;
  p = z * p + 8.33333333332248946124e-03;
  p = z * p - 1.66666666666666324348e-01;
  const D s = t + t * z * p;
  p = z * -1.13596475577881948265e-11 + 2.08757232129817482790e-09;
  p = z * p - 2.75573143513906633035e-07;
  p = z * p + 2.48015872894767294178e-05;
  p = z * p - 1.38888888888741095749e-03;
  p = z * p + 4.16666666666666019037e-02;
  const D c = 1.0 - (z * 0.5 - z * (z * p));
  // A quarter turn: (cos, sin) -> (-sin, cos).
  const std::uint64_t one = 1, two = 2;
  const U swap = U{} - (q & one), sines = same_bits<U>(s), cosines = same_bits<U>(c);
  const U x = (swap & sines) | (~swap & cosines), y = (swap & cosines) | (~swap & sines);
  return {.radius2 = log_unit<D, U>(1.0 - u) * -2.0,
          .cosine = same_bits<D>(x ^ (((q + one) & two) << 62)),
          .sine = same_bits<D>(y ^ ((q & two) << 62))};
}

}   // namespace fovea::kernels
