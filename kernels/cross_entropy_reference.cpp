// cross_entropy_reference.cpp: softmax cross-entropy, row by row, in double.
#include "kernels/cross_entropy.h"

#include <algorithm>
#include <cmath>

namespace fovea::kernels {
namespace {

/// v_j of row r.
template <class T> double target(const CrossEntropyTarget<T>& t, std::int64_t r, std::int64_t j, std::int64_t cols) {
  const double hard_or_soft = t.labels ? double(j == t.labels[r]) : double(t.probabilities[r * cols + j]);
  const double weight = t.class_weights ? t.class_weights[j] : 1.;
  return weight * ((1. - t.smoothing) * hard_or_soft + t.smoothing / double(cols));
}

template <class T> bool valid(const CrossEntropyTarget<T>& t, std::int64_t r, std::int64_t cols) {
  return !t.probabilities ||
         std::all_of(t.probabilities + r * cols, t.probabilities + (r + 1) * cols, [](auto p) { return p >= 0 && p <= 1; });
}

}   // namespace

template <class T>
void cross_entropy_forward(Reference, const T* x, const CrossEntropyTarget<T>& t, acc_t<T>* loss, acc_t<T>* kept, RowShape s) {
  for (std::int64_t r = 0; r < s.rows; ++r, x += s.cols) {
    const double max = *std::max_element(x, x + s.cols);
    double z = 0, total = 0, expected = 0;   // expected = sum_j v_j (x_j - max)
    for (std::int64_t j = 0; j < s.cols; ++j) {
      const double v = target(t, r, j, s.cols);
      z += std::exp(x[j] - max);
      total += v;
      if (v > 0) expected += v * (x[j] - max);   // else 0 * (-inf) would come in
    }
    loss[r] = acc_t<T>(total * std::log(z) - expected);
    kept[3 * r] = acc_t<T>(max);
    kept[3 * r + 1] = acc_t<T>(z);
    kept[3 * r + 2] = valid(t, r, s.cols) ? acc_t<T>(total) : acc_t<T>(-1);
  }
}

/// With p = softmax(x): d(log p_i) / dx_j = [i = j] - p_j, so d(-sum_i v_i log p_i) / dx_j = V p_j - v_j.
template <class T>
void cross_entropy_backward(Reference, const T* x, const CrossEntropyTarget<T>& t, const acc_t<T>* kept, const acc_t<T>* dloss, T* dx,
                            RowShape s, bool accumulate) {
  for (std::int64_t r = 0; r < s.rows; ++r, x += s.cols, dx += s.cols) {
    const double max = kept[3 * r], z = kept[3 * r + 1], total = kept[3 * r + 2];
    for (std::int64_t j = 0; j < s.cols; ++j)
      dx[j] = T((accumulate ? dx[j] : 0) + dloss[r] * (total * std::exp(x[j] - max) / z - target(t, r, j, s.cols)));
  }
}

#define FOVEA_INSTANTIATE(T)                                                                                \
  template void cross_entropy_forward(Reference, const T*, const CrossEntropyTarget<T>&, T*, T*, RowShape); \
  template void cross_entropy_backward(Reference, const T*, const CrossEntropyTarget<T>&, const T*, const T*, T*, RowShape, bool);
FOVEA_INSTANTIATE(float)
FOVEA_INSTANTIATE(double)
#undef FOVEA_INSTANTIATE

}   // namespace fovea::kernels
