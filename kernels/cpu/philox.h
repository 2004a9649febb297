// philox.h: Philox4x32-10 (kernels/philox.h) for several blocks at once. Each 64-bit lane runs one block: its multiplication
// 32 x 32 -> 64 bits is one instruction, and what is left in the upper half of a lane is ignored by the next. 80 instructions for
// 32 words with AVX-512, 16 with AVX2: below 1 ns a word.
#pragma once

#include "kernels/cpu/simd.h"
#include "kernels/philox.h"

namespace fovea::kernels::FOVEA_ISA {
namespace {

typedef std::uint64_t NativeLong __attribute__((vector_size(kWidth * 4)));
constexpr int kBlocks = kWidth / 2;   // Philox blocks at once, each of 4 words

/// The product of the lower halves of each 64-bit lane.
FOVEA_INLINE NativeLong multiply_low(NativeLong a, NativeLong b) {
#if defined(__AVX512F__)
  return (NativeLong)_mm512_maskz_mul_epu32(0xff, (__m512i)a, (__m512i)b);   // unmasked, but GCC 12 does not warn
#elif defined(__AVX2__)
  return (NativeLong)_mm256_mul_epu32((__m256i)a, (__m256i)b);
#else
  return (NativeLong)_mm_mul_epu32((__m128i)a, (__m128i)b);
#endif
}

FOVEA_INLINE NativeLong exclusive_or(NativeLong a, NativeLong b, NativeLong c) {
#if defined(__AVX512F__)
  return (NativeLong)_mm512_ternarylogic_epi64((__m512i)a, (__m512i)b, (__m512i)c, 0x96);
#else
  return a ^ b ^ c;
#endif
}

/// A key with the keys of its ten rounds, once for many blocks.
struct PhiloxRounds {
  NativeLong k0[10], k1[10], c2, c3;
  FOVEA_INLINE explicit PhiloxRounds(PhiloxKey key) {
    std::uint32_t a = std::uint32_t(key.seed), b = std::uint32_t(key.seed >> 32);
    for (int round = 0; round < 10; ++round, a += kPhiloxWeyl0, b += kPhiloxWeyl1) {
      k0[round] = NativeLong{} + std::uint64_t{a};
      k1[round] = NativeLong{} + std::uint64_t{b};
    }
    c2 = NativeLong{} + (key.stream & 0xffffffffu);
    c3 = NativeLong{} + (key.stream >> 32);
  }
};

/// Lane i of word[j] is word j of block `block + i`; its upper half is 0.
struct PhiloxLanes {
  NativeLong word[4];
};
FOVEA_INLINE PhiloxLanes philox_lanes(const PhiloxRounds& key, std::uint64_t block) {
  constexpr std::uint64_t kIota[8] = {0, 1, 2, 3, 4, 5, 6, 7};
  NativeLong c0;
  __builtin_memcpy(&c0, kIota, sizeof c0);
  c0 += block;
  NativeLong c1 = c0 >> 32, c2 = key.c2, c3 = key.c3;
  const NativeLong m0 = NativeLong{} + kPhiloxMultiply0, m1 = NativeLong{} + kPhiloxMultiply1;
  for (int round = 0; round < 10; ++round) {
    const NativeLong p0 = multiply_low(m0, c0), p1 = multiply_low(m1, c2);
    c0 = exclusive_or(p1 >> 32, c1, key.k0[round]);
    c2 = exclusive_or(p0 >> 32, c3, key.k1[round]);
    c1 = p1;
    c3 = p0;
  }
  const NativeLong low = NativeLong{} + 0xffffffffu;
  return {{c0 & low, c1 & low, c2 & low, c3 & low}};
}

/// The 4 kBlocks = 2 kWidth words of the stream from word 4 * block on, in order.
FOVEA_INLINE void philox_words(const PhiloxRounds& key, std::uint64_t block, NativeUint& first, NativeUint& second) {
  const PhiloxLanes w = philox_lanes(key, block);
  // Lane i has words 0, 1 and 2, 3 of block i in its two halves; then block by block.
  const NativeLong a = w.word[0] | (w.word[1] << 32), b = w.word[2] | (w.word[3] << 32);
#if defined(__AVX512F__)
  first = (NativeUint)__builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
  second = (NativeUint)__builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
#elif defined(__AVX2__)
  first = (NativeUint)__builtin_shufflevector(a, b, 0, 4, 1, 5);
  second = (NativeUint)__builtin_shufflevector(a, b, 2, 6, 3, 7);
#else
  first = (NativeUint)__builtin_shufflevector(a, b, 0, 2);
  second = (NativeUint)__builtin_shufflevector(a, b, 1, 3);
#endif
}

/// 32 words of the stream from word 32 * group on.
struct Words32 {
  NativeUint v[32 / kWidth];
  FOVEA_INLINE Words32(const PhiloxRounds& key, std::uint64_t group) {
    for (int i = 0; i < 32 / kWidth; i += 2) philox_words(key, 8 * group + std::uint64_t(i / 2 * kBlocks), v[i], v[i + 1]);
  }
};

}   // namespace
}   // namespace fovea::kernels::FOVEA_ISA
