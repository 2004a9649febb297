// binary_cross_entropy_cuda.cu: forward, a group of just enough lanes for each row: the loss of every element, their sum and the check of
// the targets in one pass, 8 B an element of float (12 where the losses are wanted). Backward, four elements of a row a thread: 12 B (16 with dloss).
#include "kernels/binary_cross_entropy.h"

#include <cmath>

#include "kernels/cuda_rows.h"

namespace fovea::kernels {
namespace {

constexpr int kPiece = 4;   // elements of a thread at a time

/// The numbers that stand beside a piece of x; 1 where there is no array.
__device__ __forceinline__ Four<float> load_or_ones(const float* array, std::int64_t at, std::int64_t count) {
  return array ? load_four(array + at, count) : Four<float>{{1, 1, 1, 1}};
}

/// 2^shift lanes for each row.
template <class T>
__global__ void forward_kernel(const T* __restrict__ x, const float* __restrict__ t, const float* __restrict__ positive_weights,
                               float* __restrict__ loss, float* __restrict__ row_loss, RowShape s, int shift) {
  const std::int64_t row = (blockIdx.x * std::int64_t{kRowThreads} + threadIdx.x) >> shift;
  const int lanes = 1 << shift, lane = threadIdx.x & (lanes - 1);
  const std::int64_t cols = row < s.rows ? s.cols : 0;   // a group without a row stays for the shuffles
  float sum = 0;
  int bad = 0;
  for (std::int64_t j = lane * kPiece; j < cols; j += lanes * kPiece) {
    const std::int64_t i = row * s.cols + j, count = cols - j;
    const Four<T> logits = load_four(x + i, count);
    const Four<float> target = load_four(t + i, count), weight = load_or_ones(positive_weights, j, count);
    Four<float> value;
    FOVEA_UNROLL
    for (int k = 0; k < kPiece; ++k) {
      value[k] = BinaryCrossEntropy::value(float(logits[k]), target[k], weight[k]);
      if (k < count) sum += value[k];
      bad |= !(target[k] >= 0.f && target[k] <= 1.f);
    }
    if (loss) store_four(loss + i, value, count);
  }
  for (int half = lanes / 2; half > 0; half /= 2) {
    sum += __shfl_xor_sync(kFullWarp, sum, half);
    bad |= __shfl_xor_sync(kFullWarp, bad, half);
  }
  if (lane == 0 && row < s.rows) row_loss[row] = bad ? NAN : sum;
}

template <class T>
__global__ void backward_kernel(const T* x, const float* __restrict__ t, const float* __restrict__ positive_weights,
                                const float* __restrict__ dloss, bool each, float factor, T* dx, bool accumulate, RowGrid<float> grid) {
  const auto at = grid.piece();
  if (at.count <= 0) return;
  const std::int64_t i = at.row * grid.cols + at.col;
  const Four<T> logits = load_four(x + i, at.count);
  const Four<float> target = load_four(t + i, at.count), weight = load_or_ones(positive_weights, at.col, at.count);
  const Four<float> dl = load_or_ones(each ? dloss : nullptr, i, at.count);
  if (!each) factor *= *dloss;
  float gradient[kPiece];
  FOVEA_UNROLL
  for (int k = 0; k < kPiece; ++k) gradient[k] = factor * dl[k] * BinaryCrossEntropy::gradient(float(logits[k]), target[k], weight[k]);
  store_or_add_four(dx + i, gradient, at.count, accumulate);
}

}   // namespace

template <class T>
void binary_cross_entropy_forward(Cuda be, const T* x, const acc_t<T>* t, const acc_t<T>* positive_weights, acc_t<T>* loss,
                                  acc_t<T>* row_loss, RowShape s) {
  if (s.rows == 0) return;
  const int shift = shift_for(ceil_div(s.cols, kPiece), 5);
  launch(forward_kernel<T>, {.grid = blocks(s.rows, kRowThreads >> shift), .block = kRowThreads, .stream = be.stream}, x, t,
         positive_weights, loss, row_loss, s, shift);
}
template <class T>
void binary_cross_entropy_backward(Cuda be, const T* x, const acc_t<T>* t, const acc_t<T>* positive_weights, const acc_t<T>* dloss,
                                   bool each, acc_t<T> factor, T* dx, RowShape s, bool accumulate) {
  if (s.rows * s.cols == 0) return;
  const RowGrid<float> grid(s.rows, s.cols);
  launch(backward_kernel<T>, grid.launch_shape(be), x, t, positive_weights, dloss, each, factor, dx, accumulate, grid);
}

#define FOVEA_INSTANTIATE(T)                                                                                        \
  template void binary_cross_entropy_forward(Cuda, const T*, const float*, const float*, float*, float*, RowShape); \
  template void binary_cross_entropy_backward(Cuda, const T*, const float*, const float*, const float*, bool, float, T*, RowShape, bool);
FOVEA_INSTANTIATE(float)
FOVEA_INSTANTIATE(bfloat16)
#undef FOVEA_INSTANTIATE

}   // namespace fovea::kernels
