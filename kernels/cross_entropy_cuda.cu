// cross_entropy_cuda.cu: a warp for each row, which reads the logits (and soft targets) once: maximum, normaliser and expected logit are
// kept under the largest entry so far, as in the online softmax (Milakov & Gimelshein 2018, arXiv:1805.02867, Algorithm 3), and moved when
// a larger one comes. 4 B a logit of float forward (8 with soft targets), 8 (12) backward. Lanes are joined in a fixed order.
//
// __expf suffices: its error grows with the distance from the maximum, e^-d (2 + 1.2 d) units, and stays below 3 in the sum.
#include "kernels/cross_entropy.h"

#include <cfloat>
#include <cmath>

#include "kernels/cuda_rows.h"

namespace fovea::kernels {
namespace {

constexpr int kPiece = 4;   // elements of a thread at a time

/// The target v_j = w_j (keep t_j + spread) of a piece of a row. Zero past its end.
template <class T> struct RowTarget {
  const float *probabilities, *weights;
  std::int64_t label;
  float keep, spread;

  __device__ __forceinline__ RowTarget(const CrossEntropyTarget<T>& t, std::int64_t row, std::int64_t cols)
      : probabilities(t.probabilities ? t.probabilities + row * cols : nullptr),
        weights(t.class_weights),
        label(t.labels ? t.labels[row] : -1),
        keep(1.f - t.smoothing),
        spread(t.smoothing / float(cols)) {}

  /// Columns j, j + 1, ..., of which `count` exist. False if a probability is none.
  __device__ __forceinline__ bool load(std::int64_t j, std::int64_t count, Four<float>& v) const {
    bool valid = true;
    if (probabilities) {
      v = load_four(probabilities + j, count);
      FOVEA_UNROLL
      for (int i = 0; i < kPiece; ++i) valid = valid && v[i] >= 0.f && v[i] <= 1.f;
    } else {
      FOVEA_UNROLL
      for (int i = 0; i < kPiece; ++i) v[i] = j + i == label ? 1.f : 0.f;
    }
    FOVEA_UNROLL
    for (int i = 0; i < kPiece; ++i) v[i] = i < count ? keep * v[i] + spread : 0.f;
    if (weights) {
      const Four<float> w = load_four(weights + j, count);
      FOVEA_UNROLL
      for (int i = 0; i < kPiece; ++i) v[i] *= w[i];
    }
    return valid;
  }
};

/// What is known of a row, under the largest entry so far.
struct Sums {
  float max = -FLT_MAX;   // not -inf: (-inf) - (-inf) is NaN when an entry is masked
  float z = 0;            // sum exp(x_j - max)
  float expected = 0;     // sum v_j (x_j - max)
  float total = 0;        // V = sum v_j

  __device__ __forceinline__ void move_to(float larger) {
    if (larger == max) return;
    z *= __expf(max - larger);
    if (total > 0) expected += total * (max - larger);   // else 0 * inf might come in
    max = larger;
  }
};

template <class T>
__global__ void forward_kernel(const T* __restrict__ x, CrossEntropyTarget<T> t, float* __restrict__ loss, float* __restrict__ kept,
                               RowShape s) {
  const std::int64_t row = row_of_warp();
  if (row >= s.rows) return;
  x += row * s.cols;
  const RowTarget<T> target(t, row, s.cols);
  Sums sums;
  bool valid = target.probabilities || (target.label >= 0 && target.label < s.cols);
  for (std::int64_t j = threadIdx.x * kPiece; j < s.cols; j += kWarp * kPiece) {
    const std::int64_t count = s.cols - j;
    const Four<T> logits = load_four(x + j, count);
    Four<float> v;
    float max = sums.max;
    valid = target.load(j, count, v) && valid;
    FOVEA_UNROLL
    for (int i = 0; i < kPiece; ++i)
      if (i < count) max = Max{}(float(logits[i]), max);
    sums.move_to(max);
    FOVEA_UNROLL
    for (int i = 0; i < kPiece; ++i) {
      if (i >= count) break;
      const float d = float(logits[i]) - max;
      sums.z += __expf(d);
      if (v[i] > 0) sums.expected += v[i] * d;   // else 0 * (-inf) would come in
      sums.total += v[i];
    }
  }
  sums.move_to(warp_all_reduce(sums.max, Max{}));
  const float z = warp_all_reduce(sums.z, Sum{}), expected = warp_all_reduce(sums.expected, Sum{});
  const float total = warp_all_reduce(sums.total, Sum{});
  valid = __all_sync(kFullWarp, valid);
  if (threadIdx.x > 0) return;
  loss[row] = valid ? total * logf(z) - expected : NAN;
  kept[3 * row] = sums.max;
  kept[3 * row + 1] = z;
  kept[3 * row + 2] = valid ? total : -1.f;
}

template <class T>
__global__ void backward_kernel(const T* x, CrossEntropyTarget<T> t, const float* __restrict__ kept, const float* __restrict__ dloss, T* dx,
                                RowShape s, bool accumulate) {
  const std::int64_t row = row_of_warp();
  if (row >= s.rows) return;
  x += row * s.cols;
  dx += row * s.cols;
  const RowTarget<T> target(t, row, s.cols);
  const float max = kept[3 * row], dl = dloss[row];
  const float factor = dl * kept[3 * row + 2] / kept[3 * row + 1];   // factor * exp(x - max) = dloss V p
  for (std::int64_t j = threadIdx.x * kPiece; j < s.cols; j += kWarp * kPiece) {
    const std::int64_t count = s.cols - j;
    const Four<T> logits = load_four(x + j, count);
    Four<float> v;
    target.load(j, count, v);
    float gradient[kPiece];
    FOVEA_UNROLL
    for (int i = 0; i < kPiece; ++i) gradient[i] = __expf(float(logits[i]) - max) * factor - dl * v[i];
    store_or_add_four(dx + j, gradient, count, accumulate);
  }
}

}   // namespace

template <class T>
void cross_entropy_forward(Cuda be, const T* x, const CrossEntropyTarget<T>& t, acc_t<T>* loss, acc_t<T>* kept, RowShape s) {
  if (s.rows > 0) launch(forward_kernel<T>, warp_for_each_row(be, s.rows), x, t, loss, kept, s);
}
template <class T>
void cross_entropy_backward(Cuda be, const T* x, const CrossEntropyTarget<T>& t, const acc_t<T>* kept, const acc_t<T>* dloss, T* dx,
                            RowShape s, bool accumulate) {
  if (s.rows > 0) launch(backward_kernel<T>, warp_for_each_row(be, s.rows), x, t, kept, dloss, dx, s, accumulate);
}

#define FOVEA_INSTANTIATE(T)                                                                                   \
  template void cross_entropy_forward(Cuda, const T*, const CrossEntropyTarget<T>&, float*, float*, RowShape); \
  template void cross_entropy_backward(Cuda, const T*, const CrossEntropyTarget<T>&, const float*, const float*, T*, RowShape, bool);
FOVEA_INSTANTIATE(float)
FOVEA_INSTANTIATE(bfloat16)
#undef FOVEA_INSTANTIATE

}   // namespace fovea::kernels
