// intrinsics.h: the fast functions of the special-function unit. The card's results differ from the rounded truth by up to a documented
// number of units in the last place (CUDA C++ Programming Guide, "Mathematical Functions", tables of maximum errors), and no two
// generations agree. Here each result is wrong by a part of that, drawn from the argument's bits: a kernel whose answer needs more
// precision than the card promises fails on the emulator too, and the same argument always gives the same result.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace fovea::emulator {

/// `exact`, off by up to max_ulp units in its last place, less the half that rounding to float may cost.
inline float perturb(double exact, double max_ulp, float argument) {
  if (!(std::abs(exact) < 1e38) || std::abs(exact) < 0x1p-125)
    return static_cast<float>(exact);   // infinities, NaN, what is flushed anyway
  std::uint32_t h = std::bit_cast<std::uint32_t>(argument) * 0x9e3779b1u;
  h = (h ^ h >> 15) * 0x85ebca77u;
  h ^= h >> 13;
  const double unit = (h / 4294967295. * 2 - 1) * (max_ulp - 0.5);
  return static_cast<float>(exact + unit * std::ldexp(1., std::ilogb(exact) - 23));
}

inline float fast_exp(float x) { return perturb(std::exp(double{x}), 2 + std::floor(std::abs(1.173 * std::min(std::abs(x), 100.f))), x); }
inline float fast_log(float x) {
  if (x >= 0.5f && x <= 2) {   // the error is absolute there: 2^-21.41
    const double exact = std::log(double{x});
    return static_cast<float>(exact + (perturb(1, 4, x) - 1) * 0x1p23 / 3.5 * 0x1p-22);
  }
  return perturb(std::log(double{x}), 3, x);
}
inline float fast_divide(float a, float b) {
  if (std::abs(b) > 0x1p126f && std::isfinite(b)) return std::isinf(a) ? NAN : 0.f;   // as documented
  return perturb(double{a} / b, 2, a + b);
}

}   // namespace fovea::emulator

inline float rsqrtf(float x) { return fovea::emulator::perturb(1 / std::sqrt(double{x}), 2, x); }
inline float __fdividef(float a, float b) { return fovea::emulator::fast_divide(a, b); }
// The C library has declared functions of these names already, and does not export them.
#define __expf(x) (::fovea::emulator::fast_exp(x))
#define __logf(x) (::fovea::emulator::fast_log(x))
