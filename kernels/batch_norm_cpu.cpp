// batch_norm_cpu.cpp: batch normalisation at the speed of memory. Forward reads x for the statistics (unless a convolution
// left its partials) and once more to write y. Backward reads x and dy for the two sums, and once more to write dx.
#include "kernels/batch_norm.h"

#include "kernels/cpu/column_tiles.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/map.h"
#include "kernels/cpu/math.h"
#include "kernels/cpu/statistics.h"

namespace fovea::kernels {

template <class T> struct BatchNormFunctions {
  void (*partials)(const T*, float*, ChannelShape);
  void (*scale_shift)(const T*, const T*, const float*, const float*, Activation, T*, ChannelShape);
  void (*backward)(const BatchNormGradient<T>&, ChannelShape, float*);
};
struct BatchNormTable {
  std::size_t (*workspace_bytes)(ChannelShape);
  BatchNormFunctions<float> f32;
  BatchNormFunctions<bfloat16> bf16;
};
FOVEA_ISA_TABLES(BatchNormTable, batch_norm_table)

namespace FOVEA_ISA {
namespace {

/// Statistics: partials (stat_tiles, 2, channels). Backward: (tiles, 2, channels) of sum g and sum g (x - mean), then (2, channels).
std::size_t workspace_bytes(ChannelShape s) {
  const std::int64_t tiles = max(stat_tiles(s.rows), ColumnTiles(s.rows, s.channels).tiles() + 1);
  return sizeof(float) * std::size_t(tiles * 2 * s.channels);
}

template <class T> void partials_of(const T* x, float* partials, ChannelShape s) {
  constexpr std::int64_t kBlock = 512;   // channels of a task: whole rows, as they lie in memory
  const std::int64_t across = ceil_div(s.channels, kBlock);
  const std::int64_t tiles_per_task = max(1, kGrain / (kStatRows * min(s.channels, kBlock)));
  parallel_for(ceil_div(stat_tiles(s.rows), tiles_per_task) * across, [&](std::int64_t task) {
    const std::int64_t first = task / across * tiles_per_task, channel = task % across * kBlock;
    for (std::int64_t tile = first; tile < min(first + tiles_per_task, stat_tiles(s.rows)); ++tile) {
      const std::int64_t row = tile * kStatRows;
      float* mean = partials + tile * 2 * s.channels + channel;
      tile_statistics(x + row * s.channels + channel, min(kStatRows, s.rows - row), min(kBlock, s.channels - channel), s.channels, mean,
                      mean + s.channels);
    }
  });
}

template <class T>
void scale_shift(const T* x, const T* residual, const float* scale, const float* shift, Activation a, T* y, ChannelShape s) {
  const bool streamed = streams(y, s.rows * s.channels, s.channels) && y != x && y != residual;
  parallel_ranges(s.rows, max(1, kGrain / max(1, s.channels)), [&](std::int64_t first, std::int64_t count) {
    for (std::int64_t r = first; r < first + count; ++r)
      for_lanes(s.channels, [&](std::int64_t c, std::int64_t lanes) FOVEA_LANES_INLINE {
        const std::int64_t i = r * s.channels + c;
        F16 z = fma(load(scale + c, lanes), load(x + i, lanes), load(shift + c, lanes));
        if (residual) z = z + load(residual + i, lanes);
        store(y + i, lanes, activate(a, z), streamed);
      });
    stream_fence(streamed);
  });
}

/// g = act'(scale x + shift + residual) dy for 16 channels of one pixel, element i. x is looked at only if there is an activation.
template <class T> FOVEA_INLINE F16 behind_activation(const BatchNormGradient<T>& a, std::int64_t i, std::int64_t c, std::int64_t lanes) {
  const F16 dy = load(a.dy + i, lanes);
  if (a.activation == Activation::none) return dy;
  F16 z = fma(load(a.scale + c, lanes), load(a.x + i, lanes), load(a.shift + c, lanes));
  if (a.residual) z = z + load(a.residual + i, lanes);
  return activate_gradient(a.activation, z, dy);
}

constexpr std::int64_t kRowsAhead = 8;   // of the first pass, to ask for in advance

/// The first pass: partials (tiles, 2, channels) of sum g and sum g (x - mean).
template <class T> void gradient_sums(const BatchNormGradient<T>& a, const ColumnTiles& cut, float* partials) {
  const std::int64_t channels = cut.columns;
  cut.parallel([&](std::int64_t tile, std::int64_t row, std::int64_t rows, std::int64_t channel, std::int64_t count) {
    float* out = partials + tile * 2 * channels;
    const auto columns = [&]<int Blocks>(std::int64_t column, std::int64_t lanes) FOVEA_LANES_INLINE {
      const std::int64_t c = channel + column;
      F16 mean[Blocks], sum_g[Blocks], sum_gx[Blocks];
      for (int b = 0; b < Blocks; ++b) mean[b] = load(a.mean + c + 16 * b, lanes);
      for (std::int64_t r = row; r < row + rows; ++r) {
        for (int b = 0; b < Blocks && r + kRowsAhead < row + rows; ++b) {   // the hardware does not foresee such short pieces of rows
          const std::int64_t ahead = (r + kRowsAhead) * channels + c + 16 * b;
          __builtin_prefetch(a.x + ahead);
          __builtin_prefetch(a.dy + ahead);
        }
        for (int b = 0; b < Blocks; ++b) {
          const std::int64_t i = r * channels + c + 16 * b;
          const F16 g = behind_activation(a, i, c + 16 * b, lanes);
          sum_g[b] = sum_g[b] + g;
          sum_gx[b] = fma(g, load(a.x + i, lanes) - mean[b], sum_gx[b]);
        }
      }
      for (int b = 0; b < Blocks; ++b) {
        store(out + c + 16 * b, lanes, sum_g[b]);
        store(out + channels + c + 16 * b, lanes, sum_gx[b]);
      }
    };
    for_wide_blocks(count, columns);
  });
}

/// The second pass: dresidual = g,  dx = scale (g - offset - (x - mean) slope)  with offset = dbeta / rows and
/// slope = inv_std dgamma / rows. Both are computed before either is written: dy may be one of the two.
template <class T> void apply(const BatchNormGradient<T>& a, ChannelShape s, const float* offset, const float* slope) {
  const bool streamed = streams(a.dx, s.rows * s.channels, s.channels) && !a.accumulate_dx && a.dx != a.dy && a.dx != a.x;
  parallel_ranges(s.rows, max(1, kGrain / max(1, s.channels)), [&](std::int64_t first, std::int64_t count) {
    for (std::int64_t r = first; r < first + count; ++r)
      for_lanes(s.channels, [&](std::int64_t c, std::int64_t lanes) FOVEA_LANES_INLINE {
        const std::int64_t i = r * s.channels + c;
        const F16 g = behind_activation(a, i, c, lanes);
        if (a.dx) {
          F16 dx = g;
          if (a.batch_statistics)
            dx = fma(load(a.mean + c, lanes) - load(a.x + i, lanes), load(slope + c, lanes), g - load(offset + c, lanes));
          dx = load(a.scale + c, lanes) * dx;
          if (a.accumulate_dx) dx = load(a.dx + i, lanes) + dx;
          store(a.dx + i, lanes, dx, streamed);
        }
        if (a.dresidual) store(a.dresidual + i, lanes, a.accumulate_dresidual ? load(a.dresidual + i, lanes) + g : g);
      });
    stream_fence(streamed);
  });
}

template <class T> void backward(const BatchNormGradient<T>& a, ChannelShape s, float* workspace) {
  const ColumnTiles cut(s.rows, s.channels);
  float* partials = workspace;
  float* offset = partials + cut.tiles() * 2 * s.channels;
  float* slope = offset + s.channels;
  if ((a.batch_statistics && a.dx) || a.dgamma || a.dbeta) {
    gradient_sums(a, cut, partials);
    join_tiles(partials, cut.tiles(), 2 * s.channels, [&](std::int64_t i, double sum) {
      const bool of_gamma = i >= s.channels;
      const std::int64_t c = of_gamma ? i - s.channels : i;
      const double gradient = of_gamma ? sum * double(a.inv_std[c]) : sum;
      float* target = of_gamma ? a.dgamma : a.dbeta;
      const bool accumulate = of_gamma ? a.accumulate_dgamma : a.accumulate_dbeta;
      if (target) target[c] = float((accumulate ? target[c] : 0.f) + gradient);
      (of_gamma ? slope : offset)[c] = float((of_gamma ? gradient * double(a.inv_std[c]) : gradient) / double(s.rows));
    });
  }
  if (a.dx || a.dresidual) apply(a, s, offset, slope);
}

template <class T> constexpr BatchNormFunctions<T> functions{partials_of<T>, scale_shift<T>, backward<T>};

}   // namespace
const BatchNormTable batch_norm_table{workspace_bytes, functions<float>, functions<bfloat16>};
}   // namespace FOVEA_ISA

#ifdef FOVEA_BASELINE
template <class T> std::size_t batch_norm_workspace_bytes(Cpu, ChannelShape s) { return batch_norm_table().workspace_bytes(s); }
template <class T> void batch_norm_statistics(Cpu, const T* x, acc_t<T>* mean, acc_t<T>* variance, ChannelShape s, void* workspace) {
  for_type<T>(batch_norm_table()).partials(x, static_cast<float*>(workspace), s);
  batch_norm_merge(Cpu{}, static_cast<const float*>(workspace), mean, variance, s, nullptr);
}
template <class T>
void scale_shift(Cpu, const T* x, const T* residual, const acc_t<T>* scale, const acc_t<T>* shift, Activation a, T* y, ChannelShape s) {
  for_type<T>(batch_norm_table()).scale_shift(x, residual, scale, shift, a, y, s);
}
template <class T> void batch_norm_backward(Cpu, const BatchNormGradient<T>& a, ChannelShape s, void* workspace) {
  for_type<T>(batch_norm_table()).backward(a, s, static_cast<float*>(workspace));
}

#define FOVEA_INSTANTIATE(T)                                                                                    \
  template std::size_t batch_norm_workspace_bytes<T>(Cpu, ChannelShape);                                        \
  template void batch_norm_statistics(Cpu, const T*, float*, float*, ChannelShape, void*);                      \
  template void scale_shift(Cpu, const T*, const T*, const float*, const float*, Activation, T*, ChannelShape); \
  template void batch_norm_backward(Cpu, const BatchNormGradient<T>&, ChannelShape, void*);
FOVEA_INSTANTIATE(float)
FOVEA_INSTANTIATE(bfloat16)
#undef FOVEA_INSTANTIATE
#endif

}   // namespace fovea::kernels
