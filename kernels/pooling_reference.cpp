// pooling_reference.cpp: maximum and mean over windows, bins and whole images as plain loops.
#include <cmath>

#include "kernels/pooling.h"

namespace fovea::kernels {

template <class T, class Place> void max_pool2d_forward(Reference, const T* x, T* y, Place* which, const Pool2dShape& s) {
  for (std::int64_t n = 0; n < s.n; ++n)
    for (std::int64_t p = 0; p < s.rows.out; ++p)
      for (std::int64_t q = 0; q < s.columns.out; ++q)
        for (std::int64_t c = 0; c < s.c; ++c) {
          T best = 0;
          std::int64_t place = -1;   // none yet: the first pixel is taken whatever it holds
          for (std::int64_t h = s.rows.begin(p); h < s.rows.end(p); ++h)
            for (std::int64_t w = s.columns.begin(q); w < s.columns.end(q); ++w) {
              const T value = x[((n * s.rows.in + h) * s.columns.in + w) * s.c + c];
              if (place < 0 || value > best || (std::isnan(value) && !std::isnan(best))) {
                best = value;
                place = (h - s.rows.origin(p)) * s.columns.longest() + w - s.columns.origin(q);
              }
            }
          const std::int64_t out = ((n * s.rows.out + p) * s.columns.out + q) * s.c + c;
          y[out] = best;
          which[out] = Place(place);
        }
}

template <class T, class Place>
void max_pool2d_backward(Reference, const T* dy, const Place* which, T* dx, const Pool2dShape& s, bool accumulate) {
  for (std::int64_t n = 0; n < s.n; ++n)
    for (std::int64_t h = 0; h < s.rows.in; ++h)
      for (std::int64_t w = 0; w < s.columns.in; ++w)
        for (std::int64_t c = 0; c < s.c; ++c) {
          double sum = 0;
          for (std::int64_t p = s.rows.first(h); p <= s.rows.last(h); ++p)
            for (std::int64_t q = s.columns.first(w); q <= s.columns.last(w); ++q) {
              const std::int64_t out = ((n * s.rows.out + p) * s.columns.out + q) * s.c + c;
              if (which[out] == (h - s.rows.origin(p)) * s.columns.longest() + w - s.columns.origin(q)) sum += dy[out];
            }
          T& target = dx[((n * s.rows.in + h) * s.columns.in + w) * s.c + c];
          target = T((accumulate ? target : 0) + sum);
        }
}

template <class T> void avg_pool2d_forward(Reference, const T* x, T* y, const Pool2dShape& s, AverageDivisor d) {
  for (std::int64_t n = 0; n < s.n; ++n)
    for (std::int64_t p = 0; p < s.rows.out; ++p)
      for (std::int64_t q = 0; q < s.columns.out; ++q)
        for (std::int64_t c = 0; c < s.c; ++c) {
          double sum = 0;
          for (std::int64_t h = s.rows.begin(p); h < s.rows.end(p); ++h)
            for (std::int64_t w = s.columns.begin(q); w < s.columns.end(q); ++w)
              sum += x[((n * s.rows.in + h) * s.columns.in + w) * s.c + c];
          y[((n * s.rows.out + p) * s.columns.out + q) * s.c + c] = T(sum / d.of(s, p, q));
        }
}

template <class T> void avg_pool2d_backward(Reference, const T* dy, T* dx, const Pool2dShape& s, AverageDivisor d, bool accumulate) {
  for (std::int64_t n = 0; n < s.n; ++n)
    for (std::int64_t h = 0; h < s.rows.in; ++h)
      for (std::int64_t w = 0; w < s.columns.in; ++w)
        for (std::int64_t c = 0; c < s.c; ++c) {
          double sum = 0;
          for (std::int64_t p = s.rows.first(h); p <= s.rows.last(h); ++p)
            for (std::int64_t q = s.columns.first(w); q <= s.columns.last(w); ++q) {
              sum += dy[((n * s.rows.out + p) * s.columns.out + q) * s.c + c] / d.of(s, p, q);
            }
          T& target = dx[((n * s.rows.in + h) * s.columns.in + w) * s.c + c];
          target = T((accumulate ? target : 0) + sum);
        }
}

template <class T> void global_avg_pool_forward(Reference, const T* x, T* y, GlobalPoolShape s) {
  for (std::int64_t n = 0; n < s.images; ++n)
    for (std::int64_t c = 0; c < s.c; ++c) {
      double sum = 0;
      for (std::int64_t i = 0; i < s.pixels; ++i) sum += x[(n * s.pixels + i) * s.c + c];
      y[n * s.c + c] = T(sum / double(s.pixels));
    }
}

template <class T> void global_avg_pool_backward(Reference, const T* dy, T* dx, GlobalPoolShape s, bool accumulate) {
  for (std::int64_t n = 0; n < s.images; ++n)
    for (std::int64_t i = 0; i < s.pixels; ++i)
      for (std::int64_t c = 0; c < s.c; ++c) {
        T& target = dx[(n * s.pixels + i) * s.c + c];
        target = T((accumulate ? target : 0) + dy[n * s.c + c] / double(s.pixels));
      }
}

#define FOVEA_INSTANTIATE_MAX(T, Place)                                                  \
  template void max_pool2d_forward(Reference, const T*, T*, Place*, const Pool2dShape&); \
  template void max_pool2d_backward(Reference, const T*, const Place*, T*, const Pool2dShape&, bool);
#define FOVEA_INSTANTIATE(T)                                                                            \
  FOVEA_INSTANTIATE_MAX(T, std::uint8_t)                                                                \
  FOVEA_INSTANTIATE_MAX(T, std::int64_t)                                                                \
  template void avg_pool2d_forward(Reference, const T*, T*, const Pool2dShape&, AverageDivisor);        \
  template void avg_pool2d_backward(Reference, const T*, T*, const Pool2dShape&, AverageDivisor, bool); \
  template void global_avg_pool_forward(Reference, const T*, T*, GlobalPoolShape);                      \
  template void global_avg_pool_backward(Reference, const T*, T*, GlobalPoolShape, bool);
FOVEA_INSTANTIATE(float)
FOVEA_INSTANTIATE(double)
#undef FOVEA_INSTANTIATE
#undef FOVEA_INSTANTIATE_MAX

}   // namespace fovea::kernels
