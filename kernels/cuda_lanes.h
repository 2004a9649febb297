// cuda_lanes.h: neighbouring elements as floats, moved in the widest accesses that their number allows; and how a matrix is cut for kernels
// in which a thread keeps its columns and walks down the rows.
#pragma once

#include "kernels/cuda.h"

namespace fovea::kernels {

/// V neighbours, as floats in registers.
template <int V> struct Lanes {
  float v[V];
  __device__ __forceinline__ float& operator[](int i) { return v[i]; }
  __device__ __forceinline__ const float& operator[](int i) const { return v[i]; }
};
template <int V> __device__ __forceinline__ Lanes<V> all_lanes(float x) {
  Lanes<V> r;
  FOVEA_UNROLL for (int i = 0; i < V; ++i) r[i] = x;
  return r;
}

/// p[0..V): in accesses of 16 bytes if V elements fill them (then p is aligned so), else one by one.
template <int V, class T> __device__ __forceinline__ Lanes<V> load_lanes(const T* p) {
  Lanes<V> r;
  if constexpr (V * sizeof(T) % 16 == 0) {
    FOVEA_UNROLL for (int i = 0; i < V; i += Wide<T>::kSize) {
      const Wide<T> w = load16(p + i);
      FOVEA_UNROLL for (int k = 0; k < Wide<T>::kSize; ++k) r[i + k] = float(w[k]);
    }
  } else {
    FOVEA_UNROLL for (int i = 0; i < V; ++i) r[i] = float(p[i]);
  }
  return r;
}
template <class T, int V> __device__ __forceinline__ void store_lanes(T* p, const Lanes<V>& r) {
  if constexpr (V * sizeof(T) % 16 == 0) {
    FOVEA_UNROLL for (int i = 0; i < V; i += Wide<T>::kSize) {
      Wide<T> w;
      FOVEA_UNROLL for (int k = 0; k < Wide<T>::kSize; ++k) w[k] = T(r[i + k]);
      store16(p + i, w);
    }
  } else {
    FOVEA_UNROLL for (int i = 0; i < V; ++i) p[i] = T(r[i]);
  }
}
/// p = r, or p += r.
template <class T, int V> __device__ __forceinline__ void store_or_add(T* p, Lanes<V> r, bool accumulate) {
  if (accumulate) {
    const Lanes<V> old = load_lanes<V>(p);
    FOVEA_UNROLL for (int i = 0; i < V; ++i) r[i] += old[i];
  }
  store_lanes(p, r);
}

/// May rows of `cols` elements be moved 16 bytes at a time? Each pointer is to the first of them, or null.
template <class T, class... P> bool moves_wide(std::int64_t cols, const P*... rows) {
  return cols % Wide<T>::kSize == 0 && (... && aligned16(rows));
}

/// f(V) as a compile-time number: a vector of T, or 1.
template <class T, class F> void with_width(bool wide, const F& f) {
  if (wide)
    f(std::integral_constant<int, Wide<T>::kSize>{});
  else
    f(std::integral_constant<int, 1>{});
}

// ---- a matrix by its columns -------------------------------------------------------------------------------------------------------------

/// Blocks of kThreads threads over a matrix of `cols` columns: `across` threads side by side, each with V columns, and `down` below
/// one another. Narrow matrices get more rows a block, so that no thread idles for want of columns. Both are powers of two.
struct ColumnGrid {
  static constexpr int kThreads = 256;
  unsigned across = 1, down;
  std::int64_t column_blocks;
  ColumnGrid(std::int64_t cols, int v) {
    const std::int64_t packs = ceil_div(cols, v);
    while (across < kWarp && across < packs) across *= 2;
    down = kThreads / across;
    column_blocks = ceil_div(packs, across);
  }
  /// Block b is row block b / column_blocks and column block b % column_blocks: neighbours in time are neighbours in memory.
  LaunchShape over(Cuda be, std::int64_t row_blocks, std::size_t smem = 0) const {
    return {.grid = blocks(row_blocks * column_blocks, 1), .block = {across, down}, .smem = smem, .stream = be.stream};
  }
};
/// Where this thread stands in a ColumnGrid.
struct ColumnPlace {
  std::int64_t block;    // of rows
  std::int64_t column;   // the first of its V
  __device__ __forceinline__ ColumnPlace(std::int64_t column_blocks, int v)
      : block(blockIdx.x / static_cast<unsigned>(column_blocks)),
        column((blockIdx.x % static_cast<unsigned>(column_blocks) * std::int64_t{blockDim.x} + threadIdx.x) * v) {}
};

/// Element i of a thread's lanes at [i][thread], so that no two threads of a warp meet in a bank.
template <int V> struct ColumnSmem { float v[V][ColumnGrid::kThreads]; };
/// In the threads of row 0: the sum of the threads below one another, halves added to halves. All threads of the block must come.
template <int V> __device__ __forceinline__ Lanes<V> sum_down(Lanes<V> sum, ColumnSmem<V>& smem) {
  const unsigned t = threadIdx.y * blockDim.x + threadIdx.x;
  FOVEA_UNROLL for (int i = 0; i < V; ++i) smem.v[i][t] = sum[i];
  for (unsigned half = blockDim.y / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.y < half) {
      FOVEA_UNROLL for (int i = 0; i < V; ++i) smem.v[i][t] = sum[i] = sum[i] + smem.v[i][t + half * blockDim.x];
    }
  }
  return sum;
}

}   // namespace fovea::kernels
