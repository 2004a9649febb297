// scale_channels_cpu.cpp: an image is a matrix (pixels, channels), cut into tiles of some pixels. Backward reads x and dy of a tile
// once: dx goes out, the sum over the tile's pixels is left in the workspace, and the tiles' sums are joined in order, in double.
#include "kernels/scale_channels.h"

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
  const bool streamed = streams(y, shape.images * shape.pixels * channels, channels) && y != x;
  parallel_ranges(shape.images * shape.pixels, max(1, kGrain / max(1, channels)), [&](std::int64_t first, std::int64_t count) {
    for (std::int64_t r = first; r < first + count; ++r) {
      const T* scale = s + r / shape.pixels * channels;
      for_lanes(channels, [&](std::int64_t c, std::int64_t lanes) FOVEA_LANES_INLINE {
        store(y + r * channels + c, lanes, load(x + r * channels + c, lanes) * load(scale + c, lanes), streamed);
      });
    }
    stream_fence(streamed);
  });
}

/// Pixels of a tile, 64 KB of x: a stretch of memory. In short chains, for the error of its sums.
FOVEA_INLINE std::int64_t tile_pixels(ImageShape shape) { return max(4, min(512, kGrain / max(1, shape.channels))); }
FOVEA_INLINE std::int64_t tiles_of(ImageShape shape) { return ceil_div(shape.pixels, tile_pixels(shape)); }

/// The sums of the tiles: (images, tiles, channels).
std::size_t workspace_bytes(ImageShape shape) { return sizeof(float) * std::size_t(shape.images * tiles_of(shape) * shape.channels); }

/// Pixels [first, first + count) of all images in a row, which belong to one image with the scales s; out: the tile's sums, (channels).
/// Four pixels at a time from left to right, so that memory is read as four streams; the sums wait in the nearest cache.
template <class T>
FOVEA_INLINE void tile_gradient(const ScaleChannelsGradient<T>& a, std::int64_t channels, std::int64_t first, std::int64_t count,
                                const T* s, float* out) {
  constexpr std::int64_t kPixels = 4;
  for (std::int64_t p = first; p < first + count; p += kPixels)
    for_lanes(channels, [&](std::int64_t c, std::int64_t lanes) FOVEA_LANES_INLINE {
      const F16 scale = load(s + c, lanes);
      F16 sum;
      if (p > first) sum = load(out + c, lanes);
      for (std::int64_t i = p * channels + c, end = min(p + kPixels, first + count) * channels; i < end; i += channels) {
        const F16 dy = load(a.dy + i, lanes);
        sum = fma(dy, load(a.x + i, lanes), sum);
        if (!a.dx) continue;
        F16 dx = dy * scale;
        if (a.accumulate_dx) dx = load(a.dx + i, lanes) + dx;
        store(a.dx + i, lanes, dx);
      }
      store(out + c, lanes, sum);
    });
}

template <class T> void backward(const ScaleChannelsGradient<T>& a, ImageShape shape, float* partials) {
  const std::int64_t tiles = tiles_of(shape), pixels = tile_pixels(shape);
  parallel_for(shape.images * tiles, [&](std::int64_t task) {
    const std::int64_t n = task / tiles, p = task % tiles * pixels;
    tile_gradient(a, shape.channels, n * shape.pixels + p, min(pixels, shape.pixels - p), a.s + n * shape.channels,
                  partials + task * shape.channels);
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
