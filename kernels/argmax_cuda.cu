// argmax_cuda.cu: a warp for each row; a lane keeps the first largest element of its own, then lanes meet in pairs.
#include "kernels/argmax.h"

#include <cfloat>

#include "kernels/cuda_rows.h"

namespace fovea::kernels {
namespace {

/// Ordered by value, then by place; a NaN (place -1) is beyond all.
struct Best {
  float value = -FLT_MAX;
  std::int64_t place = INT64_MAX;   // nobody's yet: any element is better, also -inf
  __device__ __forceinline__ void meet(float v, std::int64_t p) {
    if (place < 0 || p == INT64_MAX) return;
    if (p < 0 || place == INT64_MAX || v > value || (v == value && p < place)) value = v, place = p;
  }
};

template <class T> __global__ void argmax_kernel(const T* __restrict__ x, std::int64_t* __restrict__ which, RowShape s) {
  const std::int64_t row = row_of_warp();
  if (row >= s.rows) return;   // the whole warp leaves together, so the shuffles stay full
  x += row * s.cols;
  Best best;
  for (std::int64_t c = threadIdx.x * Wide<T>::kSize; c < s.cols; c += kWarp * Wide<T>::kSize) {
    const Wide<T> v = load_up_to(x + c, s.cols - c);
    FOVEA_UNROLL
    for (int j = 0; j < Wide<T>::kSize; ++j) {
      const float value = float(v[j]);
      if (c + j < s.cols) best.meet(value, value != value ? -1 : c + j);
    }
  }
  for (int lanes = kWarp / 2; lanes > 0; lanes /= 2) {
    const float value = __shfl_xor_sync(kFullWarp, best.value, lanes);
    const long long place = __shfl_xor_sync(kFullWarp, static_cast<long long>(best.place), lanes);
    best.meet(value, place);
  }
  if (threadIdx.x == 0) which[row] = best.place;
}

}   // namespace

template <class T> void argmax_rows(Cuda be, const T* x, std::int64_t* which, RowShape s) {
  if (s.rows > 0) launch(argmax_kernel<T>, warp_for_each_row(be, s.rows), x, which, s);
}
template void argmax_rows(Cuda, const float*, std::int64_t*, RowShape);
template void argmax_rows(Cuda, const bfloat16*, std::int64_t*, RowShape);

}   // namespace fovea::kernels
