// softmax_cuda.cu: one warp for each row; maximum and sum in one pass with the online normaliser of Milakov & Gimelshein 2018,
// "Online normalizer calculation for softmax" (arXiv:1805.02867), Algorithm 3. 8 B an element of float must move forward (x in, y
// out) and 12 B backward; the second read of a row mostly meets the first-level cache. Each lane takes every 32nd element, and the lanes
// are joined in a fixed order, so results are the same bits on every run.
#include "kernels/softmax.h"

#include <cfloat>

#include "kernels/cuda_rows.h"

namespace fovea::kernels {
namespace {

/// log sum_j exp(x_j), in two parts: the largest entry, and the sum of what remains under it.
struct Normaliser {
  float max, z;
};
template <class T> __device__ Normaliser normaliser(const T* __restrict__ x, std::int64_t cols) {
  float m = -FLT_MAX, z = 0;   // not -inf: (-inf) - (-inf) is NaN when an entry is masked
  for (std::int64_t c = threadIdx.x; c < cols; c += kWarp) {
    const float v = x[c], m_new = Max{}(v, m);
    z = z * __expf(m - m_new) + __expf(v - m_new);   // rescale what was summed under the old maximum
    m = m_new;
  }
  const float max = warp_all_reduce(m, Max{});
  return {.max = max, .z = warp_all_reduce(z * __expf(m - max), Sum{})};
}

// The two functions: the output of x under its row's normaliser; and of the gradient, what is summed over a row, and dx from that sum.
// A row without a finite entry has max = -FLT_MAX and z = 0: 0 / 0 is the NaN that it should be.
struct Softmax {
  struct Row {
    float max, z;
  };
  __device__ __forceinline__ static Row row(Normaliser n) { return {n.max, n.z}; }
  __device__ __forceinline__ static float value(float x, Row r) { return __expf(x - r.max) / r.z; }
  __device__ __forceinline__ static float term(float y, float dy) { return dy * y; }
  __device__ __forceinline__ static float gradient(float y, float dy, float sum) { return y * (dy - sum); }
};
struct LogSoftmax {
  struct Row {
    float max, log_z;
  };
  __device__ __forceinline__ static Row row(Normaliser n) { return {n.max, n.z > 0 ? logf(n.z) : n.z / n.z}; }
  __device__ __forceinline__ static float value(float x, Row r) { return x - r.max - r.log_z; }
  __device__ __forceinline__ static float term(float, float dy) { return dy; }
  __device__ __forceinline__ static float gradient(float y, float dy, float sum) { return dy - __expf(y) * sum; }
};

template <class F, class T> __global__ void forward_kernel(const T* __restrict__ x, T* __restrict__ y, RowShape s) {
  const std::int64_t row = row_of_warp();
  if (row >= s.rows) return;
  x += row * s.cols;
  y += row * s.cols;
  const typename F::Row r = F::row(normaliser(x, s.cols));
  for (std::int64_t c = threadIdx.x; c < s.cols; c += kWarp) y[c] = T(F::value(float(x[c]), r));
}

template <class F, class T> __global__ void backward_kernel(const T* y, const T* dy, T* dx, RowShape s, bool accumulate) {
  const std::int64_t row = row_of_warp();
  if (row >= s.rows) return;
  y += row * s.cols;
  dy += row * s.cols;
  dx += row * s.cols;
  float sum = 0;
  for (std::int64_t c = threadIdx.x; c < s.cols; c += kWarp) sum += F::term(float(y[c]), float(dy[c]));
  sum = warp_all_reduce(sum, Sum{});
  for (std::int64_t c = threadIdx.x; c < s.cols; c += kWarp) {
    const float g = F::gradient(float(y[c]), float(dy[c]), sum);
    dx[c] = T(accumulate ? float(dx[c]) + g : g);
  }
}

template <class F, class T> void forward(Cuda be, const T* x, T* y, RowShape s) {
  if (s.rows > 0) launch(forward_kernel<F, T>, warp_for_each_row(be, s.rows), x, y, s);
}
template <class F, class T> void backward(Cuda be, const T* y, const T* dy, T* dx, RowShape s, bool accumulate) {
  if (s.rows > 0) launch(backward_kernel<F, T>, warp_for_each_row(be, s.rows), y, dy, dx, s, accumulate);
}

}   // namespace

template <class T> void softmax_forward(Cuda be, const T* x, T* y, RowShape s) { forward<Softmax>(be, x, y, s); }
template <class T> void softmax_backward(Cuda be, const T* y, const T* dy, T* dx, RowShape s, bool accumulate) {
  backward<Softmax>(be, y, dy, dx, s, accumulate);
}
template <class T> void log_softmax_forward(Cuda be, const T* x, T* y, RowShape s) { forward<LogSoftmax>(be, x, y, s); }
template <class T> void log_softmax_backward(Cuda be, const T* y, const T* dy, T* dx, RowShape s, bool accumulate) {
  backward<LogSoftmax>(be, y, dy, dx, s, accumulate);
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
