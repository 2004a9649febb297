// cross_entropy_reference.cpp: softmax and its cross-entropy, row by row, in double.
#include <algorithm>
#include <cmath>

#include "kernels/cross_entropy.h"

namespace fovea::kernels {
namespace {

/// softmax(x)_j = exp(x_j - max) / z. Taking the maximum away first changes nothing but the range: exp cannot overflow.
struct Normaliser {
  double max, z;
};
template <class T> Normaliser normaliser(const T* x, std::int64_t cols) {
  Normaliser n{.max = *std::max_element(x, x + cols), .z = 0};
  for (std::int64_t j = 0; j < cols; ++j) n.z += std::exp(x[j] - n.max);
  return n;
}

}   // namespace

template <class T>
void cross_entropy_forward(Reference, const T* x, const std::int64_t* labels, acc_t<T> smoothing, acc_t<T>* loss, RowShape s) {
  for (std::int64_t r = 0; r < s.rows; ++r, x += s.cols) {
    const auto [max, z] = normaliser(x, s.cols);
    double expected = (1. - smoothing) * (x[labels[r]] - max);   // sum_j t_j (x_j - max)
    if (smoothing > 0)                                           // else 0 * (-inf) would come in
      for (std::int64_t j = 0; j < s.cols; ++j) expected += smoothing / double(s.cols) * (x[j] - max);
    loss[r] = acc_t<T>(std::log(z) - expected);   // the t_j sum to 1
  }
}

template <class T>
void cross_entropy_backward(Reference, const T* x, const std::int64_t* labels, acc_t<T> smoothing, const acc_t<T>* dloss, T* dx, RowShape s,
                            bool accumulate) {
  for (std::int64_t r = 0; r < s.rows; ++r, x += s.cols, dx += s.cols) {
    const auto [max, z] = normaliser(x, s.cols);
    for (std::int64_t j = 0; j < s.cols; ++j) {
      const double target = (j == labels[r] ? 1. - smoothing : 0.) + smoothing / double(s.cols);
      dx[j] = T((accumulate ? dx[j] : 0) + dloss[r] * (std::exp(x[j] - max) / z - target));
    }
  }
}

template <class T> void softmax(Reference, const T* x, T* y, RowShape s) {
  for (std::int64_t r = 0; r < s.rows; ++r, x += s.cols, y += s.cols) {
    const auto [max, z] = normaliser(x, s.cols);
    for (std::int64_t j = 0; j < s.cols; ++j) y[j] = T(std::exp(x[j] - max) / z);
  }
}

#define FOVEA_INSTANTIATE(T)                                                                                       \
  template void cross_entropy_forward(Reference, const T*, const std::int64_t*, T, T*, RowShape);                  \
  template void cross_entropy_backward(Reference, const T*, const std::int64_t*, T, const T*, T*, RowShape, bool); \
  template void softmax(Reference, const T*, T*, RowShape);
FOVEA_INSTANTIATE(float)
FOVEA_INSTANTIATE(double)
#undef FOVEA_INSTANTIATE

}   // namespace fovea::kernels
