// scale_channels_cpu.cpp: an image is a matrix (pixels, channels), cut into tiles as in cpu/column_tiles.h. Backward reads x and dy
// of a tile once: dx goes out, the sum over the tile's pixels stays in registers, and the tiles' sums are joined in order.
#include "kernels/scale_channels.h"

#include "kernels/cpu/column_tiles.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/map.h"

namespace fovea::kernels {

template <class T> struct ScaleChannelsFunctions {
  void (*forward)(const T*, const T*, T*, ImageShape);
  void (*backward)(const ScaleChannelsGradient<T>&, ImageShape, float*);
};
struct ScaleChannelsTable {
  std::size_t (*workspace_bytes)(ImageShape);
  ScaleChannelsFunctions<float> f32;
  ScaleChannelsFunctions<bfloat16> bf16;
};
FOVEA_ISA_TABLES(ScaleChannelsTable, scale_channels_table)

namespace FOVEA_ISA {
namespace {

template <class T> void forward(const T* x, const T* s, T* y, ImageShape shape) {
  const std::int64_t channels = shape.channels;
  parallel_ranges(shape.images * shape.pixels, max(1, kGrain / max(1, channels)), [&](std::int64_t first, std::int64_t count) {
    for (std::int64_t r = first; r < first + count; ++r) {
      const T* scale = s + r / shape.pixels * channels;
      for_lanes(channels, [&](std::int64_t c, std::int64_t lanes) FOVEA_LANES_INLINE {
        store(y + r * channels + c, lanes, load(x + r * channels + c, lanes) * load(scale + c, lanes));
      });
    }
  });
}

/// The sums of the tiles: (images, tiles, channels).
std::size_t workspace_bytes(ImageShape shape) {
  const std::int64_t tiles = ColumnTiles(shape.pixels, shape.channels).tiles();
  return sizeof(float) * std::size_t(shape.images * tiles * shape.channels);
}

/// Rows [row, row + rows), columns [column, column + count) of image n; out: the tile's sums, (channels).
template <class T>
FOVEA_INLINE void tile_gradient(const ScaleChannelsGradient<T>& a, ImageShape shape, std::int64_t n, std::int64_t row, std::int64_t rows,
                                std::int64_t column, std::int64_t count, float* out) {
  const std::int64_t channels = shape.channels;
  for_lane_blocks(count, [&]<int Blocks>(std::int64_t at, std::int64_t lanes) FOVEA_LANES_INLINE {
    const std::int64_t c = column + at;
    F16 scale[Blocks], sum[Blocks];
    for (int b = 0; b < Blocks; ++b) scale[b] = load(a.s + n * channels + c + 16 * b, lanes);
    for (std::int64_t r = row; r < row + rows; ++r)
      for (int b = 0; b < Blocks; ++b) {
        const std::int64_t i = (n * shape.pixels + r) * channels + c + 16 * b;
        const F16 dy = load(a.dy + i, lanes);
        sum[b] = fma(dy, load(a.x + i, lanes), sum[b]);
        if (!a.dx) continue;
        F16 dx = dy * scale[b];
        if (a.accumulate_dx) dx = load(a.dx + i, lanes) + dx;
        store(a.dx + i, lanes, dx);
      }
    for (int b = 0; b < Blocks; ++b) store(out + c + 16 * b, lanes, sum[b]);
  });
}

template <class T> void backward(const ScaleChannelsGradient<T>& a, ImageShape shape, float* partials) {
  const ColumnTiles cut(shape.pixels, shape.channels);
  const std::int64_t tiles = cut.tiles(), across = ceil_div(shape.channels, ColumnTiles::kTileColumns);
  parallel_for(shape.images * tiles * across, [&](std::int64_t task) {
    const std::int64_t n = task / (tiles * across), tile = task / across % tiles, row = tile * cut.tile_rows;
    const std::int64_t column = task % across * ColumnTiles::kTileColumns;
    tile_gradient(a, shape, n, row, min(cut.tile_rows, shape.pixels - row), column, min(ColumnTiles::kTileColumns, shape.channels - column),
                  partials + (n * tiles + tile) * shape.channels);
  });
  if (!a.ds) return;
  parallel_ranges(shape.images * shape.channels, kGrain, [&](std::int64_t first, std::int64_t count) {
    for (std::int64_t i = first; i < first + count; ++i) {
      const std::int64_t n = i / shape.channels, c = i % shape.channels;
      double sum = 0;
      for (std::int64_t tile = 0; tile < tiles; ++tile) sum += double(partials[(n * tiles + tile) * shape.channels + c]);
      a.ds[i] = T(float((a.accumulate_ds ? double(float(a.ds[i])) : 0.) + sum));
    }
  });
}

template <class T> constexpr ScaleChannelsFunctions<T> functions{forward<T>, backward<T>};

}   // namespace
const ScaleChannelsTable scale_channels_table{workspace_bytes, functions<float>, functions<bfloat16>};
}   // namespace FOVEA_ISA

#ifdef FOVEA_BASELINE
template <class T> void scale_channels_forward(Cpu, const T* x, const T* s, T* y, ImageShape shape) {
  for_type<T>(scale_channels_table()).forward(x, s, y, shape);
}
template <class T> std::size_t scale_channels_workspace_bytes(Cpu, ImageShape shape) {
  return scale_channels_table().workspace_bytes(shape);
}
template <class T> void scale_channels_backward(Cpu, const ScaleChannelsGradient<T>& a, ImageShape shape, void* workspace) {
  for_type<T>(scale_channels_table()).backward(a, shape, static_cast<float*>(workspace));
}

#define FOVEA_INSTANTIATE(T)                                                     \
  template void scale_channels_forward(Cpu, const T*, const T*, T*, ImageShape); \
  template std::size_t scale_channels_workspace_bytes<T>(Cpu, ImageShape);       \
  template void scale_channels_backward(Cpu, const ScaleChannelsGradient<T>&, ImageShape, void*);
FOVEA_INSTANTIATE(float)
FOVEA_INSTANTIATE(bfloat16)
#undef FOVEA_INSTANTIATE
#endif

}   // namespace fovea::kernels
