// local_response_norm_cuda.cu: a block takes some channels of a few pixels. What the windows sum is first laid out in shared memory with a
// margin for the neighbours, zeros where there is no channel; then a window is `size` neighbouring words, always added in the same order
// (a running sum would be shorter but lose digits). From memory come x once and y, backward x, dy and dx, and the margins from a cache.
//
// size additions, a power and a product an element forward; backward the window of squares is summed for the neighbours, too, and a second
// window over their shares follows. powf, not the fast forms: their error near 1 is absolute, and d is near k = 1 in practice.
#include "kernels/local_response_norm.h"

#include "kernels/cuda.h"
#include "kernels/cuda_lanes.h"

namespace fovea::kernels {
namespace {

constexpr int kThreads = 256;
constexpr int kMaxRows = 8;   // pixels of a block: few channels get more
constexpr int kMargin = kMaxLocalResponse - 1;

/// The channels [first, first + count) of one pixel, of which some may lie outside of 0 .. cols - 1.
struct Span {
  std::int64_t first;
  int count;
};
/// buffer[i] = f(c) for the channels c = first + i, 0 where there is none: by the threads of this pixel.
template <class F> __device__ __forceinline__ void lay_out(float* buffer, Span span, std::int64_t cols, const F& f) {
  for (int i = int(threadIdx.x); i < span.count; i += int(blockDim.x)) {
    const std::int64_t c = span.first + i;
    buffer[i] = c >= 0 && c < cols ? f(c, i) : 0.f;
  }
}
/// buffer[0] + ... + buffer[size - 1]
__device__ __forceinline__ float window(const float* buffer, int size) {
  float sum = buffer[0];
  for (int i = 1; i < size; ++i) sum += buffer[i];
  return sum;
}

/// The formula's constants as the kernels want them.
struct Constants {
  int size;
  float share, beta, k, slope;   // alpha / size, beta, k, -2 alpha beta / size
  explicit Constants(LocalResponse o)
      : size(static_cast<int>(o.size)),
        share(float(o.alpha / double(o.size))),
        beta(float(o.beta)),
        k(float(o.k)),
        slope(float(-2 * o.alpha * o.beta / double(o.size))) {}
};

/// A block's pixels: threadIdx.y of them at a time, threadIdx.x along the channels from `first` on.
struct PixelRow {
  std::int64_t row, first, channel;
  __device__ __forceinline__ explicit PixelRow(unsigned pieces)
      : row(blockIdx.x / pieces * std::int64_t{blockDim.y} + threadIdx.y),
        first(blockIdx.x % pieces * std::int64_t{blockDim.x}),
        channel(first + threadIdx.x) {}
};
LaunchShape pixels_and_pieces(Cuda be, RowShape s, std::size_t smem, unsigned& pieces) {
  unsigned across = kThreads, down = 1;
  while (down < kMaxRows && across / 2 >= s.cols) across /= 2, down *= 2;
  pieces = blocks(s.cols, across);
  return {.grid = blocks(ceil_div(s.rows, down) * pieces, 1), .block = {across, down}, .smem = smem, .stream = be.stream};
}

struct ForwardSmem {
  float squares[kThreads + kMaxRows * kMargin];
};

template <class T>
__global__ void local_response_norm_forward_kernel(const T* __restrict__ x, Constants o, T* __restrict__ y, RowShape s, unsigned pieces) {
  ForwardSmem& smem = shared_memory<ForwardSmem>();
  const PixelRow at(pieces);
  const int before = o.size / 2, length = int(blockDim.x) + o.size - 1;
  float* const squares = smem.squares + int(threadIdx.y) * length;
  x += at.row * s.cols;
  if (at.row < s.rows)
    lay_out(squares, {at.first - before, length}, s.cols, [&](std::int64_t c, int) {
      const float v = float(x[c]);
      return v * v;
    });
  __syncthreads();
  if (at.row >= s.rows || at.channel >= s.cols) return;
  const float d = fmaf(o.share, window(squares + threadIdx.x, o.size), o.k);
  y[at.row * s.cols + at.channel] = T(float(x[at.channel]) * powf(d, -o.beta));
}

struct BackwardSmem {
  float squares[kThreads + 2 * kMaxRows * kMargin];   // x^2
  float shares[kThreads + kMaxRows * kMargin];        // dy x d^(-beta - 1)
};

template <class T>
__global__ void local_response_norm_backward_kernel(const T* __restrict__ x, const T* __restrict__ dy, Constants o, T* __restrict__ dx,
                                                    RowShape s, bool accumulate, unsigned pieces) {
  BackwardSmem& smem = shared_memory<BackwardSmem>();
  const PixelRow at(pieces);
  const int before = (o.size - 1) / 2;   // a channel is in the windows of so many before it
  const Span around{at.first - before, int(blockDim.x) + o.size - 1};
  const Span squared{around.first - o.size / 2, around.count + o.size - 1};
  float *const squares = smem.squares + int(threadIdx.y) * squared.count, *const shares = smem.shares + int(threadIdx.y) * around.count;
  x += at.row * s.cols;
  dy += at.row * s.cols;
  const auto denominator = [&](int i) { return fmaf(o.share, window(squares + i, o.size), o.k); };   // of channel around.first + i
  if (at.row < s.rows)
    lay_out(squares, squared, s.cols, [&](std::int64_t c, int) {
      const float v = float(x[c]);
      return v * v;
    });
  __syncthreads();
  if (at.row < s.rows)
    lay_out(shares, around, s.cols, [&](std::int64_t c, int i) {
      const float d = denominator(i);
      return float(dy[c]) * powf(d, -o.beta) * float(x[c]) / d;
    });
  __syncthreads();
  if (at.row >= s.rows || at.channel >= s.cols) return;
  const float direct = float(dy[at.channel]) * powf(denominator(before + int(threadIdx.x)), -o.beta);
  const float gradient = fmaf(o.slope * float(x[at.channel]), window(shares + threadIdx.x, o.size), direct);
  T& out = dx[at.row * s.cols + at.channel];
  out = T(accumulate ? float(out) + gradient : gradient);
}

}   // namespace

template <class T> void local_response_norm_forward(Cuda be, const T* x, LocalResponse o, T* y, RowShape s) {
  if (s.rows == 0 || s.cols == 0) return;
  unsigned pieces;
  const LaunchShape shape = pixels_and_pieces(be, s, sizeof(ForwardSmem), pieces);
  launch(local_response_norm_forward_kernel<T>, shape, x, Constants(o), y, s, pieces);
}
template <class T>
void local_response_norm_backward(Cuda be, const T* x, const T* dy, LocalResponse o, T* dx, RowShape s, bool accumulate) {
  if (s.rows == 0 || s.cols == 0) return;
  unsigned pieces;
  const LaunchShape shape = pixels_and_pieces(be, s, sizeof(BackwardSmem), pieces);
  launch(local_response_norm_backward_kernel<T>, shape, x, dy, Constants(o), dx, s, accumulate, pieces);
}

#define FOVEA_INSTANTIATE(T)                                                              \
  template void local_response_norm_forward(Cuda, const T*, LocalResponse, T*, RowShape); \
  template void local_response_norm_backward(Cuda, const T*, const T*, LocalResponse, T*, RowShape, bool);
FOVEA_INSTANTIATE(float)
FOVEA_INSTANTIATE(bfloat16)
#undef FOVEA_INSTANTIATE

}   // namespace fovea::kernels
