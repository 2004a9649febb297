// softmax_cuda.cu: one warp for each row; maximum and sum in one pass with the online normaliser of Milakov & Gimelshein 2018,
// "Online normalizer calculation for softmax" (arXiv:1805.02867), Algorithm 3. 8 B an element of float must move forward (x in, y
// out) and 12 B backward; the second read of a row mostly meets the first-level cache. Each lane takes every 32nd element, and the lanes
// are joined in a fixed order, so results are the same bits on every run.
#include "kernels/softmax.h"

#include <cfloat>

#include "kernels/cuda.h"

namespace fovea::kernels {
namespace {

constexpr int kWarpsPerBlock = 4;

/// log sum_j exp(x_j), in two parts: the largest entry, and the sum of what remains under it.
struct Normaliser {
  float max, z;
};
template <class T> __device__ Normaliser normaliser(const T* __restrict__ x, std::int64_t cols) {
  float m = -FLT_MAX, z = 0;   // not -inf: (-inf) - (-inf) is NaN when an entry is masked
  for (std::int64_t c = threadIdx.x; c < cols; c += kWarp) {
    const float v = x[c], m_new = v > m || v != v ? v : m;   // a NaN is the largest of all, and stays
    z = z * __expf(m - m_new) + __expf(v - m_new);           // rescale what was summed under the old maximum
    m = m_new;
  }
  const float max = warp_all_reduce(m, [](float a, float b) { return a > b || a != a ? a : b; });
  return {.max = max, .z = warp_all_reduce(z * __expf(m - max), Sum{})};
}

// A row without a finite entry has m = -FLT_MAX, z = 0, and 0 / 0 is the NaN that it should be.
template <class T> __global__ void softmax_forward_kernel(const T* __restrict__ x, T* __restrict__ y, RowShape s) {
  const std::int64_t row = blockIdx.x * std::int64_t{kWarpsPerBlock} + threadIdx.y;
  if (row >= s.rows) return;   // the whole warp leaves together, so the shuffles stay full
  x += row * s.cols;
  y += row * s.cols;
  const Normaliser n = normaliser(x, s.cols);
  for (std::int64_t c = threadIdx.x; c < s.cols; c += kWarp) y[c] = T(__expf(float(x[c]) - n.max) / n.z);
}

template <class T> __global__ void softmax_backward_kernel(const T* y, const T* dy, T* dx, RowShape s, bool accumulate) {
  const std::int64_t row = blockIdx.x * std::int64_t{kWarpsPerBlock} + threadIdx.y;
  if (row >= s.rows) return;
  y += row * s.cols;
  dy += row * s.cols;
  dx += row * s.cols;
  float dot = 0;
  for (std::int64_t c = threadIdx.x; c < s.cols; c += kWarp) dot += float(dy[c]) * float(y[c]);
  dot = warp_all_reduce(dot, Sum{});
  for (std::int64_t c = threadIdx.x; c < s.cols; c += kWarp) {
    const float g = float(y[c]) * (float(dy[c]) - dot);
    dx[c] = T(accumulate ? float(dx[c]) + g : g);
  }
}

template <class T> __global__ void log_softmax_forward_kernel(const T* __restrict__ x, T* __restrict__ y, RowShape s) {
  const std::int64_t row = blockIdx.x * std::int64_t{kWarpsPerBlock} + threadIdx.y;
  if (row >= s.rows) return;
  x += row * s.cols;
  y += row * s.cols;
  const Normaliser n = normaliser(x, s.cols);
  const float log_z = n.z > 0 ? logf(n.z) : n.z / n.z;   // 0 / 0 = NaN where no entry is finite
  for (std::int64_t c = threadIdx.x; c < s.cols; c += kWarp) y[c] = T(float(x[c]) - n.max - log_z);
}

template <class T> __global__ void log_softmax_backward_kernel(const T* y, const T* dy, T* dx, RowShape s, bool accumulate) {
  const std::int64_t row = blockIdx.x * std::int64_t{kWarpsPerBlock} + threadIdx.y;
  if (row >= s.rows) return;
  y += row * s.cols;
  dy += row * s.cols;
  dx += row * s.cols;
  float sum = 0;
  for (std::int64_t c = threadIdx.x; c < s.cols; c += kWarp) sum += float(dy[c]);
  sum = warp_all_reduce(sum, Sum{});
  for (std::int64_t c = threadIdx.x; c < s.cols; c += kWarp) {
    const float g = float(dy[c]) - __expf(float(y[c])) * sum;
    dx[c] = T(accumulate ? float(dx[c]) + g : g);
  }
}

LaunchShape warp_for_each_row(Cuda be, RowShape s) {
  return {.grid = blocks(s.rows, kWarpsPerBlock), .block = {kWarp, kWarpsPerBlock}, .stream = be.stream};
}

}   // namespace

template <class T> void softmax_forward(Cuda be, const T* x, T* y, RowShape s) {
  if (s.rows == 0) return;
  launch(softmax_forward_kernel<T>, warp_for_each_row(be, s), x, y, s);
}
template <class T> void softmax_backward(Cuda be, const T* y, const T* dy, T* dx, RowShape s, bool accumulate) {
  if (s.rows == 0) return;
  launch(softmax_backward_kernel<T>, warp_for_each_row(be, s), y, dy, dx, s, accumulate);
}
template <class T> void log_softmax_forward(Cuda be, const T* x, T* y, RowShape s) {
  if (s.rows == 0) return;
  launch(log_softmax_forward_kernel<T>, warp_for_each_row(be, s), x, y, s);
}
template <class T> void log_softmax_backward(Cuda be, const T* y, const T* dy, T* dx, RowShape s, bool accumulate) {
  if (s.rows == 0) return;
  launch(log_softmax_backward_kernel<T>, warp_for_each_row(be, s), y, dy, dx, s, accumulate);
}

#define FOVEA_INSTANTIATE(T)                                                    \
  template void softmax_forward(Cuda, const T*, T*, RowShape);                  \
  template void softmax_backward(Cuda, const T*, const T*, T*, RowShape, bool); \
  template void log_softmax_forward(Cuda, const T*, T*, RowShape);              \
  template void log_softmax_backward(Cuda, const T*, const T*, T*, RowShape, bool);
FOVEA_INSTANTIATE(float)
FOVEA_INSTANTIATE(bfloat16)
#undef FOVEA_INSTANTIATE

}   // namespace fovea::kernels
