// scale_channels_cuda.cu: forward, a thread has 16 bytes of a pixel. Backward walks down the pixels of an image as a sum of columns does
// (cuda_columns.h): x and dy are read once, dx goes out on the way, and what the tiles have summed is joined in order. 8 B an element of
// float forward, 12 backward.
#include "kernels/scale_channels.h"

#include "kernels/cuda_columns.h"

namespace fovea::kernels {
namespace {

constexpr int kAhead = 4;   // pixels that are on their way before the first is used

/// y = x s, or +=: forward, and dx where nobody wants ds.
template <class T>
__global__ void scale_kernel(const T* x, const T* __restrict__ s, T* y, std::int64_t pixels, bool accumulate, RowGrid<T> grid) {
  const auto at = grid.piece();
  if (at.count <= 0) return;
  std::int64_t pixel;
  const std::int64_t image = divide(at.row, pixels, pixel), i = at.row * grid.cols + at.col;
  const Wide<T> v = load_up_to(x + i, at.count), scale = load_up_to(s + image * grid.cols + at.col, at.count);
  float value[Wide<T>::kSize];
  FOVEA_UNROLL
  for (int j = 0; j < Wide<T>::kSize; ++j) value[j] = float(v[j]) * float(scale[j]);
  store_or_add_up_to(y + i, value, at.count, accumulate);
}
template <class T> void scale(Cuda be, const T* x, const T* s, T* y, ImageShape shape, bool accumulate) {
  const RowGrid<T> grid(shape.images * shape.pixels, shape.channels);
  launch(scale_kernel<T>, grid.launch_shape(be), x, s, y, shape.pixels, accumulate, grid);
}

template <class T>
__global__ void __launch_bounds__(kRowThreads, 2)
    backward_kernel(ScaleChannelsGradient<T> a, StoreSum<T> finish, float* __restrict__ partials, ColumnTiles<T> cut) {
  constexpr int kSize = Wide<T>::kSize;
  const auto share = cut.share();
  const std::int64_t channels = cut.s.inner, k = share.outer * channels + share.col;
  const std::int64_t from = share.outer * cut.s.axis * channels + share.col;
  float sum[kSize] = {};
  if (share.count > 0) {
    const Wide<T> scale = load_up_to(a.s + k, share.count);
    for (std::int64_t pixel = share.first; pixel < share.last; pixel += kAhead * share.step) {
      Wide<T> x[kAhead], dy[kAhead];
      FOVEA_UNROLL
      for (int p = 0; p < kAhead; ++p) {
        const std::int64_t at = pixel + p * share.step, count = at < share.last ? share.count : 0;
        x[p] = load_up_to(a.x + from + at * channels, count);
        dy[p] = load_up_to(a.dy + from + at * channels, count);
      }
      FOVEA_UNROLL
      for (int p = 0; p < kAhead; ++p) {
        const std::int64_t at = pixel + p * share.step;
        if (at >= share.last) break;
        FOVEA_UNROLL
        for (int j = 0; j < kSize; ++j) sum[j] += float(dy[p][j]) * float(x[p][j]);
        if (!a.dx) continue;
        float value[kSize];
        FOVEA_UNROLL
        for (int j = 0; j < kSize; ++j) value[j] = float(dy[p][j]) * float(scale[j]);
        store_or_add_up_to(a.dx + from + at * channels, value, share.count, a.accumulate_dx);
      }
    }
  }
  if (!cut.join(Sum{}, sum)) return;
  for (int j = 0; j < kSize; ++j) {
    if (j >= share.count) break;
    if (cut.tiles == 1)
      finish(k + j, double(sum[j]));
    else
      partials[(share.outer * cut.tiles + share.tile) * channels + share.col + j] = sum[j];
  }
}

template <class T> ColumnTiles<T> tiles_of(ImageShape s) { return ColumnTiles<T>({s.images, s.pixels, s.channels}); }

}   // namespace

template <class T> void scale_channels_forward(Cuda be, const T* x, const T* s, T* y, ImageShape shape) {
  if (shape.images * shape.pixels * shape.channels > 0) scale(be, x, s, y, shape, false);
}

template <class T> std::size_t scale_channels_workspace_bytes(Cuda, ImageShape shape) { return tiles_of<T>(shape).workspace_bytes(); }
template <class T> void scale_channels_backward(Cuda be, const ScaleChannelsGradient<T>& a, ImageShape shape, void* workspace) {
  if (shape.images * shape.channels == 0) return;
  if (!a.ds) {
    if (a.dx && shape.pixels > 0) scale(be, a.dy, a.s, a.dx, shape, a.accumulate_dx);
    return;
  }
  const ColumnTiles<T> cut = tiles_of<T>(shape);
  const StoreSum<T> finish{a.ds, a.accumulate_ds};
  float* partials = static_cast<float*>(workspace);
  launch(backward_kernel<T>, cut.launch_shape(be), a, finish, partials, cut);
  if (cut.tiles > 1) join_tiles(be, partials, {shape.images, cut.tiles, shape.channels}, finish);
}

#define FOVEA_INSTANTIATE(T)                                                      \
  template void scale_channels_forward(Cuda, const T*, const T*, T*, ImageShape); \
  template std::size_t scale_channels_workspace_bytes<T>(Cuda, ImageShape);       \
  template void scale_channels_backward(Cuda, const ScaleChannelsGradient<T>&, ImageShape, void*);
FOVEA_INSTANTIATE(float)
FOVEA_INSTANTIATE(bfloat16)
#undef FOVEA_INSTANTIATE

}   // namespace fovea::kernels
