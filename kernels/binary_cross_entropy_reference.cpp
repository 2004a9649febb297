// binary_cross_entropy_reference.cpp
#include "kernels/binary_cross_entropy.h"

namespace fovea::kernels {

template <class T>
void binary_cross_entropy_forward(Reference, const T* x, const acc_t<T>* t, const acc_t<T>* positive_weights, acc_t<T>* loss,
                                  acc_t<T>* row_loss, RowShape s) {
  for (std::int64_t r = 0; r < s.rows; ++r) {
    double sum = 0;
    bool valid = true;
    for (std::int64_t j = 0; j < s.cols; ++j) {
      const std::int64_t i = r * s.cols + j;
      const double value = BinaryCrossEntropy::value(double(x[i]), double(t[i]), positive_weights ? double(positive_weights[j]) : 1.);
      if (loss) loss[i] = acc_t<T>(value);
      sum += value;
      valid = valid && t[i] >= 0 && t[i] <= 1;
    }
    row_loss[r] = valid ? acc_t<T>(sum) : acc_t<T>(-1);
  }
}

template <class T>
void binary_cross_entropy_backward(Reference, const T* x, const acc_t<T>* t, const acc_t<T>* positive_weights, const acc_t<T>* dloss,
                                   bool each, acc_t<T> factor, T* dx, RowShape s, bool accumulate) {
  for (std::int64_t r = 0; r < s.rows; ++r)
    for (std::int64_t j = 0; j < s.cols; ++j) {
      const std::int64_t i = r * s.cols + j;
      const double slope = BinaryCrossEntropy::gradient(double(x[i]), double(t[i]), positive_weights ? double(positive_weights[j]) : 1.);
      dx[i] = T((accumulate ? dx[i] : 0) + double(factor) * dloss[each ? i : 0] * slope);
    }
}

#define FOVEA_INSTANTIATE(T)                                                                             \
  template void binary_cross_entropy_forward(Reference, const T*, const T*, const T*, T*, T*, RowShape); \
  template void binary_cross_entropy_backward(Reference, const T*, const T*, const T*, const T*, bool, T, T*, RowShape, bool);
FOVEA_INSTANTIATE(float)
FOVEA_INSTANTIATE(double)
#undef FOVEA_INSTANTIATE

}   // namespace fovea::kernels
