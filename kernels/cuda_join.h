// cuda_join.h: the second half of a sum that is cut in tiles: each tile has left its result, in float, and here they are added in order, in
// double. A block takes neighbouring outputs side by side and gives each a column of threads; a thread adds a run of tiles, four or more where
// outputs are many, and the runs meet in a tree. The cut comes from the shape alone, and so do the bits.
#pragma once

#include "kernels/cuda_rows.h"
#include "kernels/reduce.h"

namespace fovea::kernels {

constexpr int kJoinThreads = 256;
struct JoinSmem {
  double sum[kJoinThreads];
};

/// finish(k, sum over the tiles of output k = o * inner + i), from partials (outer, axis: tiles, inner), by 2^shift threads side by side.
template <class Finish> __global__ void join_tiles_kernel(const float* __restrict__ partials, AxisShape s, int shift, Finish finish) {
  JoinSmem& smem = shared_memory<JoinSmem>();
  const int t = int(threadIdx.x), across = t & ((1 << shift) - 1), down = t >> shift, runs = kJoinThreads >> shift;
  const std::int64_t k = (std::int64_t{blockIdx.x} << shift) + across;
  const bool exists = k < s.outer * s.inner;
  double sum = 0;
  if (exists) {
    std::int64_t i;
    const std::int64_t o = divide(k, s.inner, i), run = ceil_div(s.axis, runs);
    const float* from = partials + o * s.axis * s.inner + i;
    for (std::int64_t tile = down * run; tile < min_of(s.axis, (down + 1) * run); ++tile) sum += double(from[tile * s.inner]);
  }
  smem.sum[t] = sum;
  for (int half = kJoinThreads / 2; half >= 1 << shift; half /= 2) {
    __syncthreads();
    if (t < half) smem.sum[t] = sum = sum + smem.sum[t + half];
  }
  if (down == 0 && exists) finish(k, sum);
}
template <class Finish> void join_tiles(Cuda be, const float* partials, AxisShape s, const Finish& finish) {
  const int down = shift_for(ceil_div(s.axis, 4), 3), across = shift_for(s.outer * s.inner, 8),
            shift = across < 8 - down ? across : 8 - down;
  launch(
      join_tiles_kernel<Finish>,
      {.grid = blocks(s.outer * s.inner, std::int64_t{1} << shift), .block = kJoinThreads, .smem = sizeof(JoinSmem), .stream = be.stream},
      partials, s, shift, finish);
}

/// The usual finish: y[k] = factor * sum, or +=.
template <class T> struct StoreSum {
  T* y;
  bool accumulate;
  float factor = 1;
  __device__ __forceinline__ void operator()(std::int64_t k, double sum) const {
    y[k] = T(static_cast<float>((accumulate ? double(float(y[k])) : 0.) + double(factor) * sum));
  }
};

}   // namespace fovea::kernels
