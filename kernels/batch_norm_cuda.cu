// batch_norm_cuda.cu: batch normalisation at the speed of memory, channels last. A thread keeps 16 bytes of channels, whose parameters it
// holds in registers, and walks down the rows; the threads below one another are joined through shared memory, the tiles of rows in order by
// a second kernel. No atomics: the bits depend on the shape alone.
//
//   statistics   4 B an element of float (x): mean and M2 of each kStatRows rows, then their merge. 3 flops an element
//   apply        8 B (x, y), 12 B with a residual
//   backward     8 B for the two sums (x, dy), then 12 B (x, dy, dx); the activation's argument is computed again, not stored
//
// Welford-like care at the price of plain sums: deviations from the tile's first row (Chan, Golub & LeVeque 1983, "shifted data"), so that
// nothing cancels when the mean is a thousand deviations; see cpu/statistics.h for what that costs.
#include "kernels/batch_norm.h"

#include "kernels/cuda_join.h"
#include "kernels/cuda_lanes.h"

namespace fovea::kernels {
namespace {

constexpr int kRowsEach = 8;   // rows of a thread that only applies
constexpr int kMergeDown = 8;
constexpr std::int64_t kRun = 64;   // tiles that the first step of a merge joins

std::int64_t merge_runs(ChannelShape s) { return max_of(1, ceil_div(stat_tiles(s.rows), kRun)); }

template <int V> struct TwoSums { ColumnSmem<V> first, second; };

/// partials (stat_tiles, 2, channels): a block for each tile.
template <class T, int V>
__global__ void batch_norm_partials_kernel(const T* __restrict__ x, float* __restrict__ partials, ChannelShape s,
                                           std::int64_t column_blocks) {
  TwoSums<V>& smem = shared_memory<TwoSums<V>>();
  const ColumnPlace at(column_blocks, V);
  const std::int64_t first = at.block * kStatRows, rows = min_of(kStatRows, s.rows - first);
  x += first * s.channels + at.column;
  Lanes<V> x0{}, sum{}, squares{};
  if (at.column < s.channels) {
    x0 = load_lanes<V>(x);
    for (std::int64_t r = threadIdx.y; r < rows; r += blockDim.y) {
      const Lanes<V> v = load_lanes<V>(x + r * s.channels);
      FOVEA_UNROLL for (int i = 0; i < V; ++i) {
        const float d = v[i] - x0[i];
        sum[i] += d;
        squares[i] = fmaf(d, d, squares[i]);
      }
    }
  }
  sum = sum_down(sum, smem.first);
  squares = sum_down(squares, smem.second);
  if (threadIdx.y > 0 || at.column >= s.channels) return;
  Lanes<V> mean, m2;
  FOVEA_UNROLL for (int i = 0; i < V; ++i) {
    const float delta = sum[i] / float(rows), rest = squares[i] - sum[i] * delta;
    mean[i] = x0[i] + delta;
    m2[i] = rest < 0 ? 0.f : rest;   // a NaN stays
  }
  store_lanes(partials + at.block * 2 * s.channels + at.column, mean);
  store_lanes(partials + (at.block * 2 + 1) * s.channels + at.column, m2);
}

struct MergeSmem {
  double mean[kMergeDown][kWarp], m2[kMergeDown][kWarp];
};

/// The sum of the eight threads of a column, in order, in all of them.
__device__ double sum_of_column(double mine, double (&smem)[kMergeDown][kWarp]) {
  smem[threadIdx.y][threadIdx.x] = mine;
  __syncthreads();
  double sum = 0;
  for (int y = 0; y < kMergeDown; ++y) sum += smem[y][threadIdx.x];
  return sum;
}

/// Sets of `set_rows` values each (the last has what is left of s.rows), given as mean and M2, run by run of `run` sets: with n = sum n_i,
/// mean = sum n_i mean_i / n and M2 = sum M2_i + n_i (mean_i - mean)^2, which is Chan, Golub & LeVeque's merge of all at once.
/// To out (runs, 2, channels), or where there is but one run to mean and variance.
template <class In>
__global__ void batch_norm_merge_kernel(const In* __restrict__ sets, std::int64_t count, std::int64_t set_rows, std::int64_t run,
                                        double* __restrict__ out, float* __restrict__ mean, float* __restrict__ variance, ChannelShape s) {
  MergeSmem& smem = shared_memory<MergeSmem>();
  const unsigned across = static_cast<unsigned>(ceil_div(s.channels, kWarp));
  const std::int64_t block = blockIdx.x / across, c = blockIdx.x % across * std::int64_t{kWarp} + threadIdx.x;
  const std::int64_t first = block * run, end = c < s.channels ? min_of(count, first + run) : 0;
  const auto rows_from = [&](std::int64_t i, std::int64_t rows) { return double(min_of(rows, s.rows - i * set_rows)); };
  const double n = rows_from(first, run * set_rows);
  double sum = 0, m2 = 0;
  for (std::int64_t i = first + threadIdx.y; i < end; i += kMergeDown) sum += rows_from(i, set_rows) * double(sets[i * 2 * s.channels + c]);
  const double joint = sum_of_column(sum, smem.mean) / n;
  for (std::int64_t i = first + threadIdx.y; i < end; i += kMergeDown) {
    const double d = double(sets[i * 2 * s.channels + c]) - joint;
    m2 += double(sets[(i * 2 + 1) * s.channels + c]) + rows_from(i, set_rows) * d * d;
  }
  m2 = sum_of_column(m2, smem.m2);
  if (threadIdx.y > 0 || c >= s.channels) return;
  if (out) {
    out[block * 2 * s.channels + c] = joint;
    out[(block * 2 + 1) * s.channels + c] = m2;
  } else {
    mean[c] = float(joint);
    variance[c] = float(m2 / double(s.rows));
  }
}

template <class T, int V>
__global__ void scale_shift_kernel(const T* x, const T* residual, const float* __restrict__ scale, const float* __restrict__ shift,
                                   Activation a, T* y, ChannelShape s, std::int64_t column_blocks) {
  const ColumnPlace at(column_blocks, V);
  if (at.column >= s.channels) return;
  const Lanes<V> slope = load_lanes<V>(scale + at.column), offset = load_lanes<V>(shift + at.column);
  const std::int64_t block_rows = kRowsEach * blockDim.y, first = at.block * block_rows;
  for (std::int64_t r = first + threadIdx.y; r < min_of(s.rows, first + block_rows); r += blockDim.y) {
    const std::int64_t i = r * s.channels + at.column;
    Lanes<V> z = load_lanes<V>(x + i);
    FOVEA_UNROLL for (int k = 0; k < V; ++k) z[k] = fmaf(slope[k], z[k], offset[k]);
    if (residual) {
      const Lanes<V> more = load_lanes<V>(residual + i);
      FOVEA_UNROLL for (int k = 0; k < V; ++k) z[k] += more[k];
    }
    FOVEA_UNROLL for (int k = 0; k < V; ++k) z[k] = activate(a, z[k]);
    store_lanes(y + i, z);
  }
}

/// g = act'(scale x + shift + residual) dy for a thread's channels. x is looked at only if there is an activation.
template <class T, int V> struct BehindActivation {
  const BatchNormGradient<T>& a;
  Lanes<V> scale, shift;
  __device__ __forceinline__ BehindActivation(const BatchNormGradient<T>& g, std::int64_t column)
      : a(g), scale(load_lanes<V>(g.scale + column)), shift(load_lanes<V>(g.shift + column)) {}
  __device__ __forceinline__ Lanes<V> operator()(std::int64_t i, const Lanes<V>& x) const {
    Lanes<V> g = load_lanes<V>(a.dy + i);
    if (a.activation == Activation::none) return g;
    Lanes<V> residual{};
    if (a.residual) residual = load_lanes<V>(a.residual + i);
    FOVEA_UNROLL for (int k = 0; k < V; ++k) g[k] = activate_gradient(a.activation, fmaf(scale[k], x[k], shift[k]) + residual[k], g[k]);
    return g;
  }
};

/// Rows whose gradients are summed in one place, in float: 128 at least, and at most 1024 tiles where that allows it.
std::int64_t tile_rows(ChannelShape s) { return max_of(128, ceil_div(s.rows, 1024)); }
std::int64_t row_tiles(ChannelShape s) { return ceil_div(s.rows, tile_rows(s)); }

/// The first pass: partials (tiles, 2, channels) of sum g and sum g (x - mean).
template <class T, int V>
__global__ void batch_norm_gradient_sums_kernel(BatchNormGradient<T> a, ChannelShape s, std::int64_t rows_of_tile, float* partials,
                                                std::int64_t column_blocks) {
  TwoSums<V>& smem = shared_memory<TwoSums<V>>();
  const ColumnPlace at(column_blocks, V);
  Lanes<V> sum_g{}, sum_gx{};
  if (at.column < s.channels) {
    const Lanes<V> mean = load_lanes<V>(a.mean + at.column);
    const BehindActivation<T, V> behind(a, at.column);
    const std::int64_t first = at.block * rows_of_tile, end = min_of(s.rows, first + rows_of_tile);
    for (std::int64_t r = first + threadIdx.y; r < end; r += blockDim.y) {
      const std::int64_t i = r * s.channels + at.column;
      const Lanes<V> x = load_lanes<V>(a.x + i), g = behind(i, x);
      FOVEA_UNROLL for (int k = 0; k < V; ++k) {
        sum_g[k] += g[k];
        sum_gx[k] = fmaf(g[k], x[k] - mean[k], sum_gx[k]);
      }
    }
  }
  sum_g = sum_down(sum_g, smem.first);
  sum_gx = sum_down(sum_gx, smem.second);
  if (threadIdx.y > 0 || at.column >= s.channels) return;
  store_lanes(partials + at.block * 2 * s.channels + at.column, sum_g);
  store_lanes(partials + (at.block * 2 + 1) * s.channels + at.column, sum_gx);
}

/// Between the passes: dgamma, dbeta, and the two numbers a channel that the second needs, offset = dbeta / rows and
/// slope = inv_std dgamma / rows.
struct FinishGradientSums {
  const float* inv_std;
  float *dgamma, *dbeta, *offset, *slope;
  bool accumulate_dgamma, accumulate_dbeta;
  ChannelShape s;
  __device__ void operator()(std::int64_t i, double sum) const {
    const bool of_gamma = i >= s.channels;
    const std::int64_t c = of_gamma ? i - s.channels : i;
    const double gradient = of_gamma ? sum * double(inv_std[c]) : sum;
    float* target = of_gamma ? dgamma : dbeta;
    const bool accumulate = of_gamma ? accumulate_dgamma : accumulate_dbeta;
    if (target) target[c] = float((accumulate ? double(target[c]) : 0.) + gradient);
    (of_gamma ? slope : offset)[c] = float((of_gamma ? gradient * double(inv_std[c]) : gradient) / double(s.rows));
  }
};

/// The second pass: dresidual = g,  dx = scale (g - offset - (x - mean) slope). Both are computed before either is written: dy may be
/// one of the two.
template <class T, int V>
__global__ void batch_norm_gradient_kernel(BatchNormGradient<T> a, ChannelShape s, const float* offset_of, const float* slope_of,
                                           std::int64_t column_blocks) {
  const ColumnPlace at(column_blocks, V);
  if (at.column >= s.channels) return;
  const BehindActivation<T, V> behind(a, at.column);
  Lanes<V> mean{}, offset{}, slope{};
  if (a.batch_statistics && a.dx) {
    mean = load_lanes<V>(a.mean + at.column);
    offset = load_lanes<V>(offset_of + at.column);
    slope = load_lanes<V>(slope_of + at.column);
  }
  const std::int64_t block_rows = kRowsEach * blockDim.y, first = at.block * block_rows;
  for (std::int64_t r = first + threadIdx.y; r < min_of(s.rows, first + block_rows); r += blockDim.y) {
    const std::int64_t i = r * s.channels + at.column;
    Lanes<V> x{};
    if (a.batch_statistics || a.activation != Activation::none) x = load_lanes<V>(a.x + i);
    const Lanes<V> g = behind(i, x);
    if (a.dx) {
      Lanes<V> dx = g;
      if (a.batch_statistics) {
        FOVEA_UNROLL for (int k = 0; k < V; ++k) dx[k] = fmaf(mean[k] - x[k], slope[k], g[k] - offset[k]);
      }
      FOVEA_UNROLL for (int k = 0; k < V; ++k) dx[k] *= behind.scale[k];
      store_or_add(a.dx + i, dx, a.accumulate_dx);
    }
    if (a.dresidual) store_or_add(a.dresidual + i, g, a.accumulate_dresidual);
  }
}

__global__ void affine_kernel(BatchNormAffine<float> a, ChannelShape s) {
  const std::int64_t c = blockIdx.x * std::int64_t{kWarp} + threadIdx.x;
  if (c < s.channels) a.channel(c, s.rows);
}

}   // namespace

std::size_t batch_norm_merge_workspace_bytes(Cuda, ChannelShape s) {   // mean and M2 of each run, in double
  return sizeof(double) * static_cast<std::size_t>(merge_runs(s) * 2 * s.channels);
}
template <class T> std::size_t batch_norm_workspace_bytes(Cuda be, ChannelShape s) {
  const std::size_t row = sizeof(float) * static_cast<std::size_t>(s.channels);
  const std::size_t statistics = static_cast<std::size_t>(stat_tiles(s.rows)) * 2 * row + batch_norm_merge_workspace_bytes(be, s);
  const std::size_t backward = static_cast<std::size_t>(row_tiles(s) * 2 + 2) * row;   // partials, offset and slope
  return statistics > backward ? statistics : backward;
}

template <class T> void batch_norm_partials(Cuda be, const T* x, float* partials, ChannelShape s) {
  if (s.rows == 0 || s.channels == 0) return;
  with_width<T>(moves_wide<T>(s.channels, x, partials), [&](auto v) {
    constexpr int V = decltype(v)::value;
    const ColumnGrid g(s.channels, V);
    launch(batch_norm_partials_kernel<T, V>, g.over(be, stat_tiles(s.rows), sizeof(TwoSums<V>)), x, partials, s, g.column_blocks);
  });
}

template <> void batch_norm_merge(Cuda be, const float* partials, float* mean, float* variance, ChannelShape s, void* workspace) {
  if (s.channels == 0) return;
  const std::int64_t tiles = stat_tiles(s.rows), runs = merge_runs(s), across = ceil_div(s.channels, kWarp);
  const auto shape = [&](std::int64_t n) {
    return LaunchShape{.grid = blocks(n * across, 1), .block = {kWarp, kMergeDown}, .smem = sizeof(MergeSmem), .stream = be.stream};
  };
  double* const of_runs = static_cast<double*>(workspace);
  if (runs == 1) {
    launch(batch_norm_merge_kernel<float>, shape(1), partials, tiles, kStatRows, kRun, static_cast<double*>(nullptr), mean, variance, s);
    return;
  }
  launch(batch_norm_merge_kernel<float>, shape(runs), partials, tiles, kStatRows, kRun, of_runs, mean, variance, s);
  launch(batch_norm_merge_kernel<double>, shape(1), of_runs, runs, kRun * kStatRows, runs, static_cast<double*>(nullptr), mean, variance,
         s);
}

template <> void batch_norm_affine(Cuda be, const BatchNormAffine<float>& a, ChannelShape s) {
  if (s.channels > 0) launch(affine_kernel, {.grid = blocks(s.channels, kWarp), .block = kWarp, .stream = be.stream}, a, s);
}

template <class T> void batch_norm_statistics(Cuda be, const T* x, acc_t<T>* mean, acc_t<T>* variance, ChannelShape s, void* workspace) {
  float* partials = static_cast<float*>(workspace);
  batch_norm_partials(be, x, partials, s);
  batch_norm_merge(be, partials, mean, variance, s, partials + stat_tiles(s.rows) * 2 * s.channels);
}

template <class T>
void scale_shift(Cuda be, const T* x, const T* residual, const acc_t<T>* scale, const acc_t<T>* shift, Activation a, T* y, ChannelShape s) {
  if (s.rows == 0 || s.channels == 0) return;
  with_width<T>(moves_wide<T>(s.channels, x, residual, scale, shift, y), [&](auto v) {
    constexpr int V = decltype(v)::value;
    const ColumnGrid g(s.channels, V);
    launch(scale_shift_kernel<T, V>, g.over(be, ceil_div(s.rows, kRowsEach * g.down)), x, residual, scale, shift, a, y, s, g.column_blocks);
  });
}

template <class T> void batch_norm_backward(Cuda be, const BatchNormGradient<T>& a, ChannelShape s, void* workspace) {
  if (s.channels == 0) return;
  float* partials = static_cast<float*>(workspace);
  const std::int64_t tiles = row_tiles(s);
  float *offset = partials + tiles * 2 * s.channels, *slope = offset + s.channels;
  const bool wide = moves_wide<T>(s.channels, a.x, a.residual, a.dy, a.mean, a.scale, a.shift, a.dx, a.dresidual, partials);
  with_width<T>(wide, [&](auto v) {
    constexpr int V = decltype(v)::value;
    const ColumnGrid g(s.channels, V);
    if ((a.batch_statistics && a.dx) || a.dgamma || a.dbeta) {
      if (s.rows > 0)
        launch(batch_norm_gradient_sums_kernel<T, V>, g.over(be, tiles, sizeof(TwoSums<V>)), a, s, tile_rows(s), partials, g.column_blocks);
      join_tiles(be, partials, {1, tiles, 2 * s.channels},
                 FinishGradientSums{a.inv_std, a.dgamma, a.dbeta, offset, slope, a.accumulate_dgamma, a.accumulate_dbeta, s});
    }
    if (s.rows > 0 && (a.dx || a.dresidual))
      launch(batch_norm_gradient_kernel<T, V>, g.over(be, ceil_div(s.rows, kRowsEach * g.down)), a, s, offset, slope, g.column_blocks);
  });
}

#define FOVEA_INSTANTIATE(T)                                                                                     \
  template std::size_t batch_norm_workspace_bytes<T>(Cuda, ChannelShape);                                        \
  template void batch_norm_partials(Cuda, const T*, float*, ChannelShape);                                       \
  template void batch_norm_statistics(Cuda, const T*, float*, float*, ChannelShape, void*);                      \
  template void scale_shift(Cuda, const T*, const T*, const float*, const float*, Activation, T*, ChannelShape); \
  template void batch_norm_backward(Cuda, const BatchNormGradient<T>&, ChannelShape, void*);
FOVEA_INSTANTIATE(float)
FOVEA_INSTANTIATE(bfloat16)
#undef FOVEA_INSTANTIATE

}   // namespace fovea::kernels
