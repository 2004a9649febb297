// philox.h: Philox4x32-10 (kernels/philox.h) for several blocks at once. Each 64-bit lane runs one block: its multiplication
// 32 x 32 -> 64 bits is one instruction, and what is left in the upper half of a lane is ignored by the next: six instructions a round
// for 32 words with AVX-512, 16 with AVX2.
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

/// Lane i of word[j] is word j of block `block + i`; above its lower half lies what a multiplication left.
struct PhiloxLanes {
  NativeLong word[4];
};
/// Several of them, one behind the other. A round waits for the one before it: between them the others have their turn.
template <int Chains> FOVEA_INLINE void philox_chains(const PhiloxRounds& key, std::uint64_t block, PhiloxLanes (&chain)[Chains]) {
  constexpr std::uint64_t kIota[8] = {0, 1, 2, 3, 4, 5, 6, 7};
  NativeLong iota;
  __builtin_memcpy(&iota, kIota, sizeof iota);
  const NativeLong m0 = NativeLong{} + kPhiloxMultiply0, m1 = NativeLong{} + kPhiloxMultiply1;
#pragma GCC unroll 8
  for (int i = 0; i < Chains; ++i) {
    const NativeLong c0 = iota + (block + std::uint64_t(i * kBlocks));
    chain[i] = {{c0, c0 >> 32, key.c2, key.c3}};
  }
#pragma GCC unroll 10
  for (int round = 0; round < 10; ++round)
#pragma GCC unroll 8
    for (int i = 0; i < Chains; ++i) {
      NativeLong(&c)[4] = chain[i].word;
      const NativeLong p0 = multiply_low(m0, c[0]), p1 = multiply_low(m1, c[2]);
      c[0] = exclusive_or(p1 >> 32, c[1], key.k0[round]);
      c[2] = exclusive_or(p0 >> 32, c[3], key.k1[round]);
      c[1] = p1;
      c[3] = p0;
    }
}
/// One of them, with nothing above the lower halves.
FOVEA_INLINE PhiloxLanes philox_lanes(const PhiloxRounds& key, std::uint64_t block) {
  PhiloxLanes chain[1];
  philox_chains(key, block, chain);
  const NativeLong low = NativeLong{} + 0xffffffffu;
  for (NativeLong& word : chain[0].word) word &= low;
  return chain[0];
}

/// The lower halves of a and b in turn: words 2i and 2i + 1 in lane i.
FOVEA_INLINE NativeLong lower_halves(NativeLong a, NativeLong b) {
#if defined(__AVX512F__)
  return (NativeLong)_mm512_mask_shuffle_epi32((__m512i)a, 0xaaaa, (__m512i)b, _MM_PERM_CCAA);
#else
  return (a & 0xffffffffu) | (b << 32);
#endif
}

/// The 4 kBlocks = 2 kWidth words of a chain, in order.
FOVEA_INLINE void words_in_order(const PhiloxLanes& chain, NativeUint& first, NativeUint& second) {
  // Lane i has words 0, 1 and 2, 3 of block i in its two halves; then block by block.
  const NativeLong a = lower_halves(chain.word[0], chain.word[1]), b = lower_halves(chain.word[2], chain.word[3]);
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
/// The 2 kWidth words of the stream from word 4 * block on.
FOVEA_INLINE void philox_words(const PhiloxRounds& key, std::uint64_t block, NativeUint& first, NativeUint& second) {
  PhiloxLanes chain[1];
  philox_chains(key, block, chain);
  words_in_order(chain[0], first, second);
}

/// 32 * Groups words of the stream from word 32 * group on.
template <int Groups> struct Words {
  static constexpr int kAll = Groups * 16 / kWidth, kAtOnce = kWidth < 16 ? 2 : Groups;   // chains; as many as there are registers for
  NativeUint v[2 * kAll];
  FOVEA_INLINE Words(const PhiloxRounds& key, std::uint64_t group) {
    for (int i = 0; i < kAll; i += kAtOnce) {
      PhiloxLanes chain[kAtOnce];
      philox_chains(key, 8 * group + std::uint64_t(i * kBlocks), chain);
      for (int j = 0; j < kAtOnce; ++j) words_in_order(chain[j], v[2 * (i + j)], v[2 * (i + j) + 1]);
    }
  }
};

}   // namespace
}   // namespace fovea::kernels::FOVEA_ISA
