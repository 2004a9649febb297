// cuda_gemm.h: what the products of the Cuda backend share: where an element lies, what is done to a sum before it is written, and how GEMM is
// cut into blocks.
#pragma once

#include "kernels/cuda.h"
#include "kernels/gemm.h"

namespace fovea::kernels {

/// One operand of one matrix of the batch: element (i, k), i being the row of A or the column of B.
template <class T> struct Operand {
  const T* p;
  std::int64_t row;   // elements from one row in memory to the next
  bool k_major;       // rows in memory are k: A transposed, B not
  __device__ __forceinline__ const T* at(std::int64_t i, std::int64_t k) const { return p + (k_major ? k * row + i : i * row + k); }
};

/// x' = act(scale x + shift): fusion.h.
template <class T> __device__ __forceinline__ float start_value(const Prologue<T>& p, float scale, float shift, float x) {
  return activate(p.activation, fmaf(scale, x, shift));
}
/// y = act(scale[n] sum + shift[n] + residual), or c + sum, c being what was there: fusion.h, in the operations of Cpu.
template <class TC>
__device__ __forceinline__ TC finish_sum(const Epilogue<TC>& e, float sum, std::int64_t column, float c, float residual) {
  if (e.accumulate) return TC(c + sum);
  if (e.scale)
    sum = e.shift ? fmaf(e.scale[column], sum, e.shift[column]) : e.scale[column] * sum;
  else if (e.shift)
    sum += e.shift[column];
  if (e.residual) sum += residual;
  return TC(activate(e.activation, sum));
}
/// The same for the element `offset` after C's start.
template <class TC>
__device__ __forceinline__ TC finish_sum(const Epilogue<TC>& e, float sum, std::int64_t column, const TC* c, std::int64_t offset) {
  return finish_sum(e, sum, column, e.accumulate ? float(c[offset]) : 0.f, e.residual ? float(e.residual[offset]) : 0.f);
}

/// The same for `count` neighbours of a row, as one access where that is possible: sums[0] belongs to `offset`.
template <class TC, int kCount>
__device__ __forceinline__ void write_sums(const Epilogue<TC>& e, const float (&sums)[kCount], std::int64_t column, std::int64_t columns,
                                           TC* c, std::int64_t offset) {
  static_assert(kCount % Wide<TC>::kSize == 0 || kCount < Wide<TC>::kSize);
  if constexpr (kCount % Wide<TC>::kSize == 0) {
    if (column + kCount <= columns && aligned16(c + offset)) {
      FOVEA_UNROLL
      for (int v = 0; v < kCount; v += Wide<TC>::kSize) {
        Wide<TC> out;
        FOVEA_UNROLL
        for (int j = 0; j < Wide<TC>::kSize; ++j) out[j] = finish_sum(e, sums[v + j], column + v + j, c, offset + v + j);
        store16(c + offset + v, out);
      }
      return;
    }
  }
  FOVEA_UNROLL
  for (int j = 0; j < kCount; ++j)
    if (column + j < columns) c[offset + j] = finish_sum(e, sums[j], column + j, c, offset + j);
}

/// How a product is cut, by its shape alone: C in tiles; and k in slices where k is long and tiles are few, so that a large card is filled
/// whatever card it is. Blocks lie along x (y and z would end at 65535): tiles of one row side by side as they share A, then rows of tiles,
/// then slices, then matrices of the batch.
struct GemmCut {
  static constexpr int kTile = 128;
  static constexpr std::int64_t kBlocksToFill = 256;   // two for each multiprocessor of a large card
  static constexpr std::int64_t kLeastK = 512;         // of a slice: it then reads four times what it writes, or more
  unsigned columns, rows;                              // of tiles
  unsigned slices;
  std::int64_t slice_k;   // a multiple of 32

  explicit GemmCut(const GemmShape& s) : columns(blocks(s.n, kTile)), rows(blocks(s.m, kTile)), slices(1), slice_k(s.k) {
    const std::int64_t tiles = max_of(1, std::int64_t{columns} * rows * s.batch);
    const std::int64_t most = min_of(s.k / kLeastK, ceil_div(kBlocksToFill, tiles));
    if (most < 2) return;
    slice_k = ceil_div(s.k, most * 32) * 32;
    slices = blocks(s.k, slice_k);
  }
  /// The sums of all slices, (slices, batch, m, n), before cuda_join.h adds them.
  std::size_t workspace_bytes(const GemmShape& s) const {
    return slices > 1 ? sizeof(float) * static_cast<std::size_t>(slices * s.batch * s.m * s.n) : 0;
  }
  LaunchShape launch_shape(Cuda be, const GemmShape& s, int threads, std::size_t smem) const {
    const std::int64_t all = std::int64_t{columns} * rows * slices * s.batch;
    return {.grid = blocks(all, 1), .block = static_cast<unsigned>(threads), .smem = smem, .stream = be.stream};
  }

  /// A block's share: outputs from (i, j) on of matrix z, k in [first, last); its sums are those of matrix `out` of all slices' matrices.
  struct Share {
    std::int64_t i, j, z, out, first, last;
  };
  __device__ __forceinline__ Share share(const GemmShape& s, unsigned block = blockIdx.x) const {
    const unsigned line = block / columns, column = block - line * columns;
    const unsigned matrix = line / rows, row = line - matrix * rows;
    const unsigned z = matrix / slices, slice = matrix - z * slices;
    return {.i = std::int64_t{row} * kTile,
            .j = std::int64_t{column} * kTile,
            .z = z,
            .out = slice * s.batch + z,
            .first = slice * slice_k,
            .last = min_of(s.k, (slice + 1) * slice_k)};
  }
};

/// C = op(A) op(B), or C +=, by cuBLAS (gemm_cublas_cuda.cu). Throws std::runtime_error in a program without it.
template <class T, class TC> void gemm_cublas(Cuda be, const T* a, const T* b, TC* c, const GemmShape& s, bool accumulate);

/// Tensor cores, if they can take the operands (gemm_tensor_cuda.cu): false, and nothing is done, if not.
template <class T, class TC>
bool gemm_tensor(Cuda be, const T* a, const T* b, TC* c, const GemmShape& s, const Epilogue<TC>& e, const GemmCut& cut);

}   // namespace fovea::kernels
