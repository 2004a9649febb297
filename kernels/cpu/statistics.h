// statistics.h: mean and M2 = sum (x - mean)^2 of each channel over one tile of rows, in one pass.
//
// The batch norm and the epilogue of a convolution both call this on tiles of kStatRows rows: so their partials are the same bits.
// Deviations are taken from the tile's first row x0, so nothing cancels as it does in E[x^2] - E[x]^2 when the mean is large beside the
// deviation: mean = x0 + S / n and M2 = sum (x - x0)^2 - S^2 / n with S = sum (x - x0) (Chan, Golub & LeVeque 1983, "shifted data"). What
// is taken away is bounded: (x0 - mean)^2 is one of the n terms of M2, so S^2 / n <= n M2. A common x0 costs M2 a few roundings, one as
// far out as can be 1e-4 of it; two passes would cost neither, but x would have to come twice from beyond the nearest cache.
#pragma once

#include "kernels/cpu/simd.h"

namespace fovea::kernels::FOVEA_ISA {
namespace {

/// From the sums of d = x - x0 and of d^2: mean and M2 of 16 channels.
struct TileMoments {
  F16 mean, m2;
  FOVEA_INLINE TileMoments(F16 x0, F16 sum, F16 squares, std::int64_t rows) {
    const F16 delta = sum / F16(float(rows));
    mean = x0 + delta;
    m2 = max(F16(0.f), squares - sum * delta);   // a NaN stays
  }
};

/// The columns [0, 16 * Blocks) of x (rows, row_stride), down the rows, with the sums in registers: several independent chains of
/// additions hide their latency. lanes < 16: of the only block.
template <int Blocks, class T>
FOVEA_INLINE void tile_statistics_of(const T* x, std::int64_t rows, std::int64_t row_stride, float* mean, float* m2,
                                     std::int64_t lanes = 16) {
  const auto at = [&](std::int64_t r, int b) __attribute__((always_inline)) {
    const T* p = x + r * row_stride + 16 * b;
    return lanes == 16 ? F16::load(p) : F16::load_first(p, lanes);
  };
  F16 x0[Blocks], sum[Blocks], squares[Blocks];
  for (int b = 0; b < Blocks; ++b) x0[b] = at(0, b);
  for (std::int64_t r = 1; r < rows; ++r)
    for (int b = 0; b < Blocks; ++b) {
      const F16 d = at(r, b) - x0[b];
      sum[b] = sum[b] + d;
      squares[b] = fma(d, d, squares[b]);
    }
  for (int b = 0; b < Blocks; ++b) {
    const TileMoments of(x0[b], sum[b], squares[b], rows);
    lanes == 16 ? of.mean.store(mean + 16 * b) : of.mean.store_first(mean, lanes);
    lanes == 16 ? of.m2.store(m2 + 16 * b) : of.m2.store_first(m2, lanes);
  }
}

/// The same for many blocks, along the rows, with the sums in mean and m2 until the end: so x is read in the order in which it lies, which
/// the hardware foresees.
template <class T>
FOVEA_INLINE void tile_statistics_of_blocks(const T* x, std::int64_t rows, std::int64_t channels, std::int64_t row_stride, float* mean,
                                            float* m2) {
  for (std::int64_t c = 0; c < channels; c += 16) {
    F16().store(mean + c);
    F16().store(m2 + c);
  }
  for (std::int64_t r = 1; r < rows; ++r)
    for (std::int64_t c = 0; c < channels; c += 16) {
      const F16 d = F16::load(x + r * row_stride + c) - F16::load(x + c);
      (F16::load(mean + c) + d).store(mean + c);
      fma(d, d, F16::load(m2 + c)).store(m2 + c);
    }
  for (std::int64_t c = 0; c < channels; c += 16) {
    const TileMoments of(F16::load(x + c), F16::load(mean + c), F16::load(m2 + c), rows);
    of.mean.store(mean + c);
    of.m2.store(m2 + c);
  }
}

/// x: rows >= 1 rows of `channels` values, row_stride elements apart; mean, m2 (channels). Each channel is its own sum in
/// order of rows, so the bits do not depend on how channels are grouped.
template <class T>
FOVEA_INLINE void tile_statistics(const T* x, std::int64_t rows, std::int64_t channels, std::int64_t row_stride, float* mean, float* m2) {
  std::int64_t c = 0;
  if (channels >= 80) {
    c = channels / 16 * 16;
    tile_statistics_of_blocks(x, rows, c, row_stride, mean, m2);
  }
  for (; c + 64 <= channels; c += 64) tile_statistics_of<4>(x + c, rows, row_stride, mean + c, m2 + c);
  for (; c + 16 <= channels; c += 16) tile_statistics_of<1>(x + c, rows, row_stride, mean + c, m2 + c);
  if (c < channels) tile_statistics_of<1>(x + c, rows, row_stride, mean + c, m2 + c, channels - c);
}

}   // namespace
}   // namespace fovea::kernels::FOVEA_ISA
