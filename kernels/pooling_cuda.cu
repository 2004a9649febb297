// pooling_cuda.cu: a thread for each 16 bytes of channels of a pixel of what is written; a block takes neighbours along a line. Windows overlap,
// but what neighbours read again is in a cache: from memory come x once and y (forward), dy and dx (backward), a byte a maximum beside them.
//
// The gradients are gathered, pixel by pixel over the windows that see it: what a scatter needs atomics for, whose order changes the bits,
// is a sum in order of (p, q). Global pooling is a sum down the columns of an image, and its gradient a row repeated.
// One comparison or addition for each pixel of a window: far below what the bytes leave time for.
#include "kernels/pooling.h"

#include "kernels/cuda.h"
#include "kernels/cuda_lanes.h"

namespace fovea::kernels {
namespace {

constexpr int kThreads = 128;
constexpr int kRowsEach = 8;   // pixels of a thread in the gradient of global pooling

/// How lines of `columns` pixels with c channels are cut into blocks.
struct Lines {
  std::int64_t lines, columns, c;
  unsigned chunks;   // of a line
  Lines(std::int64_t count, std::int64_t n, std::int64_t channels, int v)
      : lines(count), columns(n), c(channels), chunks(blocks(n * (channels / v), kThreads)) {}
  LaunchShape launch_on(Cuda be) const { return {.grid = blocks(lines * chunks, 1), .block = kThreads, .stream = be.stream}; }
};
/// The thread's place: line (image and row), column, and the first of its V channels.
struct PixelPlace {
  std::int64_t line, column, channel;
  __device__ __forceinline__ PixelPlace(unsigned chunks, std::int64_t c, int v) : line(blockIdx.x / chunks) {
    const std::int64_t item = blockIdx.x % chunks * std::int64_t{kThreads} + threadIdx.x, packs = c / v;
    column = item / packs;
    channel = (item - column * packs) * v;
  }
};

/// V places as one access: 4 or 8 bytes.
template <class Place, int V> struct alignas(V * sizeof(Place)) Places { Place v[V]; };

template <class T, class Place, int V>
__global__ void max_pool2d_forward_kernel(const T* __restrict__ x, T* __restrict__ y, Place* __restrict__ which, Pool2dShape s,
                                          unsigned chunks) {
  const PixelPlace at(chunks, s.c, V);
  if (at.column >= s.columns.out) return;
  const std::int64_t n = at.line / s.rows.out, p = at.line - n * s.rows.out, q = at.column;
  const std::int64_t h0 = s.rows.begin(p), h1 = s.rows.end(p), w0 = s.columns.begin(q), w1 = s.columns.end(q);
  const std::int64_t origin = s.rows.origin(p) * s.columns.longest() + s.columns.origin(q);   // where place 0 would be
  x += n * s.rows.in * s.columns.in * s.c + at.channel;
  Lanes<V> best = load_lanes<V>(x + (h0 * s.columns.in + w0) * s.c);   // the first is taken whatever it holds
  Places<Place, V> place;
  FOVEA_UNROLL for (int i = 0; i < V; ++i) place.v[i] = Place(h0 * s.columns.longest() + w0 - origin);
  for (std::int64_t h = h0; h < h1; ++h)
    for (std::int64_t w = w0; w < w1; ++w) {
      const Lanes<V> value = load_lanes<V>(x + (h * s.columns.in + w) * s.c);
      FOVEA_UNROLL for (int i = 0; i < V;
                        ++i) if (value[i] > best[i] || (value[i] != value[i] && best[i] == best[i])) {   // a NaN wins, the first of them
        best[i] = value[i];
        place.v[i] = Place(h * s.columns.longest() + w - origin);
      }
    }
  const std::int64_t out = (at.line * s.columns.out + q) * s.c + at.channel;
  store_lanes(y + out, best);
  *reinterpret_cast<Places<Place, V>*>(which + out) = place;
}

template <class T, class Place, int V>
__global__ void max_pool2d_backward_kernel(const T* __restrict__ dy, const Place* __restrict__ which, T* __restrict__ dx, Pool2dShape s,
                                           bool accumulate, unsigned chunks) {
  const PixelPlace at(chunks, s.c, V);
  if (at.column >= s.columns.in) return;
  const std::int64_t n = at.line / s.rows.in, h = at.line - n * s.rows.in, w = at.column;
  const std::int64_t p1 = s.rows.last(h), q0 = s.columns.first(w), q1 = s.columns.last(w);
  Lanes<V> sum{};
  for (std::int64_t p = s.rows.first(h); p <= p1; ++p)
    for (std::int64_t q = q0; q <= q1; ++q) {
      const std::int64_t out = ((n * s.rows.out + p) * s.columns.out + q) * s.c + at.channel;
      const Places<Place, V> place = *reinterpret_cast<const Places<Place, V>*>(which + out);
      const Lanes<V> g = load_lanes<V>(dy + out);
      const Place mine = Place((h - s.rows.origin(p)) * s.columns.longest() + w - s.columns.origin(q));
      FOVEA_UNROLL for (int i = 0; i < V; ++i) sum[i] += place.v[i] == mine ? g[i] : 0.f;
    }
  store_or_add(dx + (at.line * s.columns.in + w) * s.c + at.channel, sum, accumulate);
}

template <class T, int V>
__global__ void avg_pool2d_forward_kernel(const T* __restrict__ x, T* __restrict__ y, Pool2dShape s, AverageDivisor d, unsigned chunks) {
  const PixelPlace at(chunks, s.c, V);
  if (at.column >= s.columns.out) return;
  const std::int64_t n = at.line / s.rows.out, p = at.line - n * s.rows.out, q = at.column;
  const std::int64_t h1 = s.rows.end(p), w0 = s.columns.begin(q), w1 = s.columns.end(q);
  x += n * s.rows.in * s.columns.in * s.c + at.channel;
  Lanes<V> sum{};
  for (std::int64_t h = s.rows.begin(p); h < h1; ++h)
    for (std::int64_t w = w0; w < w1; ++w) {
      const Lanes<V> value = load_lanes<V>(x + (h * s.columns.in + w) * s.c);
      FOVEA_UNROLL for (int i = 0; i < V; ++i) sum[i] += value[i];
    }
  const float divisor = float(d.of(s, p, q));
  FOVEA_UNROLL for (int i = 0; i < V; ++i) sum[i] /= divisor;
  store_lanes(y + (at.line * s.columns.out + q) * s.c + at.channel, sum);
}

template <class T, int V>
__global__ void avg_pool2d_backward_kernel(const T* __restrict__ dy, T* __restrict__ dx, Pool2dShape s, AverageDivisor d, bool accumulate,
                                           unsigned chunks) {
  const PixelPlace at(chunks, s.c, V);
  if (at.column >= s.columns.in) return;
  const std::int64_t n = at.line / s.rows.in, h = at.line - n * s.rows.in, w = at.column;
  const std::int64_t p1 = s.rows.last(h), q0 = s.columns.first(w), q1 = s.columns.last(w);
  Lanes<V> sum{};
  for (std::int64_t p = s.rows.first(h); p <= p1; ++p)
    for (std::int64_t q = q0; q <= q1; ++q) {
      const Lanes<V> g = load_lanes<V>(dy + ((n * s.rows.out + p) * s.columns.out + q) * s.c + at.channel);
      const float share = 1 / float(d.of(s, p, q));
      FOVEA_UNROLL for (int i = 0; i < V; ++i) sum[i] = fmaf(g[i], share, sum[i]);
    }
  store_or_add(dx + (at.line * s.columns.in + w) * s.c + at.channel, sum, accumulate);
}

/// A block for each image and group of channels: its threads share the pixels, and join their sums in a fixed order.
template <class T, int V>
__global__ void global_avg_pool_forward_kernel(const T* __restrict__ x, T* __restrict__ y, GlobalPoolShape s, std::int64_t column_blocks) {
  ColumnSmem<V>& smem = shared_memory<ColumnSmem<V>>();
  const ColumnPlace at(column_blocks, V);
  Lanes<V> sum{};
  if (at.column < s.c)
    for (std::int64_t i = threadIdx.y; i < s.pixels; i += blockDim.y) {
      const Lanes<V> value = load_lanes<V>(x + (at.block * s.pixels + i) * s.c + at.column);
      FOVEA_UNROLL for (int k = 0; k < V; ++k) sum[k] += value[k];
    }
  sum = sum_down(sum, smem);
  if (threadIdx.y > 0 || at.column >= s.c) return;
  FOVEA_UNROLL for (int k = 0; k < V; ++k) sum[k] /= float(s.pixels);
  store_lanes(y + at.block * s.c + at.column, sum);
}

template <class T, int V>
__global__ void global_avg_pool_backward_kernel(const T* __restrict__ dy, T* __restrict__ dx, GlobalPoolShape s, bool accumulate,
                                                unsigned chunks, std::int64_t column_blocks) {
  const ColumnPlace at(column_blocks, V);
  if (at.column >= s.c) return;
  const std::int64_t image = at.block / chunks, first = at.block % chunks * kRowsEach * blockDim.y;
  Lanes<V> g = load_lanes<V>(dy + image * s.c + at.column);
  FOVEA_UNROLL for (int k = 0; k < V; ++k) g[k] /= float(s.pixels);
  for (std::int64_t i = first + threadIdx.y; i < min_of(s.pixels, first + kRowsEach * blockDim.y); i += blockDim.y)
    store_or_add(dx + (image * s.pixels + i) * s.c + at.column, g, accumulate);
}

}   // namespace

// Windows of more than 256 places (which are 8 bytes each then) are no layer of any network here: a channel a thread is enough for them.
template <class T, class Place> bool places_wide(const Pool2dShape& s, const T* a, const T* b, const Place* which) {
  return sizeof(Place) == 1 && moves_wide<T>(s.c, a, b) && aligned16(which);
}
template <class T, class Place> void max_pool2d_forward(Cuda be, const T* x, T* y, Place* which, const Pool2dShape& s) {
  if (s.outputs() == 0) return;
  with_width<T>(places_wide(s, x, y, which), [&](auto v) {
    constexpr int V = sizeof(Place) == 1 ? decltype(v)::value : 1;
    const Lines lines(s.n * s.rows.out, s.columns.out, s.c, V);
    launch(max_pool2d_forward_kernel<T, Place, V>, lines.launch_on(be), x, y, which, s, lines.chunks);
  });
}
template <class T, class Place>
void max_pool2d_backward(Cuda be, const T* dy, const Place* which, T* dx, const Pool2dShape& s, bool accumulate) {
  if (s.inputs() == 0) return;
  with_width<T>(places_wide(s, dy, dx, which), [&](auto v) {
    constexpr int V = sizeof(Place) == 1 ? decltype(v)::value : 1;
    const Lines lines(s.n * s.rows.in, s.columns.in, s.c, V);
    launch(max_pool2d_backward_kernel<T, Place, V>, lines.launch_on(be), dy, which, dx, s, accumulate, lines.chunks);
  });
}

template <class T> void avg_pool2d_forward(Cuda be, const T* x, T* y, const Pool2dShape& s, AverageDivisor d) {
  if (s.outputs() == 0) return;
  with_width<T>(moves_wide<T>(s.c, x, y), [&](auto v) {
    constexpr int V = decltype(v)::value;
    const Lines lines(s.n * s.rows.out, s.columns.out, s.c, V);
    launch(avg_pool2d_forward_kernel<T, V>, lines.launch_on(be), x, y, s, d, lines.chunks);
  });
}
template <class T> void avg_pool2d_backward(Cuda be, const T* dy, T* dx, const Pool2dShape& s, AverageDivisor d, bool accumulate) {
  if (s.inputs() == 0) return;
  with_width<T>(moves_wide<T>(s.c, dy, dx), [&](auto v) {
    constexpr int V = decltype(v)::value;
    const Lines lines(s.n * s.rows.in, s.columns.in, s.c, V);
    launch(avg_pool2d_backward_kernel<T, V>, lines.launch_on(be), dy, dx, s, d, accumulate, lines.chunks);
  });
}

template <class T> void global_avg_pool_forward(Cuda be, const T* x, T* y, GlobalPoolShape s) {
  if (s.images == 0 || s.c == 0) return;
  with_width<T>(moves_wide<T>(s.c, x, y), [&](auto v) {
    constexpr int V = decltype(v)::value;
    const ColumnGrid g(s.c, V);
    launch(global_avg_pool_forward_kernel<T, V>, g.over(be, s.images, sizeof(ColumnSmem<V>)), x, y, s, g.column_blocks);
  });
}
template <class T> void global_avg_pool_backward(Cuda be, const T* dy, T* dx, GlobalPoolShape s, bool accumulate) {
  if (s.images == 0 || s.c == 0 || s.pixels == 0) return;
  with_width<T>(moves_wide<T>(s.c, dy, dx), [&](auto v) {
    constexpr int V = decltype(v)::value;
    const ColumnGrid g(s.c, V);
    const unsigned chunks = blocks(s.pixels, kRowsEach * g.down);
    launch(global_avg_pool_backward_kernel<T, V>, g.over(be, s.images * chunks), dy, dx, s, accumulate, chunks, g.column_blocks);
  });
}

#define FOVEA_INSTANTIATE_MAX(T, Place)                                             \
  template void max_pool2d_forward(Cuda, const T*, T*, Place*, const Pool2dShape&); \
  template void max_pool2d_backward(Cuda, const T*, const Place*, T*, const Pool2dShape&, bool);
#define FOVEA_INSTANTIATE(T)                                                                       \
  FOVEA_INSTANTIATE_MAX(T, std::uint8_t)                                                           \
  FOVEA_INSTANTIATE_MAX(T, std::int64_t)                                                           \
  template void avg_pool2d_forward(Cuda, const T*, T*, const Pool2dShape&, AverageDivisor);        \
  template void avg_pool2d_backward(Cuda, const T*, T*, const Pool2dShape&, AverageDivisor, bool); \
  template void global_avg_pool_forward(Cuda, const T*, T*, GlobalPoolShape);                      \
  template void global_avg_pool_backward(Cuda, const T*, T*, GlobalPoolShape, bool);
FOVEA_INSTANTIATE(float)
FOVEA_INSTANTIATE(bfloat16)
#undef FOVEA_INSTANTIATE
#undef FOVEA_INSTANTIATE_MAX

}   // namespace fovea::kernels
