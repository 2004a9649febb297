// simd.h: vectors for kernels/*_cpu.cpp. Included only there: its content depends on the instruction set being compiled.
//
//   Native   one hardware register of floats, a GNU vector type: kWidth = 16 (AVX-512), 8 (AVX2) or 4 (baseline) lanes.
//            Arithmetic is the compiler's; micro-kernels hold their register tile in these.
//   F16      16 virtual lanes = 1, 2 or 4 Native, as Lanes<1>, <2>, <4>. Everything that sums across elements uses these, so that the order of
//            every sum, and with it every bit, is the same for AVX2 and AVX-512.
//
// The one multiply-add is fma(a, b, c); the build has -ffp-contract=off, so nothing is fused behind our back. The
// baseline has no such instruction and rounds twice: its bits may differ.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "kernels/backend.h"
#include "kernels/bfloat16.h"

#ifndef FOVEA_ISA
#error "simd.h is for the per-instruction-set files (kernels/*_cpu.cpp)"
#endif

namespace fovea::kernels::FOVEA_ISA {
namespace {

#if defined(__AVX512F__)
constexpr int kWidth = 16;
#elif defined(__AVX2__)
constexpr int kWidth = 8;
#else
constexpr int kWidth = 4;
#endif
typedef float Native __attribute__((vector_size(kWidth * 4)));
typedef std::int32_t NativeInt __attribute__((vector_size(kWidth * 4)));
typedef std::uint16_t NativeHalf __attribute__((vector_size(kWidth * 2)));
typedef std::uint32_t NativeUint __attribute__((vector_size(kWidth * 4)));

// Unaligned loads and stores of one register.
FOVEA_INLINE Native load(const float* p) {
  Native v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}
FOVEA_INLINE void store(float* p, Native v) { __builtin_memcpy(p, &v, sizeof v); }
FOVEA_INLINE Native broadcast(float x) { return x - Native{}; }   // x - 0 is x for every x, -0 and NaN included
FOVEA_INLINE Native load(const bfloat16* p) {
  NativeHalf h;
  __builtin_memcpy(&h, p, sizeof h);
  return (Native)(__builtin_convertvector(h, NativeUint) << 16);
}
/// Rounds to nearest even, as bfloat16::round.
FOVEA_INLINE NativeHalf rounded_half(Native v) {
  const NativeUint u = (NativeUint)v;
  const NativeUint rounded = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16;
  const NativeUint nan = (NativeUint)((NativeInt)(u & 0x7fffffffu) > 0x7f800000);
  return __builtin_convertvector((nan & ((u >> 16) | 0x40u)) | (~nan & rounded), NativeHalf);
}
FOVEA_INLINE void store(bfloat16* p, Native v) {
  const NativeHalf h = rounded_half(v);
  __builtin_memcpy(&p->bits, &h, sizeof h);
}
FOVEA_INLINE Native fma(Native a, Native b, Native c) {
#if defined(__AVX512F__)
  return (Native)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__AVX2__)
  return (Native)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
  return a * b + c;
#endif
}
/// a > b ? a : b per lane, b when either is NaN: exactly what maxps does.
FOVEA_INLINE Native max(Native a, Native b) {
#if defined(__AVX512F__)
  return (Native)_mm512_maskz_max_ps(0xffff, (__m512)a, (__m512)b);   // unmasked, but GCC 12 does not warn
#elif defined(__AVX2__)
  return (Native)_mm256_max_ps((__m256)a, (__m256)b);
#else
  return (Native)_mm_max_ps((__m128)a, (__m128)b);
#endif
}
/// a < b ? a : b per lane, b when either is NaN.
FOVEA_INLINE Native min(Native a, Native b) {
#if defined(__AVX512F__)
  return (Native)_mm512_maskz_min_ps(0xffff, (__m512)a, (__m512)b);
#elif defined(__AVX2__)
  return (Native)_mm256_min_ps((__m256)a, (__m256)b);
#else
  return (Native)_mm_min_ps((__m128)a, (__m128)b);
#endif
}
/// x where m > 0, else +0.
FOVEA_INLINE Native where_positive(Native m, Native x) {
#if defined(__AVX512F__)
  return (Native)_mm512_maskz_mov_ps(_mm512_cmp_ps_mask((__m512)m, _mm512_setzero_ps(), _CMP_GT_OQ), (__m512)x);
#else
  return (Native)((NativeInt)(m > Native{}) & (NativeInt)x);
#endif
}

/// yes where m > 0, else no.
FOVEA_INLINE Native where_positive(Native m, Native yes, Native no) {
#if defined(__AVX512F__)
  return (Native)_mm512_mask_mov_ps((__m512)no, _mm512_cmp_ps_mask((__m512)m, _mm512_setzero_ps(), _CMP_GT_OQ), (__m512)yes);
#else
  const NativeInt mask = m > Native{};
  return (Native)((mask & (NativeInt)yes) | (~mask & (NativeInt)no));
#endif
}

#if defined(__AVX2__) && !defined(__AVX512F__)
/// All bits set in the lanes below n.
FOVEA_INLINE NativeInt first_lanes(std::int64_t n) { return NativeInt{0, 1, 2, 3, 4, 5, 6, 7} < std::int32_t(n) - NativeInt{}; }
#endif

/// Vectors side by side as one: a row of a register tile, or the 16 virtual lanes.
template <int Parts> struct Lanes {
  static constexpr int kParts = Parts, kCount = Parts * kWidth;
  Native v[kParts];

  FOVEA_INLINE Lanes() : v{} {}
  FOVEA_INLINE explicit Lanes(float x) {
    for (auto& part : v) part = broadcast(x);
  }
  template <class T> FOVEA_INLINE static Lanes load(const T* p) {
    Lanes r;
    for (int i = 0; i < kParts; ++i) r.v[i] = FOVEA_ISA::load(p + i * kWidth);
    return r;
  }
  /// The first n < kCount elements; the other lanes are `fill`. Reads nothing past p[n - 1].
  template <class T> FOVEA_INLINE static Lanes load_first(const T* p, std::int64_t n, float fill = 0.f) {
    float lanes[kCount];
    for (int i = 0; i < kCount; ++i) lanes[i] = i < n ? float(p[i]) : fill;
    return load(lanes);
  }
  /// The lanes from `first` to `end` - 1, zeros around them. Reads nothing else.
  template <class T> FOVEA_INLINE static Lanes load_range(const T* p, std::int64_t first, std::int64_t end) {
    float lanes[kCount];
    for (int i = 0; i < kCount; ++i) lanes[i] = i >= first && i < end ? float(p[i]) : 0.f;
    return load(lanes);
  }
#if defined(__AVX512F__)   // masked instructions, ten times as fast
  /// The lanes of vector i that are among the first n of all.
  FOVEA_INLINE static __mmask16 first_lanes(std::int64_t n, int i) {
    if constexpr (kParts > 1) n = n < 16 * i ? 0 : n - 16 * i < 16 ? n - 16 * i : 16;
    return __mmask16((1u << n) - 1u);
  }
  FOVEA_INLINE static Lanes load_range(const float* p, std::int64_t first, std::int64_t end) {
    Lanes r;
    for (int i = 0; i < kParts; ++i)
      r.v[i] = (Native)_mm512_maskz_loadu_ps(__mmask16(first_lanes(end, i) & ~first_lanes(first, i)), p + i * kWidth);
    return r;
  }
  FOVEA_INLINE static Lanes load_first(const float* p, std::int64_t n, float fill = 0.f) {
    Lanes r;
    for (int i = 0; i < kParts; ++i) r.v[i] = (Native)_mm512_mask_loadu_ps((__m512)broadcast(fill), first_lanes(n, i), p + i * kWidth);
    return r;
  }
  FOVEA_INLINE static Lanes load_first(const bfloat16* p, std::int64_t n, float fill = 0.f) {
    Lanes r;
    for (int i = 0; i < kParts; ++i) {
      const NativeHalf h = (NativeHalf)_mm256_maskz_loadu_epi16(first_lanes(n, i), p + i * kWidth);
      r.v[i] =
          (Native)_mm512_mask_mov_ps((__m512)broadcast(fill), first_lanes(n, i), (__m512)(__builtin_convertvector(h, NativeUint) << 16));
    }
    return r;
  }
#elif defined(__AVX2__)
  FOVEA_INLINE static Lanes load_range(const float* p, std::int64_t first, std::int64_t end) {
    Lanes r;
    for (int i = 0; i < kParts; ++i) {
      const NativeInt mask = first_lanes(end - i * kWidth) & ~first_lanes(first - i * kWidth);
      r.v[i] = (Native)_mm256_maskload_ps(p + i * kWidth, (__m256i)mask);
    }
    return r;
  }
  FOVEA_INLINE static Lanes load_first(const float* p, std::int64_t n, float fill = 0.f) {
    Lanes r;
    for (int i = 0; i < kParts; ++i) {
      const NativeInt mask = first_lanes(n - i * kWidth);
      r.v[i] = (Native)_mm256_blendv_ps((__m256)broadcast(fill), _mm256_maskload_ps(p + i * kWidth, (__m256i)mask), (__m256)mask);
    }
    return r;
  }
#endif
  template <class T> FOVEA_INLINE void store(T* p) const {
    for (int i = 0; i < kParts; ++i) FOVEA_ISA::store(p + i * kWidth, v[i]);
  }
  /// Past the caches, to memory that nobody reads soon: a plain store reads the line first that it overwrites. p: aligned to 64 bytes.
  /// Visible to other threads after a fence (stream_fence).
  FOVEA_INLINE void stream(float* p) const {
    for (int i = 0; i < kParts; ++i) {
#if defined(__AVX512F__)
      _mm512_stream_ps(p + i * kWidth, (__m512)v[i]);
#elif defined(__AVX2__)
      _mm256_stream_ps(p + i * kWidth, (__m256)v[i]);
#else
      _mm_stream_ps(p + i * kWidth, (__m128)v[i]);
#endif
    }
  }
  /// Writes nothing past p[n - 1].
  template <class T> FOVEA_INLINE void store_first(T* p, std::int64_t n) const {
    T lanes[kCount];
    store(lanes);
    for (int i = 0; i < kCount; ++i)
      if (i < n) p[i] = lanes[i];
  }
#if defined(__AVX512F__)
  FOVEA_INLINE void store_first(float* p, std::int64_t n) const {
    for (int i = 0; i < kParts; ++i) _mm512_mask_storeu_ps(p + i * kWidth, first_lanes(n, i), (__m512)v[i]);
  }
  FOVEA_INLINE void store_first(bfloat16* p, std::int64_t n) const {
    for (int i = 0; i < kParts; ++i) _mm256_mask_storeu_epi16(p + i * kWidth, first_lanes(n, i), (__m256i)rounded_half(v[i]));
  }
#elif defined(__AVX2__)
  FOVEA_INLINE void store_first(float* p, std::int64_t n) const {
    for (int i = 0; i < kParts; ++i) _mm256_maskstore_ps(p + i * kWidth, (__m256i)first_lanes(n - i * kWidth), (__m256)v[i]);
  }
#endif

#define FOVEA_LANEWISE(op)                                      \
  FOVEA_INLINE friend Lanes operator op(Lanes a, Lanes b) {     \
    for (int i = 0; i < kParts; ++i) a.v[i] = a.v[i] op b.v[i]; \
    return a;                                                   \
  }
  FOVEA_LANEWISE(+)
  FOVEA_LANEWISE(-)
  FOVEA_LANEWISE(*)
  FOVEA_LANEWISE(/)
#undef FOVEA_LANEWISE
};
using F16 = Lanes<16 / kWidth>;

template <int N> FOVEA_INLINE Lanes<N> fma(Lanes<N> a, Lanes<N> b, Lanes<N> c) {
  for (int i = 0; i < N; ++i) c.v[i] = fma(a.v[i], b.v[i], c.v[i]);
  return c;
}
template <int N> FOVEA_INLINE Lanes<N> max(Lanes<N> a, Lanes<N> b) {
  for (int i = 0; i < N; ++i) a.v[i] = max(a.v[i], b.v[i]);
  return a;
}
template <int N> FOVEA_INLINE Lanes<N> min(Lanes<N> a, Lanes<N> b) {
  for (int i = 0; i < N; ++i) a.v[i] = min(a.v[i], b.v[i]);
  return a;
}
template <int N> FOVEA_INLINE Lanes<N> where_positive(Lanes<N> m, Lanes<N> yes, Lanes<N> no) {
  for (int i = 0; i < N; ++i) yes.v[i] = where_positive(m.v[i], yes.v[i], no.v[i]);
  return yes;
}
template <int N> FOVEA_INLINE Lanes<N> where_positive(Lanes<N> m, Lanes<N> x) {
  for (int i = 0; i < N; ++i) x.v[i] = where_positive(m.v[i], x.v[i]);
  return x;
}

/// The 16 lanes joined in one fixed tree: lane i with i + 8, then + 4, + 2, + 1.
typedef float Quarter __attribute__((vector_size(16)));
template <class Join> FOVEA_INLINE float join_lanes(F16 x, Join join) {
  Quarter q[4];
  __builtin_memcpy(q, x.v, sizeof q);
  const Quarter four = join(join(q[0], q[2]), join(q[1], q[3]));
  const Quarter two = join(four, __builtin_shufflevector(four, four, 2, 3, 2, 3));
  return join(two, __builtin_shufflevector(two, two, 1, 1, 1, 1))[0];
}
FOVEA_INLINE float sum(F16 x) {
  return join_lanes(
      x, [](Quarter a, Quarter b) __attribute__((always_inline)) { return a + b; });
}
FOVEA_INLINE float max_lane(F16 x) {
  return join_lanes(
      x, [](Quarter a, Quarter b) __attribute__((always_inline)) { return (Quarter)_mm_max_ps((__m128)a, (__m128)b); });
}

}   // namespace
}   // namespace fovea::kernels::FOVEA_ISA
