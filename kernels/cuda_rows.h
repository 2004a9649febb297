// cuda_rows.h: rows of a matrix, a warp for each or a piece of 16 bytes a thread: how threads are laid over rows of any length, how a piece is
// moved that is not aligned or not full, and where an element of a loop nest lies.
#pragma once

#include "kernels/cuda.h"
#include "kernels/loop_nest.h"

namespace fovea::kernels {

constexpr int kRowThreads = 256;   // of a block

/// p[0], ..., p[count - 1], then zeros: in one access where count fills it and p is aligned. The values are the same either way.
template <class T> __device__ __forceinline__ Wide<T> load_up_to(const T* p, std::int64_t count) {
  if (count >= Wide<T>::kSize && aligned16(p)) return load16(p);
  Wide<T> v{};
  FOVEA_UNROLL
  for (int j = 0; j < Wide<T>::kSize; ++j)
    if (j < count) v[j] = p[j];
  return v;
}
/// p[0] = v[0], ..., p[count - 1] = v[count - 1].
template <class T> __device__ __forceinline__ void store_up_to(T* p, const Wide<T>& v, std::int64_t count) {
  if (count >= Wide<T>::kSize && aligned16(p)) return store16(p, v);
  FOVEA_UNROLL
  for (int j = 0; j < Wide<T>::kSize; ++j)
    if (j < count) p[j] = v[j];
}

/// p[j] = value[j], or p[j] + value[j], for j < count: rounded once.
template <class T>
__device__ __forceinline__ void store_or_add_up_to(T* p, const float (&value)[Wide<T>::kSize], std::int64_t count, bool accumulate) {
  const Wide<T> old = accumulate ? load_up_to(p, count) : Wide<T>{};
  Wide<T> sum{};
  FOVEA_UNROLL
  for (int j = 0; j < Wide<T>::kSize; ++j) sum[j] = T(accumulate ? float(old[j]) + value[j] : value[j]);
  store_up_to(p, sum, count);
}

/// The same with four elements.
template <class T> __device__ __forceinline__ Four<T> load_four(const T* p, std::int64_t count) {
  if (count >= 4 && aligned4(p)) return load4(p);
  Four<T> v{};
  FOVEA_UNROLL
  for (int j = 0; j < 4; ++j)
    if (j < count) v[j] = p[j];
  return v;
}
template <class T> __device__ __forceinline__ void store_four(T* p, const Four<T>& v, std::int64_t count) {
  if (count >= 4 && aligned4(p)) return store4(p, v);
  FOVEA_UNROLL
  for (int j = 0; j < 4; ++j)
    if (j < count) p[j] = v[j];
}
template <class T> __device__ __forceinline__ void store_or_add_four(T* p, const float (&value)[4], std::int64_t count, bool accumulate) {
  const Four<T> old = accumulate ? load_four(p, count) : Four<T>{};
  Four<T> sum{};
  FOVEA_UNROLL
  for (int j = 0; j < 4; ++j) sum[j] = T(accumulate ? float(old[j]) + value[j] : value[j]);
  store_four(p, sum, count);
}

/// The smallest s with 2^s >= n, but at most `most`.
inline int shift_for(std::int64_t n, int most) {
  int shift = 0;
  while (shift < most && (std::int64_t{1} << shift) < n) ++shift;
  return shift;
}

/// a / b, and what remains, for a >= 0 and b > 0: by 32-bit arithmetic where that suffices, as a 64-bit division is a subroutine.
__device__ __forceinline__ std::int64_t divide(std::int64_t a, std::int64_t b, std::int64_t& rest) {
  if ((a | b) >> 32 == 0) {
    const std::uint32_t quotient = static_cast<std::uint32_t>(a) / static_cast<std::uint32_t>(b);
    rest = static_cast<std::uint32_t>(a) - quotient * static_cast<std::uint32_t>(b);
    return quotient;
  }
  const std::int64_t quotient = a / b;
  rest = a - quotient * b;
  return quotient;
}

// A warp for each row: lane threadIdx.x of row row_of_warp(). A warp without a row returns as a whole, so shuffles stay full.
constexpr int kWarpsPerBlock = 4;
inline LaunchShape warp_for_each_row(Cuda be, std::int64_t rows) {
  return {.grid = blocks(rows, kWarpsPerBlock), .block = {kWarp, kWarpsPerBlock}, .stream = be.stream};
}
__device__ __forceinline__ std::int64_t row_of_warp() { return blockIdx.x * std::int64_t{kWarpsPerBlock} + threadIdx.y; }

/// A grid over a matrix. 2^shift threads stand side by side on a row, and 256 / 2^shift rows below each other, so that short rows fill a
/// block, too; a longer row takes several blocks.
template <class T> struct RowGrid {
  std::int64_t rows, cols;
  int shift;
  unsigned column_blocks;

  RowGrid(std::int64_t row_count, std::int64_t col_count)
      : rows(row_count),
        cols(col_count),
        shift(shift_for(ceil_div(col_count, Wide<T>::kSize), 8)),
        column_blocks(blocks(col_count, std::int64_t{Wide<T>::kSize} << shift)) {}

  LaunchShape launch_shape(Cuda be) const {
    return {.grid = blocks(ceil_div(rows, kRowThreads >> shift) * column_blocks, 1), .block = kRowThreads, .stream = be.stream};
  }

  /// This thread's share: elements [col, col + count) of a row; nothing where count <= 0.
  struct Piece {
    std::int64_t row, col, count;
  };
  __device__ __forceinline__ Piece piece() const {
    const unsigned row_block = blockIdx.x / column_blocks, column_block = blockIdx.x - row_block * column_blocks;
    const unsigned across = threadIdx.x & ((1u << shift) - 1), down = threadIdx.x >> shift;
    Piece p;
    p.row = std::int64_t{row_block} * (kRowThreads >> shift) + down;
    p.col = ((std::int64_t{column_block} << shift) + across) * Wide<T>::kSize;
    p.count = p.row < rows ? cols - p.col : 0;
    return p;
  }
};

/// Where position `item` of a nest (counted from 0, the innermost axis fastest) lies in each of its arrays.
template <int Arrays>
__device__ __forceinline__ void locate(const LoopNest<Arrays>& nest, std::int64_t item, std::int64_t (&offset)[Arrays]) {
  for (int k = 0; k < Arrays; ++k) offset[k] = 0;
  for (int a = nest.count - 1; a >= 0; --a) {
    std::int64_t index = item;
    if (a > 0) item = divide(item, nest.axis[a].extent, index);
    for (int k = 0; k < Arrays; ++k) offset[k] += index * nest.axis[a].step[k];
  }
}
template <int Arrays> std::int64_t positions(const LoopNest<Arrays>& nest) {
  std::int64_t n = 1;
  for (int a = 0; a < nest.count; ++a) n *= nest.axis[a].extent;
  return n;
}

}   // namespace fovea::kernels
