// dropout_cpu.cpp: the mask of 32 elements at a time comes from the vector form of Philox, which keeps up with memory.
#include "kernels/dropout.h"

#include "kernels/cpu/isa.h"
#include "kernels/cpu/map.h"
#include "kernels/cpu/philox.h"

namespace fovea::kernels {

template <class T> struct DropoutFunctions {
  void (*dropout)(const T*, T*, std::int64_t, std::uint64_t, float, PhiloxKey, bool);
  void (*drop_rows)(const T*, T*, RowShape, std::uint64_t, float, PhiloxKey, bool);
};
struct DropoutTable {
  DropoutFunctions<float> f32;
  DropoutFunctions<bfloat16> bf16;
};
FOVEA_ISA_TABLES(DropoutTable, dropout_table)

namespace FOVEA_ISA {
namespace {

/// scale x where bits >= threshold, else +0.
FOVEA_INLINE Native scaled_where_kept(NativeUint bits, NativeUint threshold, Native scale, Native x) {
#if defined(__AVX512F__)
  return (Native)_mm512_maskz_mul_ps(_mm512_cmpge_epu32_mask((__m512i)bits, (__m512i)threshold), (__m512)scale, (__m512)x);
#else
  return (Native)((NativeInt)(bits >= threshold) & (NativeInt)(scale * x));
#endif
}

template <class T> void dropout(const T* x, T* y, std::int64_t n, std::uint64_t limit, float scale, PhiloxKey key, bool accumulate) {
  const NativeUint threshold = NativeUint{} + std::uint32_t(limit);
  const Native factor = broadcast(scale);
  const PhiloxRounds rounds(key);
  constexpr int kHalf = 16 / kWidth;   // registers of 16 elements
  const bool streamed = streams(y, n) && !accumulate && y != x;
  parallel_ranges(n, kGrain, [&](std::int64_t first, std::int64_t count) {
    const auto drop = [&](std::int64_t i, std::int64_t lanes, const NativeUint* bits) FOVEA_LANES_INLINE {
      F16 v = load(x + i, lanes);
      for (int j = 0; j < kHalf; ++j) v.v[j] = scaled_where_kept(bits[j], threshold, factor, v.v[j]);
      if (accumulate) v = load(y + i, lanes) + v;
      store(y + i, lanes, v, streamed);
    };
    const std::int64_t end = first + count;
    std::int64_t i = first;   // kGrain is a multiple of 128: groups of words start where tasks do
    for (; i + 128 <= end; i += 128) {
      const Words<4> words(rounds, std::uint64_t(i / 32));
      for (int k = 0; k < 8; ++k) drop(i + 16 * k, 16, words.v + k * kHalf);
    }
    for (; i < end; i += 32) {
      const Words<1> words(rounds, std::uint64_t(i / 32));
      drop(i, min(16, end - i), words.v);
      if (end - i > 16) drop(i + 16, min(16, end - i - 16), words.v + kHalf);
    }
    stream_fence(streamed);
  });
}

template <class T> void drop_rows(const T* x, T* y, RowShape s, std::uint64_t limit, float scale, PhiloxKey key, bool accumulate) {
  const std::int64_t pieces = ceil_div(s.cols, kGrain), rows = max(1, kGrain / max(1, s.cols));   // of a row; of a task
  parallel_for(ceil_div(s.rows, rows) * pieces, [&](std::int64_t task) {
    const std::int64_t row = task / pieces * rows, column = task % pieces * kGrain;
    for (std::int64_t r = row; r < min(row + rows, s.rows); ++r) {
      const bool stays = key.bits(std::uint64_t(r)) >= limit;
      if (!stays && accumulate) continue;
      for_lanes(min(kGrain, s.cols - column), [&](std::int64_t i, std::int64_t lanes) FOVEA_LANES_INLINE {
        i += r * s.cols + column;
        F16 v;
        if (stays) v = F16(scale) * load(x + i, lanes);
        if (accumulate) v = load(y + i, lanes) + v;
        store(y + i, lanes, v);
      });
    }
  });
}

template <class T> constexpr DropoutFunctions<T> functions{dropout<T>, drop_rows<T>};

}   // namespace
const DropoutTable dropout_table{functions<float>, functions<bfloat16>};
}   // namespace FOVEA_ISA

#ifdef FOVEA_BASELINE
template <class T> void dropout(Cpu be, const T* x, T* y, std::int64_t n, double p, PhiloxKey key, bool accumulate) {
  const KeepRule rule(p);
  if (rule.threshold >> 32)   // nobody stays: no 32-bit threshold says that
    drop_rows(be, x, y, {.rows = 1, .cols = n}, 1, key, accumulate);
  else
    for_type<T>(dropout_table()).dropout(x, y, n, rule.threshold, float(rule.scale), key, accumulate);
}
template <class T> void drop_rows(Cpu, const T* x, T* y, RowShape s, double p, PhiloxKey key, bool accumulate) {
  const KeepRule rule(p);
  for_type<T>(dropout_table()).drop_rows(x, y, s, rule.threshold, float(rule.scale), key, accumulate);
}

#define FOVEA_INSTANTIATE(T)                                                       \
  template void dropout(Cpu, const T*, T*, std::int64_t, double, PhiloxKey, bool); \
  template void drop_rows(Cpu, const T*, T*, RowShape, double, PhiloxKey, bool);
FOVEA_INSTANTIATE(float)
FOVEA_INSTANTIATE(bfloat16)
#undef FOVEA_INSTANTIATE
#endif

}   // namespace fovea::kernels
