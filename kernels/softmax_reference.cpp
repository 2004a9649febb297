// softmax_reference.cpp: softmax and its logarithm, row by row, in double.
#include "kernels/softmax.h"

#include <algorithm>
#include <cmath>

namespace fovea::kernels {
namespace {

struct Normaliser {
  double max, z;   // softmax(x)_j = exp(x_j - max) / z
};
template <class T> Normaliser normaliser(const T* x, std::int64_t cols) {
  Normaliser n{.max = *std::max_element(x, x + cols), .z = 0};
  for (std::int64_t j = 0; j < cols; ++j) n.z += std::exp(x[j] - n.max);
  return n;
}

}   // namespace

template <class T> void softmax_forward(Reference, const T* x, T* y, RowShape s) {
  for (std::int64_t r = 0; r < s.rows; ++r, x += s.cols, y += s.cols) {
    const auto [max, z] = normaliser(x, s.cols);
    for (std::int64_t j = 0; j < s.cols; ++j) y[j] = T(std::exp(x[j] - max) / z);
  }
}

/// dy_i / dx_j = y_i ([i = j] - y_j), so dx_j = sum_i dL/dy_i y_i ([i = j] - y_j) = y_j (dL/dy_j - sum_i dL/dy_i y_i).
template <class T> void softmax_backward(Reference, const T* y, const T* dy, T* dx, RowShape s, bool accumulate) {
  for (std::int64_t r = 0; r < s.rows; ++r, y += s.cols, dy += s.cols, dx += s.cols) {
    double dot = 0;
    for (std::int64_t j = 0; j < s.cols; ++j) dot += double(dy[j]) * y[j];
    for (std::int64_t j = 0; j < s.cols; ++j) dx[j] = T((accumulate ? dx[j] : 0) + y[j] * (dy[j] - dot));
  }
}

template <class T> void log_softmax_forward(Reference, const T* x, T* y, RowShape s) {
  for (std::int64_t r = 0; r < s.rows; ++r, x += s.cols, y += s.cols) {
    const auto [max, z] = normaliser(x, s.cols);
    for (std::int64_t j = 0; j < s.cols; ++j) y[j] = T(x[j] - max - std::log(z));
  }
}

/// dy_i / dx_j = [i = j] - softmax(x)_j, and softmax(x) = exp(y).
template <class T> void log_softmax_backward(Reference, const T* y, const T* dy, T* dx, RowShape s, bool accumulate) {
  for (std::int64_t r = 0; r < s.rows; ++r, y += s.cols, dy += s.cols, dx += s.cols) {
    double sum = 0;
    for (std::int64_t j = 0; j < s.cols; ++j) sum += dy[j];
    for (std::int64_t j = 0; j < s.cols; ++j) dx[j] = T((accumulate ? dx[j] : 0) + dy[j] - std::exp(double(y[j])) * sum);
  }
}

#define FOVEA_INSTANTIATE(T)                                                         \
  template void softmax_forward(Reference, const T*, T*, RowShape);                  \
  template void softmax_backward(Reference, const T*, const T*, T*, RowShape, bool); \
  template void log_softmax_forward(Reference, const T*, T*, RowShape);              \
  template void log_softmax_backward(Reference, const T*, const T*, T*, RowShape, bool);
FOVEA_INSTANTIATE(float)
FOVEA_INSTANTIATE(double)
#undef FOVEA_INSTANTIATE

}   // namespace fovea::kernels
