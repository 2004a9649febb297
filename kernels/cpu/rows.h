// rows.h: what kernels share that walk a matrix row by row: softmax, cross-entropy, layer norm. A row is read from memory once; the
// further passes over it find it in a near cache.
#pragma once

#include "kernels/cpu/map.h"

namespace fovea::kernels::FOVEA_ISA {
namespace {

constexpr float kMinusInf = -__builtin_inff();

/// f(row) for every row, on the pool, in tasks of about `grain` elements; `streamed` says that f streams its output.
template <class F> FOVEA_INLINE void parallel_rows(RowShape s, std::int64_t grain, const F& f, bool streamed = false) {
  parallel_ranges(s.rows, max(1, grain / max(1, s.cols)), [&](std::int64_t first, std::int64_t count) {
    for (std::int64_t r = first; r < first + count; ++r) f(r);
    stream_fence(streamed);
  });
}

/// Asks for what stands below *p in the next row. A pass that computes from the nearest cache leaves memory idle, and the hardware does
/// not foresee what comes after the row. Past the end of the matrix nothing happens.
template <class T> FOVEA_INLINE void ask_for_next_row(const T* p, RowShape s) { __builtin_prefetch(p + s.cols); }

/// The largest of n entries. A NaN may get lost here; it comes back through the sum of the exponentials.
template <class T> FOVEA_INLINE float row_max(const T* x, std::int64_t n) {
  F16 largest[4];
  for (F16& v : largest) v = F16(kMinusInf);
  for_lane_blocks(n, [&]<int Blocks>(std::int64_t j, std::int64_t lanes) FOVEA_LANES_INLINE {
    for (int b = 0; b < Blocks; ++b) largest[b] = max(largest[b], load(x + j + 16 * b, lanes, kMinusInf));
  });
  return max_lane(max(max(largest[0], largest[1]), max(largest[2], largest[3])));
}

/// sum_j f(j, lanes) over a row, in 16 lanes; f gives 0 in lanes past the row's end.
template <class F> FOVEA_INLINE float row_sum(std::int64_t n, const F& f) {
  F16 total;
  for_lane_blocks(n, [&]<int Blocks>(std::int64_t j, std::int64_t lanes) FOVEA_LANES_INLINE {
    F16 term[Blocks];
    for (int b = 0; b < Blocks; ++b) term[b] = f(j + 16 * b, lanes);
    for (int b = 0; b < Blocks; ++b) total = total + term[b];
  });
  return sum(total);
}

/// 0 for p in [0, 1], positive or NaN outside: summed, a check of probabilities.
FOVEA_INLINE F16 outside_unit_interval(F16 p) { return max(F16(0.f), max(F16(0.f) - p, p - F16(1.f))); }

}   // namespace
}   // namespace fovea::kernels::FOVEA_ISA
