// column_tiles.h: sums over the rows of a matrix, for every column: how the matrix is cut, and how the parts are joined.
//
// A task sums one tile (up to 512 rows, 128 columns, 64 KB of float) in registers, in float; the tiles' sums are then added
// in order, in double. The cut depends on the shape alone; short chains keep the error of a sum near 2^-24 of its terms.
#pragma once

#include "kernels/cpu/map.h"

namespace fovea::kernels::FOVEA_ISA {
namespace {

struct ColumnTiles {
  std::int64_t rows, columns, tile_rows;
  static constexpr std::int64_t kTileColumns = 128;

  FOVEA_INLINE ColumnTiles(std::int64_t r, std::int64_t c) : rows(r), columns(c), tile_rows(512) {
    if (c > kGrain / tile_rows) tile_rows = kGrain / min(c, kTileColumns);
  }
  FOVEA_INLINE std::int64_t tiles() const { return ceil_div(rows, tile_rows); }

  /// f(tile, first_row, row_count, first_column, column_count) for every tile, on the pool.
  template <class F> FOVEA_INLINE void parallel(const F& f) const {
    const std::int64_t across = ceil_div(columns, kTileColumns);
    parallel_for(tiles() * across, [&](std::int64_t task) {
      const std::int64_t tile = task / across, row = tile * tile_rows, column = task % across * kTileColumns;
      f(tile, row, min(tile_rows, rows - row), column, min(kTileColumns, columns - column));
    });
  }
};

/// f(c, sum over tiles of partials[tile, c]) for every column of partials (tiles, columns); on the pool.
template <class F> FOVEA_INLINE void join_tiles(const float* partials, std::int64_t tiles, std::int64_t columns, const F& f) {
  parallel_ranges(columns, 16, [&](std::int64_t first, std::int64_t count) {
    double sum[16] = {};
    for (std::int64_t tile = 0; tile < tiles; ++tile)
      for (std::int64_t c = 0; c < count; ++c) sum[c] += double(partials[tile * columns + first + c]);
    for (std::int64_t c = 0; c < count; ++c) f(first + c, sum[c]);
  });
}

}   // namespace
}   // namespace fovea::kernels::FOVEA_ISA
