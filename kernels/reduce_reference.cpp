// reduce_reference.cpp: sums along either axis of a matrix, in double.
#include "kernels/reduce.h"

namespace fovea::kernels {

template <class T> std::size_t reduce_workspace_bytes(Reference, RowShape) { return 0; }

template <class T> void sum_rows(Reference, const T* x, acc_t<T> factor, acc_t<T>* y, RowShape s, bool accumulate, void*) {
  for (std::int64_t c = 0; c < s.cols; ++c) {
    double sum = 0;
    for (std::int64_t r = 0; r < s.rows; ++r) sum += x[r * s.cols + c];
    y[c] = acc_t<T>((accumulate ? y[c] : 0) + factor * sum);
  }
}

template <class T> void sum_cols(Reference, const T* x, acc_t<T> factor, acc_t<T>* y, RowShape s, bool accumulate, void*) {
  for (std::int64_t r = 0; r < s.rows; ++r) {
    double sum = 0;
    for (std::int64_t c = 0; c < s.cols; ++c) sum += x[r * s.cols + c];
    y[r] = acc_t<T>((accumulate ? y[r] : 0) + factor * sum);
  }
}

#define FOVEA_INSTANTIATE(T)                                                 \
  template std::size_t reduce_workspace_bytes<T>(Reference, RowShape);       \
  template void sum_rows(Reference, const T*, T, T*, RowShape, bool, void*); \
  template void sum_cols(Reference, const T*, T, T*, RowShape, bool, void*);
FOVEA_INSTANTIATE(float)
FOVEA_INSTANTIATE(double)
#undef FOVEA_INSTANTIATE

}   // namespace fovea::kernels
