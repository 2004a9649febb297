// cuda_colours.h: in front of a network's first layer three colours become four, the last of them 0. Three do not fill a copy to shared memory: each
// would travel alone, and bfloat16, too small even for that, through registers. Four are one copy of 8 or 16 bytes. It costs a pass, 7 elements a
// pixel (3 read, 4 written), and a third more products; then the layer runs as the others do. The zeros change no bit of a sum.
#pragma once

#include "kernels/conv2d.h"
#include "kernels/cuda.h"

namespace fovea::kernels {

inline bool has_colours(const Conv2dShape& s) { return s.c == 3 && s.groups == 1; }
inline Conv2dShape with_four_colours(Conv2dShape s) {
  s.c = 4;
  return s;
}
/// Of `n` times four T, in whole pieces of 16.
template <class T> std::size_t bytes_of_fours(std::int64_t n) {
  return static_cast<std::size_t>(ceil_div(4 * n * std::int64_t{sizeof(T)}, 16) * 16);
}

constexpr int kColourThreads = 256;

template <class T> __global__ void widen_colours_kernel(const T* __restrict__ x, T* y, std::int64_t n) {
  const std::int64_t i = blockIdx.x * std::int64_t{kColourThreads} + threadIdx.x;
  if (i < n) store4(y + 4 * i, Four<T>{x[3 * i], x[3 * i + 1], x[3 * i + 2], T(0.f)});
}
/// y (n, 4) from x (n, 3); y is a multiple of 16 bytes.
template <class T> void widen_colours(Cuda be, const T* x, T* y, std::int64_t n) {
  if (n > 0) launch(widen_colours_kernel<T>, {.grid = blocks(n, kColourThreads), .block = kColourThreads, .stream = be.stream}, x, y, n);
}

template <class T> __global__ void narrow_colours_kernel(const T* __restrict__ x, T* y, std::int64_t n, bool accumulate) {
  const std::int64_t i = blockIdx.x * std::int64_t{kColourThreads} + threadIdx.x;
  if (i >= n) return;
  const Four<T> v = load4(x + 4 * i);
  FOVEA_UNROLL
  for (int j = 0; j < 3; ++j) y[3 * i + j] = accumulate ? y[3 * i + j] + v[j] : v[j];
}
/// y (n, 3) = x (n, 4) without the last, or y + that.
template <class T> void narrow_colours(Cuda be, const T* x, T* y, std::int64_t n, bool accumulate) {
  if (n > 0)
    launch(narrow_colours_kernel<T>, {.grid = blocks(n, kColourThreads), .block = kColourThreads, .stream = be.stream}, x, y, n,
           accumulate);
}

}   // namespace fovea::kernels
