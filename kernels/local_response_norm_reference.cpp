// local_response_norm_reference.cpp: every window summed by itself, in double.
#include "kernels/local_response_norm.h"

#include <algorithm>
#include <cmath>

namespace fovea::kernels {
namespace {

/// d[c] of a row.
template <class T> double denominator(const T* x, LocalResponse o, std::int64_t c, std::int64_t cols) {
  double sum = 0;
  const std::int64_t last = std::min(cols - 1, c + (o.size - 1) / 2);
  for (std::int64_t j = std::max<std::int64_t>(0, c - o.size / 2); j <= last; ++j) sum += double(x[j]) * x[j];
  return o.k + o.alpha / double(o.size) * sum;
}

}   // namespace

template <class T> void local_response_norm_forward(Reference, const T* x, LocalResponse o, T* y, RowShape s) {
  for (std::int64_t r = 0; r < s.rows; ++r, x += s.cols, y += s.cols)
    for (std::int64_t c = 0; c < s.cols; ++c) y[c] = T(x[c] * std::pow(denominator(x, o, c, s.cols), -o.beta));
}

template <class T>
void local_response_norm_backward(Reference, const T* x, const T* dy, LocalResponse o, T* dx, RowShape s, bool accumulate) {
  for (std::int64_t r = 0; r < s.rows; ++r, x += s.cols, dy += s.cols, dx += s.cols)
    for (std::int64_t c = 0; c < s.cols; ++c) {
      double through_windows = 0;
      const std::int64_t last = std::min(s.cols - 1, c + o.size / 2);
      for (std::int64_t j = std::max<std::int64_t>(0, c - (o.size - 1) / 2); j <= last; ++j)
        through_windows += double(dy[j]) * x[j] * std::pow(denominator(x, o, j, s.cols), -o.beta - 1);
      const double direct = dy[c] * std::pow(denominator(x, o, c, s.cols), -o.beta);
      dx[c] = T((accumulate ? dx[c] : 0) + direct - 2 * o.alpha * o.beta / double(o.size) * x[c] * through_windows);
    }
}

#define FOVEA_INSTANTIATE(T)                                                                   \
  template void local_response_norm_forward(Reference, const T*, LocalResponse, T*, RowShape); \
  template void local_response_norm_backward(Reference, const T*, const T*, LocalResponse, T*, RowShape, bool);
FOVEA_INSTANTIATE(float)
FOVEA_INSTANTIATE(double)
#undef FOVEA_INSTANTIATE

}   // namespace fovea::kernels
