// random_fill_cpu.cpp: a Philox block a lane of 64 bits, as philox.h has them, so its four words are where a double's arithmetic wants them.
#include "kernels/random_fill.h"

#include "kernels/cpu/isa.h"
#include "kernels/cpu/map.h"
#include "kernels/cpu/philox.h"

namespace fovea::kernels {

struct RandomFillTable {
  void (*normal)(float*, std::int64_t, double, PhiloxKey);
  void (*uniform)(float*, std::int64_t, double, PhiloxKey);
};
FOVEA_ISA_TABLES(RandomFillTable, random_fill_table)

namespace FOVEA_ISA {
namespace {

typedef double NativeDouble __attribute__((vector_size(kWidth * 4)));   // kBlocks lanes
typedef float HalfNative __attribute__((vector_size(kWidth * 2)));      // as many floats

FOVEA_INLINE NativeDouble root(NativeDouble x) {
#if defined(__AVX512F__)
  return (NativeDouble)_mm512_maskz_sqrt_pd(0xff, (__m512d)x);   // unmasked, but GCC 12 does not warn
#elif defined(__AVX2__)
  return (NativeDouble)_mm256_sqrt_pd((__m256d)x);
#else
  return (NativeDouble)_mm_sqrt_pd((__m128d)x);
#endif
}

/// a0 b0 a1 b1 ...
FOVEA_INLINE Native interleaved(HalfNative a, HalfNative b) {
#if defined(__AVX512F__)
  return (Native)__builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15);
#elif defined(__AVX2__)
  return (Native)__builtin_shufflevector(a, b, 0, 4, 1, 5, 2, 6, 3, 7);
#else
  return (Native)__builtin_shufflevector(a, b, 0, 2, 1, 3);
#endif
}

FOVEA_INLINE void store_up_to(float* y, std::int64_t n, Native x) {
  if (n >= kWidth) return store(y, x);
  for (std::int64_t i = 0; i < n; ++i) y[i] = x[i];
}

void normal(float* y, std::int64_t n, double scale, PhiloxKey key) {
  const PhiloxRounds rounds(key);
  parallel_ranges(n, kGrain, [&](std::int64_t first, std::int64_t count) {   // kGrain is a multiple of kWidth: no pair is cut
    for (std::int64_t i = 0; i < count; i += kWidth) {                       // kBlocks blocks, two numbers each
      const PhiloxLanes w = philox_lanes(rounds, std::uint64_t(first + i) / 2);
      const BoxMuller<NativeDouble> pair = box_muller<NativeDouble>(w.word[0], w.word[1], w.word[2], w.word[3]);
      const NativeDouble radius = root(pair.radius2);
      store_up_to(y + first + i, count - i,
                  interleaved(__builtin_convertvector(radius * pair.cosine * scale, HalfNative),
                              __builtin_convertvector(radius * pair.sine * scale, HalfNative)));
    }
  });
}

/// bound * (2 u - 1) of the words with even numbers (in the lower halves of lanes) and odd ones.
FOVEA_INLINE HalfNative uniform_of(NativeLong words, double bound) {
  return __builtin_convertvector((to_double<NativeDouble>(words >> 8) * 0x1p-24 * 2.0 - 1.0) * bound, HalfNative);
}

void uniform(float* y, std::int64_t n, double bound, PhiloxKey key) {
  const PhiloxRounds rounds(key);
  parallel_ranges(n, kGrain, [&](std::int64_t first, std::int64_t count) {
    for (std::int64_t i = 0; i < count; i += 2 * kWidth) {   // kBlocks blocks, four numbers each
      NativeUint words[2];
      philox_words(rounds, std::uint64_t(first + i) / 4, words[0], words[1]);
      for (int j = 0; j < 2; ++j) {
        const NativeLong pairs = (NativeLong)words[j];
        store_up_to(y + first + i + j * kWidth, count - i - j * kWidth,
                    interleaved(uniform_of(pairs & 0xffffffffu, bound), uniform_of(pairs >> 32, bound)));
      }
    }
  });
}

}   // namespace
const RandomFillTable random_fill_table{normal, uniform};
}   // namespace FOVEA_ISA

#ifdef FOVEA_BASELINE
void fill_normal(Cpu, float* y, std::int64_t n, double scale, PhiloxKey key) { random_fill_table().normal(y, n, scale, key); }
void fill_uniform(Cpu, float* y, std::int64_t n, double bound, PhiloxKey key) { random_fill_table().uniform(y, n, bound, key); }
#endif

}   // namespace fovea::kernels
