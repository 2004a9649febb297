// layer_norm_cpu.cpp: layer normalisation at the speed of memory. A row is read from memory once and stays in the nearest cache for the
// passes that follow; nothing of it is written but the result.
#include "kernels/layer_norm.h"

#include "kernels/cpu/column_tiles.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/rows.h"

namespace fovea::kernels {

template <class T> struct LayerNormFunctions {
  void (*forward)(const T*, const float*, const float*, double, T*, float*, float*, RowShape);
  void (*backward)(const LayerNormGradient<T>&, RowShape, float*);
};
struct LayerNormTable {
  std::size_t (*workspace_bytes)(RowShape);
  LayerNormFunctions<float> f32;
  LayerNormFunctions<bfloat16> bf16;
};
FOVEA_ISA_TABLES(LayerNormTable, layer_norm_table)

namespace FOVEA_ISA {
namespace {

/// Mean and M2 = sum (x - mean)^2 of a row in two passes. The float mean m misses the true one by delta = 1/n sum (x - m), which the second
/// pass finds; then M2 = sum (x - m)^2 - n delta^2: Chan, Golub & LeVeque 1983, Eq. (1.7). x - m is nearly exact, so x - m - delta
/// keeps its digits even when the mean is a thousand deviations.
struct RowStatistics {
  float m, delta, m2;
};
template <class T> FOVEA_INLINE RowStatistics row_statistics(const T* x, std::int64_t n) {
  const float share = 1.f / float(n);
  const float m = share * row_sum(n, [&](std::int64_t j, std::int64_t lanes) FOVEA_LANES_INLINE { return load(x + j, lanes); });
  F16 deviations, squares;
  const F16 mean(m);
  for_lanes(n, [&](std::int64_t j, std::int64_t lanes) FOVEA_LANES_INLINE {
    const F16 d = load(x + j, lanes, m) - mean;   // 0 past the end
    deviations = deviations + d;
    squares = fma(d, d, squares);
  });
  const float total = sum(deviations), delta = share * total, m2 = sum(squares) - total * delta;
  return {.m = m, .delta = delta, .m2 = m2 < 0.f ? 0.f : m2};   // a NaN stays
}

/// Short rows that take turns: what one waits for (the sums of its lanes, a square root) is hidden behind the others.
constexpr std::int64_t kRows = 4;

template <class T>
void forward(const T* x, const float* gamma, const float* beta, double eps, T* y, float* mean, float* inv_std, RowShape s) {
  const std::int64_t turns = s.cols < 256 ? kRows : 1;
  const bool streamed = streams(y, s.rows * s.cols, s.cols) && y != x;
  parallel_ranges(s.rows, max(1, kGrain / max(1, s.cols)), [&](std::int64_t begin, std::int64_t count) {
    for (std::int64_t first = begin; first < begin + count; first += turns) {
      const std::int64_t rows = min(turns, begin + count - first);
      RowStatistics of[kRows];
      float inverse[kRows];
      for (std::int64_t k = 0; k < rows; ++k) of[k] = row_statistics(x + (first + k) * s.cols, s.cols);
      for (std::int64_t k = 0; k < rows; ++k) inverse[k] = float(1 / __builtin_sqrt(double(of[k].m2) / double(s.cols) + eps));
      for (std::int64_t k = 0; k < rows; ++k) {
        const std::int64_t r = first + k;
        const T* row = x + r * s.cols;
        T* out = y + r * s.cols;
        const F16 m(of[k].m), slope(inverse[k]), offset(-of[k].delta * inverse[k]);
        for_lanes(s.cols, [&](std::int64_t j, std::int64_t lanes) FOVEA_LANES_INLINE {
          F16 z = fma(load(row + j, lanes) - m, slope, offset);
          if (gamma) z = load(gamma + j, lanes) * z;
          if (beta) z = z + load(beta + j, lanes);
          store(out + j, lanes, z, streamed);
        });
        if (mean) mean[r] = of[k].m + of[k].delta;
        if (inv_std) inv_std[r] = inverse[k];
      }
    }
    stream_fence(streamed);
  });
}

/// Rows whose contributions to dgamma and dbeta are summed in one place, in order, in float: at least 64, so that the partial sums are few
/// beside x and dy, and at most 512, for short chains.
FOVEA_INLINE std::int64_t tile_rows(RowShape s) { return max(64, min(512, kGrain / max(1, s.cols))); }

/// (tiles, 2, cols): sums of dy x^ and of dy.
std::size_t workspace_bytes(RowShape s) { return sizeof(float) * std::size_t(ceil_div(s.rows, tile_rows(s)) * 2 * s.cols); }

/// dx of a row: two passes over it, the second from cache. offset, slope: the means of g = gamma dy and of g x^.
template <class T> FOVEA_INLINE void row_gradient(const LayerNormGradient<T>& a, std::int64_t r, std::int64_t cols, bool streamed) {
  const T *x = a.x + r * cols, *dy = a.dy + r * cols;
  T* dx = a.dx + r * cols;
  const F16 mean(a.mean[r]), inv_std(a.inv_std[r]);
  F16 g_sum, gx_sum;
  for_lanes(cols, [&](std::int64_t j, std::int64_t lanes) FOVEA_LANES_INLINE {
    F16 g = load(dy + j, lanes);
    if (a.gamma) g = load(a.gamma + j, lanes) * g;
    g_sum = g_sum + g;
    gx_sum = fma(g, load(x + j, lanes) - mean, gx_sum);
  });
  const float n = float(cols);
  const F16 offset(sum(g_sum) / n), slope(sum(gx_sum) * a.inv_std[r] / n);
  for_lanes(cols, [&](std::int64_t j, std::int64_t lanes) FOVEA_LANES_INLINE {
    F16 g = load(dy + j, lanes);
    if (a.gamma) g = load(a.gamma + j, lanes) * g;
    const F16 gradient = inv_std * (g - fma((load(x + j, lanes) - mean) * inv_std, slope, offset));
    store(dx + j, lanes, a.accumulate_dx ? load(dx + j, lanes) + gradient : gradient, streamed);
  });
}

/// The share of some rows in dgamma and dbeta, added to sum_gx and sum_g.
template <int Rows, class T>
FOVEA_INLINE void add_rows(const LayerNormGradient<T>& a, std::int64_t first, std::int64_t cols, float* sum_gx, float* sum_g) {
  const T *x = a.x + first * cols, *dy = a.dy + first * cols;
  F16 mean[Rows], inv_std[Rows];
  for (int r = 0; r < Rows; ++r) mean[r] = F16(a.mean[first + r]), inv_std[r] = F16(a.inv_std[first + r]);
  for_lanes(cols, [&](std::int64_t j, std::int64_t lanes) FOVEA_LANES_INLINE {
    F16 gx = load(sum_gx + j, lanes), g = load(sum_g + j, lanes);
    for (int r = 0; r < Rows; ++r) {
      const F16 d = load(dy + r * cols + j, lanes);
      gx = fma(d, (load(x + r * cols + j, lanes) - mean[r]) * inv_std[r], gx);
      g = d + g;
    }
    store(sum_gx + j, lanes, gx), store(sum_g + j, lanes, g);
  });
}

constexpr int kTogether = 2;   // rows whose shares are added at once, so that each sum is loaded and stored half as often

/// x and dy come from memory once: a row or two, which are in cache for all that is done with them. (Four took longer than two: reading no longer
/// goes on while dx is written.)
template <class T> void backward(const LayerNormGradient<T>& a, RowShape s, float* partials) {
  const bool parameters = a.dgamma || a.dbeta, in_place = a.dx == a.dy || a.dx == a.x;
  const bool streamed = streams(a.dx, s.rows * s.cols, s.cols) && !a.accumulate_dx && !in_place;
  parallel_ranges(s.rows, tile_rows(s), [&](std::int64_t first, std::int64_t count) {
    float *sum_gx = partials + first / tile_rows(s) * 2 * s.cols, *sum_g = sum_gx + s.cols;   // of this tile
    for (std::int64_t j = 0; j < 2 * s.cols && parameters; ++j) sum_gx[j] = 0.f;
    const std::int64_t together = in_place ? 1 : kTogether;
    for (std::int64_t r = first; r < first + count; r += together) {
      const std::int64_t rows = min(together, first + count - r);
      for (std::int64_t k = 0; k < rows - 1 && a.dx; ++k) row_gradient(a, r + k, s.cols, streamed);
      if (parameters && rows == kTogether)   // before the last one: dx may be dy
        add_rows<kTogether>(a, r, s.cols, sum_gx, sum_g);
      else
        for (std::int64_t k = 0; k < rows && parameters; ++k) add_rows<1>(a, r + k, s.cols, sum_gx, sum_g);
      if (a.dx) row_gradient(a, r + rows - 1, s.cols, streamed);
    }
    stream_fence(streamed);
  });
  if (!parameters) return;
  join_tiles(partials, ceil_div(s.rows, tile_rows(s)), 2 * s.cols, [&](std::int64_t i, double sum) {
    float* target = i < s.cols ? a.dgamma : a.dbeta;
    const bool accumulate = i < s.cols ? a.accumulate_dgamma : a.accumulate_dbeta;
    const std::int64_t j = i < s.cols ? i : i - s.cols;
    if (target) target[j] = float((accumulate ? target[j] : 0.f) + sum);
  });
}

template <class T> constexpr LayerNormFunctions<T> functions{forward<T>, backward<T>};

}   // namespace
const LayerNormTable layer_norm_table{workspace_bytes, functions<float>, functions<bfloat16>};
}   // namespace FOVEA_ISA

#ifdef FOVEA_BASELINE
template <class T>
void layer_norm_forward(Cpu, const T* x, const acc_t<T>* gamma, const acc_t<T>* beta, double eps, T* y, acc_t<T>* mean, acc_t<T>* inv_std,
                        RowShape s) {
  for_type<T>(layer_norm_table()).forward(x, gamma, beta, eps, y, mean, inv_std, s);
}
template <class T> std::size_t layer_norm_workspace_bytes(Cpu, RowShape s) { return layer_norm_table().workspace_bytes(s); }
template <class T> void layer_norm_backward(Cpu, const LayerNormGradient<T>& a, RowShape s, void* workspace) {
  for_type<T>(layer_norm_table()).backward(a, s, static_cast<float*>(workspace));
}

#define FOVEA_INSTANTIATE(T)                                                                                         \
  template void layer_norm_forward(Cpu, const T*, const float*, const float*, double, T*, float*, float*, RowShape); \
  template std::size_t layer_norm_workspace_bytes<T>(Cpu, RowShape);                                                 \
  template void layer_norm_backward(Cpu, const LayerNormGradient<T>&, RowShape, void*);
FOVEA_INSTANTIATE(float)
FOVEA_INSTANTIATE(bfloat16)
#undef FOVEA_INSTANTIATE
#endif

}   // namespace fovea::kernels
