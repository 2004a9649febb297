// bfloat16.h: the upper half of a float: 1 sign, 8 exponent and 7 mantissa bits; u = 2^-8.
#pragma once

#include <bit>
#include <cstdint>

#include "kernels/backend.h"

namespace fovea {

struct bfloat16 {
  std::uint16_t bits = 0;

  bfloat16() = default;
  FOVEA_INLINE explicit bfloat16(float x) : bits(round(x)) {}
  FOVEA_INLINE operator float() const { return std::bit_cast<float>(std::uint32_t{bits} << 16); }

  /// Round to nearest, ties to even; a NaN stays a NaN (and becomes quiet).
  FOVEA_INLINE static std::uint16_t round(float x) {
    const auto u = std::bit_cast<std::uint32_t>(x);
    if ((u & 0x7fffffffu) > 0x7f800000u) return static_cast<std::uint16_t>((u >> 16) | 0x40u);
    return static_cast<std::uint16_t>((u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
  }
};

}   // namespace fovea
