// layer_norm_cuda.cu: one warp for each row, which it holds in registers: the mean, the deviations from it and the result are three passes
// over a row that is read once. 8 B an element of float must move forward and 12 B backward, and no more do for rows of up to 1024 elements.
//
// The gradients of gamma and beta are sums over rows. A lane meets the same columns in every row, so the warps of a block, which walk
// over a tile of rows, keep their sums in registers next to the row itself; the warps are joined in order through shared memory, the
// tiles in order by a second kernel. Rows that are too long for that, or not a multiple of 16 bytes, are read once more for these sums.
// About 8 flops an element forward and 14 backward: far below what the bytes leave time for. Apex's and Liger's kernels cut the work so.
#include "kernels/layer_norm.h"

#include "kernels/cuda_join.h"
#include "kernels/cuda_lanes.h"

namespace fovea::kernels {
namespace {

constexpr int kMaxHeld = 32;   // elements of a row that a lane keeps where it sums columns, too: 1024 columns

/// A lane's share of a row: packs of V neighbours, every 32nd pack. kPacks of them at most are held in registers; 0: each pass reads again.
template <class T, int V, int kPacks> struct WarpRow {
  const T* row;
  std::int64_t cols;
  Lanes<V> held[kPacks > 0 ? kPacks : 1];

  __device__ __forceinline__ WarpRow(const T* x, std::int64_t n) : row(x), cols(n) {
    FOVEA_UNROLL for (int k = 0; k < kPacks; ++k) if (column(k) < cols) held[k] = load_lanes<V>(row + column(k));
  }
  __device__ __forceinline__ static std::int64_t column(int k) { return (k * kWarp + int(threadIdx.x)) * V; }
  /// Pack k, which begins at this column.
  __device__ __forceinline__ Lanes<V> pack(int k) const {
    if constexpr (kPacks > 0)
      return held[k];
    else
      return load_lanes<V>(row + column(k));
  }
};
/// f(k, column) for each pack that a lane has.
template <int V, int kPacks, class F> __device__ __forceinline__ void for_packs(std::int64_t cols, const F& f) {
  if constexpr (kPacks > 0) {
    FOVEA_UNROLL for (int k = 0; k < kPacks; ++k) {
      const std::int64_t j = (k * kWarp + int(threadIdx.x)) * V;
      if (j < cols) f(k, j);
    }
  } else {
    for (int k = 0;; ++k) {
      const std::int64_t j = (k * std::int64_t{kWarp} + threadIdx.x) * V;
      if (j >= cols) return;
      f(k, j);
    }
  }
}

/// Mean and M2 = sum (x - mean)^2 in two passes. The float mean m misses the true one by delta = 1/n sum (x - m), which the second pass
/// finds; then M2 = sum (x - m)^2 - n delta^2: Chan, Golub & LeVeque 1983, Eq. (1.7). x - m is nearly exact, so x - m - delta keeps its
/// digits even when the mean is a thousand deviations.
template <class T, int V, int kPacks>
__global__ void layer_norm_forward_kernel(const T* x, const float* gamma, const float* beta, float eps, T* y, float* mean, float* inv_std,
                                          RowShape s) {
  const std::int64_t r = row_of_warp();
  if (r >= s.rows) return;
  const WarpRow<T, V, kPacks> row(x + r * s.cols, s.cols);
  y += r * s.cols;
  float sum = 0;
  for_packs<V, kPacks>(s.cols, [&](int k, std::int64_t) {
    const Lanes<V> v = row.pack(k);
    FOVEA_UNROLL for (int i = 0; i < V; ++i) sum += v[i];
  });
  const float share = 1 / float(s.cols), m = share * warp_all_reduce(sum, Sum{});
  float deviations = 0, squares = 0;
  for_packs<V, kPacks>(s.cols, [&](int k, std::int64_t) {
    const Lanes<V> v = row.pack(k);
    FOVEA_UNROLL for (int i = 0; i < V; ++i) {
      const float d = v[i] - m;
      deviations += d;
      squares = fmaf(d, d, squares);
    }
  });
  const float total = warp_all_reduce(deviations, Sum{}), delta = share * total;
  const float m2 = warp_all_reduce(squares, Sum{}) - total * delta;
  const float inverse = 1 / sqrtf(share * (m2 < 0 ? 0.f : m2) + eps);   // a NaN stays
  for_packs<V, kPacks>(s.cols, [&](int k, std::int64_t j) {
    Lanes<V> v = row.pack(k);
    FOVEA_UNROLL for (int i = 0; i < V; ++i) v[i] = fmaf(v[i] - m, inverse, -delta * inverse);
    if (gamma) {
      const Lanes<V> g = load_lanes<V>(gamma + j);
      FOVEA_UNROLL for (int i = 0; i < V; ++i) v[i] *= g[i];
    }
    if (beta) {
      const Lanes<V> b = load_lanes<V>(beta + j);
      FOVEA_UNROLL for (int i = 0; i < V; ++i) v[i] += b[i];
    }
    store_lanes(y + j, v);
  });
  if (threadIdx.x == 0 && mean) mean[r] = m + delta;
  if (threadIdx.x == 0 && inv_std) inv_std[r] = inverse;
}

/// Rows whose share of dgamma and dbeta is summed in one place, in float: 16 at least, and at most 1024 tiles where that allows it.
std::int64_t tile_rows(RowShape s) { return max_of(16, ceil_div(s.rows, 1024)); }
std::int64_t row_tiles(RowShape s) { return ceil_div(s.rows, tile_rows(s)); }

/// A warp's sums on their way to the next warp: element i of pack k of a lane at [k * V + i][lane], which no two lanes' banks share.
struct ColumnSums {
  float gx[kMaxHeld][kWarp], g[kMaxHeld][kWarp];
};

/// dx of a tile of rows, the warps taking turns, and where kSums the tile's sums of dy x^ and of dy, to partials (tiles, 2, cols).
template <class T, int V, int kPacks, bool kSums>
__global__ void layer_norm_backward_kernel(LayerNormGradient<T> a, RowShape s, std::int64_t rows_of_tile, float* partials) {
  static_assert(!kSums || (kPacks > 0 && kPacks * V <= kMaxHeld), "the sums are held");
  Lanes<V> sum_gx[kSums ? kPacks : 1], sum_g[kSums ? kPacks : 1];
  FOVEA_UNROLL for (int k = 0; k < kPacks && kSums; ++k) sum_gx[k] = sum_g[k] = all_lanes<V>(0);

  const std::int64_t end = min_of(s.rows, (blockIdx.x + std::int64_t{1}) * rows_of_tile);
  for (std::int64_t r = blockIdx.x * rows_of_tile + threadIdx.y; r < end; r += kWarpsPerBlock) {
    const WarpRow<T, V, kPacks> x(a.x + r * s.cols, s.cols), dy(a.dy + r * s.cols, s.cols);
    const float mean = a.mean[r], inv_std = a.inv_std[r], n = float(s.cols);
    const auto gradient = [&](int k, std::int64_t j) {   // g = gamma dy
      Lanes<V> g = dy.pack(k);
      if (a.gamma) {
        const Lanes<V> gamma = load_lanes<V>(a.gamma + j);
        FOVEA_UNROLL for (int i = 0; i < V; ++i) g[i] *= gamma[i];
      }
      return g;
    };
    float total_g = 0, total_gx = 0;
    for_packs<V, kPacks>(s.cols, [&](int k, std::int64_t j) {
      const Lanes<V> g = gradient(k, j), v = x.pack(k);
      FOVEA_UNROLL for (int i = 0; i < V; ++i) {
        total_g += g[i];
        total_gx = fmaf(g[i], v[i] - mean, total_gx);
      }
    });
    const float offset = warp_all_reduce(total_g, Sum{}) / n, slope = warp_all_reduce(total_gx, Sum{}) * inv_std / n;
    for_packs<V, kPacks>(s.cols, [&](int k, std::int64_t j) {
      Lanes<V> x_hat = x.pack(k);
      FOVEA_UNROLL for (int i = 0; i < V; ++i) x_hat[i] = (x_hat[i] - mean) * inv_std;
      if constexpr (kSums) {
        const Lanes<V> d = dy.pack(k);
        FOVEA_UNROLL for (int i = 0; i < V; ++i) {
          sum_gx[k][i] = fmaf(d[i], x_hat[i], sum_gx[k][i]);
          sum_g[k][i] += d[i];
        }
      }
      if (a.dx) {
        Lanes<V> g = gradient(k, j);
        FOVEA_UNROLL for (int i = 0; i < V; ++i) g[i] = inv_std * (g[i] - fmaf(x_hat[i], slope, offset));
        store_or_add(a.dx + r * s.cols + j, g, a.accumulate_dx);
      }
    });
  }

  if constexpr (kSums) {
    ColumnSums& smem = shared_memory<ColumnSums>();
    float* out = partials + blockIdx.x * 2 * s.cols;
    for (int warp = 0; warp < kWarpsPerBlock; ++warp) {   // warp after warp adds its own; the last one writes
      if (warp == int(threadIdx.y))
        for_packs<V, kPacks>(s.cols, [&](int k, std::int64_t j) {
          FOVEA_UNROLL for (int i = 0; i < V; ++i) {
            float &gx = smem.gx[k * V + i][threadIdx.x], &g = smem.g[k * V + i][threadIdx.x];
            if (warp > 0) sum_gx[k][i] += gx, sum_g[k][i] += g;
            if (warp < kWarpsPerBlock - 1) gx = sum_gx[k][i], g = sum_g[k][i];
          }
          if (warp == kWarpsPerBlock - 1) {
            store_lanes(out + j, sum_gx[k]);
            store_lanes(out + s.cols + j, sum_g[k]);
          }
        });
      __syncthreads();
    }
  }
}

/// The sums of a tile alone, for rows that no warp holds: each thread has V columns, and walks down the rows.
template <class T, int V>
__global__ void layer_norm_column_sums_kernel(LayerNormGradient<T> a, RowShape s, std::int64_t rows_of_tile, float* partials,
                                              std::int64_t column_blocks) {
  ColumnSmem<V>& smem = shared_memory<ColumnSmem<V>>();
  const ColumnPlace at(column_blocks, V);
  const std::int64_t end = at.column < s.cols ? min_of(s.rows, (at.block + 1) * rows_of_tile) : 0;
  Lanes<V> gx = all_lanes<V>(0), g = gx;
  for (std::int64_t r = at.block * rows_of_tile + threadIdx.y; r < end; r += blockDim.y) {
    const Lanes<V> dy = load_lanes<V>(a.dy + r * s.cols + at.column), x = load_lanes<V>(a.x + r * s.cols + at.column);
    const float mean = a.mean[r], inv_std = a.inv_std[r];
    FOVEA_UNROLL for (int i = 0; i < V; ++i) {
      gx[i] = fmaf(dy[i], (x[i] - mean) * inv_std, gx[i]);
      g[i] += dy[i];
    }
  }
  gx = sum_down(gx, smem);
  __syncthreads();
  g = sum_down(g, smem);
  if (threadIdx.y > 0 || at.column >= s.cols) return;
  store_lanes(partials + at.block * 2 * s.cols + at.column, gx);
  store_lanes(partials + (at.block * 2 + 1) * s.cols + at.column, g);
}

/// From the columns of partials (tiles, 2, cols) to dgamma and dbeta.
struct FinishParameters {
  float *dgamma, *dbeta;
  bool accumulate_dgamma, accumulate_dbeta;
  std::int64_t cols;
  __device__ void operator()(std::int64_t i, double sum) const {
    float* target = i < cols ? dgamma : dbeta;
    const bool accumulate = i < cols ? accumulate_dgamma : accumulate_dbeta;
    const std::int64_t j = i < cols ? i : i - cols;
    if (target) target[j] = float((accumulate ? double(target[j]) : 0.) + sum);
  }
};

/// f(V, packs) as compile-time numbers: how a warp reads rows of `cols` elements.
template <class T, class F> void with_row_cut(std::int64_t cols, bool wide, const F& f) {
  constexpr int kWide = Wide<T>::kSize;
  const std::int64_t packs = ceil_div(cols, kWide * kWarp);   // a lane's
  if (!wide) return f(std::integral_constant<int, 1>{}, std::integral_constant<int, 0>{});
  if (packs <= 1) return f(std::integral_constant<int, kWide>{}, std::integral_constant<int, 1>{});
  if (packs <= kMaxHeld / kWide / 2) return f(std::integral_constant<int, kWide>{}, std::integral_constant<int, kMaxHeld / kWide / 2>{});
  if (packs <= kMaxHeld / kWide) return f(std::integral_constant<int, kWide>{}, std::integral_constant<int, kMaxHeld / kWide>{});
  f(std::integral_constant<int, kWide>{}, std::integral_constant<int, 0>{});
}

}   // namespace

template <class T>
void layer_norm_forward(Cuda be, const T* x, const acc_t<T>* gamma, const acc_t<T>* beta, double eps, T* y, acc_t<T>* mean,
                        acc_t<T>* inv_std, RowShape s) {
  if (s.rows == 0) return;
  with_row_cut<T>(s.cols, moves_wide<T>(s.cols, x, y, gamma, beta), [&](auto v, auto packs) {
    launch(layer_norm_forward_kernel<T, decltype(v)::value, decltype(packs)::value>, warp_for_each_row(be, s.rows), x, gamma, beta,
           float(eps), y, mean, inv_std, s);
  });
}

/// (tiles, 2, cols): sums of dy x^ and of dy.
template <class T> std::size_t layer_norm_workspace_bytes(Cuda, RowShape s) {
  return sizeof(float) * static_cast<std::size_t>(row_tiles(s) * 2 * s.cols);
}

template <class T> void layer_norm_backward(Cuda be, const LayerNormGradient<T>& a, RowShape s, void* workspace) {
  if (s.cols == 0) return;
  float* partials = static_cast<float*>(workspace);
  const bool parameters = a.dgamma || a.dbeta;
  const std::int64_t tiles = row_tiles(s);
  const LaunchShape by_tile{.grid = blocks(tiles, 1), .block = {kWarp, kWarpsPerBlock}, .stream = be.stream};
  if (s.rows > 0)
    with_row_cut<T>(s.cols, moves_wide<T>(s.cols, a.x, a.dy, a.dx, a.gamma, partials), [&](auto v, auto packs) {
      constexpr int kV = decltype(v)::value, kPacks = decltype(packs)::value;
      if constexpr (kPacks > 0) {
        if (parameters) {
          LaunchShape with_sums = by_tile;
          with_sums.smem = sizeof(ColumnSums);
          launch(layer_norm_backward_kernel<T, kV, kPacks, true>, with_sums, a, s, tile_rows(s), partials);
          return;
        }
      } else if (parameters) {   // first: dx may be dy
        const ColumnGrid columns(s.cols, kV);
        launch(layer_norm_column_sums_kernel<T, kV>, columns.over(be, tiles, sizeof(ColumnSmem<kV>)), a, s, tile_rows(s), partials,
               columns.column_blocks);
      }
      if (a.dx) launch(layer_norm_backward_kernel<T, kV, kPacks, false>, by_tile, a, s, tile_rows(s), partials);
    });
  if (parameters)
    join_tiles(be, partials, {1, tiles, 2 * s.cols}, FinishParameters{a.dgamma, a.dbeta, a.accumulate_dgamma, a.accumulate_dbeta, s.cols});
}

#define FOVEA_INSTANTIATE(T)                                                                                          \
  template void layer_norm_forward(Cuda, const T*, const float*, const float*, double, T*, float*, float*, RowShape); \
  template std::size_t layer_norm_workspace_bytes<T>(Cuda, RowShape);                                                 \
  template void layer_norm_backward(Cuda, const LayerNormGradient<T>&, RowShape, void*);
FOVEA_INSTANTIATE(float)
FOVEA_INSTANTIATE(bfloat16)
#undef FOVEA_INSTANTIATE

}   // namespace fovea::kernels
