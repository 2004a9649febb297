// dropout_cuda.cu: a thread moves 16 bytes and makes the random words for them: one Philox block serves four elements, some 100 integer
// instructions, which hides behind 32 B of memory traffic. 8 B an element must move in float (12 to accumulate); the mask is nowhere stored.
#include "kernels/dropout.h"

#include "kernels/cuda_rows.h"

namespace fovea::kernels {
namespace {

constexpr int kThreads = 256;

/// Words first, first + 1, ... of the key's stream; first is a multiple of 4.
template <int N> __device__ __forceinline__ void random_words(PhiloxKey key, std::int64_t first, std::uint32_t (&bits)[N]) {
  FOVEA_UNROLL
  for (int b = 0; b < N / 4; ++b) {
    const std::uint64_t block = std::uint64_t(first) / 4 + b;
    std::uint32_t c[4] = {std::uint32_t(block), std::uint32_t(block >> 32), std::uint32_t(key.stream), std::uint32_t(key.stream >> 32)};
    philox4x32(c, std::uint32_t(key.seed), std::uint32_t(key.seed >> 32));
    FOVEA_UNROLL
    for (int w = 0; w < 4; ++w) bits[4 * b + w] = c[w];
  }
}

template <class T>
__global__ void dropout_kernel(const T* x, T* y, std::int64_t n, std::uint64_t threshold, float scale, PhiloxKey key, bool accumulate) {
  constexpr int kSize = Wide<T>::kSize;
  const std::int64_t i = (blockIdx.x * std::int64_t{kThreads} + threadIdx.x) * kSize;
  if (i >= n) return;
  const Wide<T> v = load_up_to(x + i, n - i);
  std::uint32_t bits[kSize];
  random_words(key.advanced(), i, bits);
  float value[kSize];
  FOVEA_UNROLL
  for (int j = 0; j < kSize; ++j) value[j] = bits[j] >= threshold ? scale * float(v[j]) : 0.f;
  store_or_add_up_to(y + i, value, n - i, accumulate);
}

/// A row that goes is not read.
template <class T>
__global__ void drop_rows_kernel(const T* x, T* y, std::uint64_t threshold, float scale, PhiloxKey key, bool accumulate, RowGrid<T> grid) {
  const auto at = grid.piece();
  if (at.count <= 0) return;
  const bool stays = key.advanced().bits(std::uint64_t(at.row)) >= threshold;
  if (!stays && accumulate) return;
  const std::int64_t i = at.row * grid.cols + at.col;
  float value[Wide<T>::kSize] = {};
  if (stays) {
    const Wide<T> v = load_up_to(x + i, at.count);
    FOVEA_UNROLL
    for (int j = 0; j < Wide<T>::kSize; ++j) value[j] = scale * float(v[j]);
  }
  store_or_add_up_to(y + i, value, at.count, accumulate);
}

}   // namespace

template <class T> void dropout(Cuda be, const T* x, T* y, std::int64_t n, double p, PhiloxKey key, bool accumulate) {
  if (n == 0) return;
  const KeepRule rule(p);
  launch(dropout_kernel<T>, {.grid = blocks(n, kThreads * Wide<T>::kSize), .block = kThreads, .stream = be.stream}, x, y, n, rule.threshold,
         float(rule.scale), key, accumulate);
}
template <class T> void drop_rows(Cuda be, const T* x, T* y, RowShape s, double p, PhiloxKey key, bool accumulate) {
  if (s.rows * s.cols == 0) return;
  const KeepRule rule(p);
  const RowGrid<T> grid(s.rows, s.cols);
  launch(drop_rows_kernel<T>, grid.launch_shape(be), x, y, rule.threshold, float(rule.scale), key, accumulate, grid);
}

#define FOVEA_INSTANTIATE(T)                                                        \
  template void dropout(Cuda, const T*, T*, std::int64_t, double, PhiloxKey, bool); \
  template void drop_rows(Cuda, const T*, T*, RowShape, double, PhiloxKey, bool);
FOVEA_INSTANTIATE(float)
FOVEA_INSTANTIATE(bfloat16)
#undef FOVEA_INSTANTIATE

}   // namespace fovea::kernels
