// statistics.h: mean and M2 = sum (x - mean)^2 of each channel over one tile of rows, in two passes over the tile.
//
// The batch norm and the epilogue of a convolution both call this on tiles of kStatRows rows: so their partials are the
// same bits. A tile is small enough to sit in a cache, so the second pass is cheap, and nothing cancels as it does in
// E[x^2] - E[x]^2 when the mean is large beside the deviation (Chan, Golub & LeVeque 1983, "two-pass").
#pragma once

#include "kernels/cpu/simd.h"

namespace fovea::kernels::FOVEA_ISA {
namespace {

/// Columns are walked down a few at a time; the hardware does not foresee such short pieces of rows, so they are asked for in advance.
constexpr std::int64_t kRowsAhead = 8;

/// The columns [0, 16 * Blocks) of x (rows, row_stride): several independent chains of additions hide their latency.
template <int Blocks, class T>
FOVEA_INLINE void tile_statistics_of(const T* x, std::int64_t rows, std::int64_t row_stride, float* mean, float* m2) {
  F16 average[Blocks], squares[Blocks];
  for (std::int64_t r = 0; r < rows; ++r) {
    if (r + kRowsAhead < rows)
      for (int b = 0; b < Blocks; ++b) __builtin_prefetch(x + (r + kRowsAhead) * row_stride + 16 * b);
    for (int b = 0; b < Blocks; ++b) average[b] = average[b] + F16::load(x + r * row_stride + 16 * b);
  }
  for (int b = 0; b < Blocks; ++b) average[b] = average[b] / F16(float(rows));
  for (std::int64_t r = 0; r < rows; ++r)
    for (int b = 0; b < Blocks; ++b) {
      const F16 d = F16::load(x + r * row_stride + 16 * b) - average[b];
      squares[b] = fma(d, d, squares[b]);
    }
  for (int b = 0; b < Blocks; ++b) {
    average[b].store(mean + 16 * b);
    squares[b].store(m2 + 16 * b);
  }
}

/// x: rows >= 1 rows of `channels` values, row_stride elements apart; mean, m2 (channels). Each channel is its own sum in
/// order of rows, so the bits do not depend on how channels are grouped.
template <class T>
FOVEA_INLINE void tile_statistics(const T* x, std::int64_t rows, std::int64_t channels, std::int64_t row_stride, float* mean, float* m2) {
  std::int64_t c = 0;
  for (; c + 64 <= channels; c += 64) tile_statistics_of<4>(x + c, rows, row_stride, mean + c, m2 + c);
  for (; c + 16 <= channels; c += 16) tile_statistics_of<1>(x + c, rows, row_stride, mean + c, m2 + c);
  const std::int64_t rest = channels - c;
  if (rest == 0) return;
  F16 average, squares;
  for (std::int64_t r = 0; r < rows; ++r) average = average + F16::load_first(x + r * row_stride + c, rest);
  average = average / F16(float(rows));
  for (std::int64_t r = 0; r < rows; ++r) {
    const F16 d = F16::load_first(x + r * row_stride + c, rest) - average;
    squares = fma(d, d, squares);
  }
  average.store_first(mean + c, rest);
  squares.store_first(m2 + c, rest);
}

}   // namespace
}   // namespace fovea::kernels::FOVEA_ISA
