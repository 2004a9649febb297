// cuda_columns.h: sums (or maxima) down the columns of (outer, axis, inner), where neighbouring outputs are neighbours in memory. A block
// owns a tile: some rows of the axis, and as many columns as its threads take side by side, 16 bytes each. Threads below each other take
// turns with the rows, in registers; a tree in shared memory joins them. When an axis is cut into several tiles, each leaves its result in
// the workspace for cuda_join.h. All cuts come from the shape alone.
#pragma once

#include "kernels/cuda_join.h"

namespace fovea::kernels {

template <class T> struct ColumnTiles {
  static constexpr std::int64_t kChain = 32;        // rows of a thread: short chains, for the error of a sum
  static constexpr std::int64_t kMostTiles = 512;   // then chains grow

  AxisShape s;
  int shift;   // 2^shift threads side by side, kRowThreads / 2^shift below each other
  unsigned column_blocks, tiles;
  std::int64_t tile_rows;

  explicit ColumnTiles(AxisShape shape) : s(shape), shift(shift_for(ceil_div(s.inner, Wide<T>::kSize), 5)) {
    const std::int64_t below = kRowThreads >> shift;
    column_blocks = blocks(s.inner, std::int64_t{Wide<T>::kSize} << shift);
    tile_rows = below * kChain;
    if (s.axis > tile_rows * kMostTiles) tile_rows = ceil_div(s.axis, below * kMostTiles) * below;
    tiles = s.axis > 0 ? blocks(s.axis, tile_rows) : 1;
  }
  std::size_t workspace_bytes() const { return tiles > 1 ? sizeof(float) * std::size_t(s.outer * tiles * s.inner) : 0; }

  /// Shared memory, where the rows of threads meet: an element's floats lie side by side, so no two threads want one bank.
  struct Smem {
    float part[Wide<T>::kSize][kRowThreads];
  };
  LaunchShape launch_shape(Cuda be) const {
    return {.grid = blocks(s.outer * tiles * column_blocks, 1), .block = kRowThreads, .smem = sizeof(Smem), .stream = be.stream};
  }

  /// What a thread has to do: rows first, first + step, ... below `last` of an outer index, `count` columns from `col` on (or none).
  struct Share {
    std::int64_t outer, tile, col, count, first, step, last;
  };
  __device__ __forceinline__ Share share() const {
    const unsigned row_block = blockIdx.x / column_blocks, column_block = blockIdx.x - row_block * column_blocks;
    const unsigned outer = row_block / tiles, tile = row_block - outer * tiles;
    const unsigned across = threadIdx.x & ((1u << shift) - 1), down = threadIdx.x >> shift;
    Share p;
    p.outer = outer;
    p.tile = tile;
    p.col = ((std::int64_t{column_block} << shift) + across) * Wide<T>::kSize;
    p.count = min_of(s.inner - p.col, Wide<T>::kSize);
    p.first = tile * tile_rows + down;
    p.step = kRowThreads >> shift;
    p.last = min_of((tile + 1) * tile_rows, s.axis);
    return p;
  }

  /// Joins what the threads below each other have; every thread of the block comes. True in those that hold the tile's result.
  template <class Op> __device__ __forceinline__ bool join(const Op& op, float (&part)[Wide<T>::kSize]) const {
    Smem& smem = shared_memory<Smem>();
    const unsigned t = threadIdx.x;
    for (int j = 0; j < Wide<T>::kSize; ++j) smem.part[j][t] = part[j];
    for (unsigned half = kRowThreads / 2; half >= 1u << shift; half /= 2) {
      __syncthreads();
      if (t < half)
        for (int j = 0; j < Wide<T>::kSize; ++j) {
          part[j] = op(part[j], smem.part[j][t + half]);
          smem.part[j][t] = part[j];
        }
    }
    return t < 1u << shift;
  }
};

}   // namespace fovea::kernels
