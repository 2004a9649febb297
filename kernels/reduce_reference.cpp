// reduce_reference.cpp: reductions along the middle axis of (outer, axis, inner), in double.
#include <cmath>

#include "kernels/reduce.h"

namespace fovea::kernels {

namespace {

/// f(k, first) for every output k = o * inner + i; its elements are at first, first + inner, ..., `axis` of them.
template <class F> void for_outputs(AxisShape s, F f) {
  for (std::int64_t o = 0; o < s.outer; ++o)
    for (std::int64_t i = 0; i < s.inner; ++i) f(o * s.inner + i, o * s.axis * s.inner + i);
}

/// y[k] = factor * sum of term(element, k), or +=.
template <class A, class Term> void sum_terms(A factor, A* y, AxisShape s, bool accumulate, Term term) {
  for_outputs(s, [&](std::int64_t k, std::int64_t first) {
    double sum = 0;
    for (std::int64_t a = 0; a < s.axis; ++a) sum += term(first + a * s.inner, k);
    y[k] = A((accumulate ? y[k] : 0) + factor * sum);
  });
}

}   // namespace

template <class T> std::size_t reduce_workspace_bytes(Reference, AxisShape) { return 0; }
template <class T> std::size_t max_axis_workspace_bytes(Reference, AxisShape) { return 0; }

template <class T> void sum_axis(Reference, const T* x, acc_t<T> factor, acc_t<T>* y, AxisShape s, bool accumulate, void*) {
  sum_terms(factor, y, s, accumulate, [=](std::int64_t i, std::int64_t) { return double(x[i]); });
}
template <class T> void dot_axis(Reference, const T* x, const T* z, acc_t<T> factor, acc_t<T>* y, AxisShape s, bool accumulate, void*) {
  sum_terms(factor, y, s, accumulate, [=](std::int64_t i, std::int64_t) { return double(x[i]) * double(z[i]); });
}
template <class T> void deviation_axis(Reference, const T* x, const acc_t<T>* mean, acc_t<T> factor, acc_t<T>* y, AxisShape s, void*) {
  sum_terms(factor, y, s, false, [=](std::int64_t i, std::int64_t k) {
    const double d = double(x[i]) - double(mean[k]);
    return d * d;
  });
}

template <class T>
void deviation_axis_backward(Reference, const T* x, const acc_t<T>* mean, const acc_t<T>* dy, acc_t<T> factor, T* dx, AxisShape s,
                             bool accumulate) {
  for_outputs(s, [&](std::int64_t k, std::int64_t first) {
    for (std::int64_t a = 0; a < s.axis; ++a) {
      const std::int64_t i = first + a * s.inner;
      const double value = 2. * factor * double(dy[k]) * (double(x[i]) - double(mean[k]));
      dx[i] = T(accumulate ? dx[i] + value : value);
    }
  });
}

template <class T> void max_axis(Reference, const T* x, T* y, AxisShape s) {
  for_outputs(s, [&](std::int64_t k, std::int64_t first) {
    T largest = x[first];
    for (std::int64_t a = 1; a < s.axis; ++a) {
      const T next = x[first + a * s.inner];
      if (next > largest || std::isnan(next)) largest = next;
    }
    y[k] = largest;
  });
}

template <class T> void max_axis_backward(Reference, const T* x, const T* y, const T* dy, T* dx, AxisShape s, bool accumulate, void*) {
  for_outputs(s, [&](std::int64_t k, std::int64_t first) {
    double equal = 0;
    for (std::int64_t a = 0; a < s.axis; ++a) equal += x[first + a * s.inner] == y[k];
    for (std::int64_t a = 0; a < s.axis; ++a) {
      const std::int64_t i = first + a * s.inner;
      const double value = (x[i] == y[k]) * (double(dy[k]) / equal);   // a product, so that x / 0 shows when y is NaN
      dx[i] = T(accumulate ? dx[i] + value : value);
    }
  });
}

#define FOVEA_INSTANTIATE(T)                                                                              \
  template std::size_t reduce_workspace_bytes<T>(Reference, AxisShape);                                   \
  template std::size_t max_axis_workspace_bytes<T>(Reference, AxisShape);                                 \
  template void sum_axis(Reference, const T*, T, T*, AxisShape, bool, void*);                             \
  template void dot_axis(Reference, const T*, const T*, T, T*, AxisShape, bool, void*);                   \
  template void deviation_axis(Reference, const T*, const T*, T, T*, AxisShape, void*);                   \
  template void deviation_axis_backward(Reference, const T*, const T*, const T*, T, T*, AxisShape, bool); \
  template void max_axis(Reference, const T*, T*, AxisShape);                                             \
  template void max_axis_backward(Reference, const T*, const T*, const T*, T*, AxisShape, bool, void*);
FOVEA_INSTANTIATE(float)
FOVEA_INSTANTIATE(double)
#undef FOVEA_INSTANTIATE

}   // namespace fovea::kernels
