// interpolate_reference.cpp: resizing as plain loops, and its transpose.
#include "kernels/interpolate.h"

namespace fovea::kernels {
namespace {

/// What pixel x weighs in output i.
double weight(const InterpolationAxis& axis, std::int64_t i, std::int64_t x) {
  const InterpolationTaps t = axis.taps(i);
  double sum = 0;
  for (int k = 0; k < t.count; ++k) sum += t.pixel[k] == x ? t.weight[k] : 0;   // at a border several taps may meet
  return sum;
}

}   // namespace

std::size_t interpolate_workspace_bytes(Reference, const InterpolationShape&) { return 0; }

template <class T> void interpolate_forward(Reference, const T* x, T* y, const InterpolationShape& s, void*) {
  for (std::int64_t n = 0; n < s.n; ++n)
    for (std::int64_t p = 0; p < s.rows.out; ++p)
      for (std::int64_t q = 0; q < s.columns.out; ++q)
        for (std::int64_t c = 0; c < s.c; ++c) {
          const InterpolationTaps rows = s.rows.taps(p), columns = s.columns.taps(q);
          double sum = 0;
          for (int i = 0; i < rows.count; ++i)
            for (int j = 0; j < columns.count; ++j)
              sum += rows.weight[i] * columns.weight[j] * x[((n * s.rows.in + rows.pixel[i]) * s.columns.in + columns.pixel[j]) * s.c + c];
          y[((n * s.rows.out + p) * s.columns.out + q) * s.c + c] = T(sum);
        }
}

template <class T> void interpolate_backward(Reference, const T* dy, T* dx, const InterpolationShape& s, bool accumulate, void*) {
  for (std::int64_t n = 0; n < s.n; ++n)
    for (std::int64_t h = 0; h < s.rows.in; ++h)
      for (std::int64_t w = 0; w < s.columns.in; ++w)
        for (std::int64_t c = 0; c < s.c; ++c) {
          double sum = 0;
          for (std::int64_t p = 0; p < s.rows.out; ++p) {
            const double row = weight(s.rows, p, h);
            if (row == 0) continue;
            for (std::int64_t q = 0; q < s.columns.out; ++q)
              sum += row * weight(s.columns, q, w) * dy[((n * s.rows.out + p) * s.columns.out + q) * s.c + c];
          }
          T& target = dx[((n * s.rows.in + h) * s.columns.in + w) * s.c + c];
          target = T((accumulate ? target : 0) + sum);
        }
}

#define FOVEA_INSTANTIATE(T)                                                                    \
  template void interpolate_forward(Reference, const T*, T*, const InterpolationShape&, void*); \
  template void interpolate_backward(Reference, const T*, T*, const InterpolationShape&, bool, void*);
FOVEA_INSTANTIATE(float)
FOVEA_INSTANTIATE(double)
#undef FOVEA_INSTANTIATE

}   // namespace fovea::kernels
