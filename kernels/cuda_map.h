// cuda_map.h: the elementwise skeleton of the Cuda backend. A formula is a struct with value(x...), generic over its number type; here that is
// float, whatever the arrays hold. At the speed of memory: each thread moves 16 bytes of every array at once.
#pragma once

#include "kernels/cuda.h"

namespace fovea::kernels {

constexpr int kMapThreads = 256;

/// y[i] = f.value(x[i]...), rounded once; or y[i] + that.
template <class F, class T, class... X> __device__ __forceinline__ T map_one(const F& f, bool accumulate, T old, X... x) {
  const float value = f.value(float(x)...);
  return T(accumulate ? float(old) + value : value);
}

/// Arrays that start at multiples of 16 bytes. The last thread with anything to do takes what does not fill a vector.
template <class F, class T, class... X> __global__ void map_vectors_kernel(std::int64_t n, F f, T* y, bool accumulate, const X*... x) {
  constexpr int kSize = Wide<T>::kSize;
  const std::int64_t i = (blockIdx.x * std::int64_t{kMapThreads} + threadIdx.x) * kSize;
  if (i + kSize <= n) {
    const Wide<T> old = accumulate ? load16(y + i) : Wide<T>{};
    const auto combine = [&](const auto&... in) {
      Wide<T> out;
      FOVEA_UNROLL
      for (int j = 0; j < kSize; ++j) out[j] = map_one(f, accumulate, old[j], in[j]...);
      return out;
    };
    store16(y + i, combine(load16(x + i)...));
  } else {
    for (std::int64_t j = i; j < n; ++j) y[j] = map_one(f, accumulate, accumulate ? y[j] : T{}, x[j]...);
  }
}
/// Any arrays, an element a thread.
template <class F, class T, class... X> __global__ void map_elements_kernel(std::int64_t n, F f, T* y, bool accumulate, const X*... x) {
  const std::int64_t i = blockIdx.x * std::int64_t{kMapThreads} + threadIdx.x;
  if (i < n) y[i] = map_one(f, accumulate, accumulate ? y[i] : T{}, x[i]...);
}

/// y[i] = f.value(x[i]...) for i < n, or += with accumulate. y may be any of the inputs.
template <class F, class T, class... X> void map(Cuda be, std::int64_t n, F f, T* y, bool accumulate, const X*... x) {
  if (n == 0) return;
  if (aligned16(y) && (aligned16(x) && ...))
    launch(map_vectors_kernel<F, T, X...>, {.grid = blocks(n, kMapThreads * Wide<T>::kSize), .block = kMapThreads, .stream = be.stream}, n,
           f, y, accumulate, x...);
  else
    launch(map_elements_kernel<F, T, X...>, {.grid = blocks(n, kMapThreads), .block = kMapThreads, .stream = be.stream}, n, f, y,
           accumulate, x...);
}

/// A formula's derivative as a map of its own: dx = gradient(x or y, dy).
template <class F> struct GradientOf {
  F f;
  FOVEA_INLINE float value(float x_or_y, float dy) const { return f.gradient(x_or_y, dy); }
};
template <class F> struct GradientFromOutput {
  F f;
  FOVEA_INLINE float value(float y, float dy) const { return f.gradient_from_output(y, dy); }
};

}   // namespace fovea::kernels
