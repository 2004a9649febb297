// cuda_runs.h: work on some stretches of one array, with sums for each stretch: how it is cut, and how the sums are joined.
//
// A stretch is cut into pieces of a fixed length, a block for each; pieces have sums of their own, which are added in order, in double. The table
// of stretches travels as an argument of the kernels, some at a time, so nothing has to be copied to the device, and a captured graph holds
// its own.
#pragma once

#include "kernels/cuda_rows.h"
#include "kernels/runs.h"

namespace fovea::kernels {

constexpr int kRunThreads = 256;
constexpr std::int64_t kRunPiece = 8192;   // elements: eight times 16 bytes a thread

/// Up to kMost stretches. (An argument may have 4 KB.)
struct RunBatch {
  static constexpr int kMost = 128;
  int count = 0;
  unsigned first_piece[kMost + 1] = {0};   // of each stretch, and how many there are
  std::int64_t begin[kMost], end[kMost];

  /// The piece of this block: its stretch, and elements [begin, begin + count).
  struct Piece {
    int run;
    std::int64_t begin, count;
  };
  __device__ __forceinline__ Piece piece() const {
    int low = 0, high = count;   // first_piece[low] <= block < first_piece[high]
    while (high - low > 1) {
      const int middle = (low + high) / 2;
      (first_piece[middle] <= blockIdx.x ? low : high) = middle;
    }
    const std::int64_t from = begin[low] + (blockIdx.x - first_piece[low]) * kRunPiece;
    return {low, from, end[low] - from < kRunPiece ? end[low] - from : kRunPiece};
  }
};

inline std::int64_t pieces_of(const Run* runs, std::int64_t count) {
  std::int64_t pieces = 0;
  for (std::int64_t r = 0; r < count; ++r) pieces += ceil_div(runs[r].end - runs[r].begin, kRunPiece);
  return pieces;
}
/// f(batch, pieces before it) for all stretches that are not empty.
template <class F> void for_batches(const Run* runs, std::int64_t count, const F& f) {
  std::int64_t before = 0, r = 0;
  while (r < count) {
    RunBatch batch;
    for (; r < count && batch.count < RunBatch::kMost; ++r) {
      if (runs[r].end <= runs[r].begin) continue;
      batch.begin[batch.count] = runs[r].begin;
      batch.end[batch.count] = runs[r].end;
      batch.first_piece[batch.count + 1] = batch.first_piece[batch.count] + blocks(runs[r].end - runs[r].begin, kRunPiece);
      ++batch.count;
    }
    if (batch.count == 0) return;
    f(batch, before);
    before += batch.first_piece[batch.count];
  }
}
inline LaunchShape block_for_each_piece(Cuda be, const RunBatch& b) {
  return {.grid = b.first_piece[b.count], .block = kRunThreads, .stream = be.stream};
}

/// f(i, count) for this thread's pieces of 16 bytes of [begin, begin + n): elements [i, i + count).
template <class F> __device__ __forceinline__ void for_run_pieces(std::int64_t begin, std::int64_t n, const F& f) {
  for (std::int64_t i = threadIdx.x * Wide<float>::kSize; i < n; i += kRunThreads * Wide<float>::kSize) f(begin + i, n - i);
}

/// sum[0] and sum[1] of all threads of the block, in the first one: lanes as a tree, then warps in order.
struct BlockSums {
  double warp[2][kRunThreads / kWarp];
};
__device__ __forceinline__ void sum_over_block(double (&sum)[2]) {
  BlockSums& smem = shared_memory<BlockSums>();
  for (int k = 0; k < 2; ++k) {
    sum[k] = warp_all_reduce(sum[k], Sum{});
    if (threadIdx.x % kWarp == 0) smem.warp[k][threadIdx.x / kWarp] = sum[k];
  }
  __syncthreads();
  if (threadIdx.x > 0) return;
  for (int k = 0; k < 2; ++k) {
    sum[k] = 0;
    for (int w = 0; w < kRunThreads / kWarp; ++w) sum[k] += smem.warp[k][w];
  }
}

/// What is summed over each piece, and then over each stretch of a batch.
struct SumPair {
  double of[2];
};
/// totals[run] = the pieces' sums in order: a warp for each stretch.
static __global__ void join_runs_kernel(const SumPair* __restrict__ pieces, SumPair* __restrict__ totals, RunBatch batch) {
  const int run = static_cast<int>(blockIdx.x) * (kRunThreads / kWarp) + static_cast<int>(threadIdx.x) / kWarp;
  if (run >= batch.count) return;   // the whole warp
  double sum[2] = {};
  for (unsigned p = batch.first_piece[run] + threadIdx.x % kWarp; p < batch.first_piece[run + 1]; p += kWarp)
    for (int k = 0; k < 2; ++k) sum[k] += pieces[p].of[k];
  for (int k = 0; k < 2; ++k) sum[k] = warp_all_reduce(sum[k], Sum{});
  if (threadIdx.x % kWarp == 0) totals[run] = {{sum[0], sum[1]}};
}
inline void join_runs(Cuda be, const SumPair* pieces, SumPair* totals, const RunBatch& batch) {
  launch(join_runs_kernel, {.grid = blocks(batch.count, kRunThreads / kWarp), .block = kRunThreads, .stream = be.stream}, pieces, totals,
         batch);
}
/// The workspace of an optimiser with norms: sums for the pieces of all stretches, then totals for those of one batch after the other.
inline std::size_t run_workspace_bytes(const Run* runs, std::int64_t count) {
  return sizeof(SumPair) * std::size_t(pieces_of(runs, count) + RunBatch::kMost);
}

}   // namespace fovea::kernels
