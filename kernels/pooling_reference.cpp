// pooling_reference.cpp: max pooling and global average pooling as plain loops.
#include <cmath>

#include "kernels/pooling.h"

namespace fovea::kernels {

template <class T> void max_pool2d_forward(Reference, const T* x, T* y, std::uint8_t* which, const Pool2dShape& s) {
  for (std::int64_t n = 0; n < s.n; ++n)
    for (std::int64_t p = 0; p < s.p(); ++p)
      for (std::int64_t q = 0; q < s.q(); ++q)
        for (std::int64_t c = 0; c < s.c; ++c) {
          T best = 0;
          std::int64_t place = -1;   // none yet: the first pixel inside the image is taken whatever it holds
          for (std::int64_t i = 0; i < s.kernel_h; ++i)
            for (std::int64_t j = 0; j < s.kernel_w; ++j) {
              const std::int64_t h = p * s.stride_h - s.pad_h + i, w = q * s.stride_w - s.pad_w + j;
              if (h < 0 || h >= s.h || w < 0 || w >= s.w) continue;
              const T value = x[((n * s.h + h) * s.w + w) * s.c + c];
              if (place < 0 || value > best || (std::isnan(value) && !std::isnan(best))) {
                best = value;
                place = i * s.kernel_w + j;
              }
            }
          const std::int64_t out = ((n * s.p() + p) * s.q() + q) * s.c + c;
          y[out] = best;
          which[out] = std::uint8_t(place);
        }
}

template <class T>
void max_pool2d_backward(Reference, const T* dy, const std::uint8_t* which, T* dx, const Pool2dShape& s, bool accumulate) {
  for (std::int64_t n = 0; n < s.n; ++n)
    for (std::int64_t h = 0; h < s.h; ++h)
      for (std::int64_t w = 0; w < s.w; ++w)
        for (std::int64_t c = 0; c < s.c; ++c) {
          double sum = 0;
          for (std::int64_t p = 0; p < s.p(); ++p)
            for (std::int64_t q = 0; q < s.q(); ++q) {
              const std::int64_t i = h + s.pad_h - p * s.stride_h, j = w + s.pad_w - q * s.stride_w;   // (h, w)'s place in the window
              if (i < 0 || i >= s.kernel_h || j < 0 || j >= s.kernel_w) continue;
              const std::int64_t out = ((n * s.p() + p) * s.q() + q) * s.c + c;
              if (which[out] == i * s.kernel_w + j) sum += dy[out];
            }
          T& target = dx[((n * s.h + h) * s.w + w) * s.c + c];
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

#define FOVEA_INSTANTIATE(T)                                                                                 \
  template void max_pool2d_forward(Reference, const T*, T*, std::uint8_t*, const Pool2dShape&);              \
  template void max_pool2d_backward(Reference, const T*, const std::uint8_t*, T*, const Pool2dShape&, bool); \
  template void global_avg_pool_forward(Reference, const T*, T*, GlobalPoolShape);                           \
  template void global_avg_pool_backward(Reference, const T*, T*, GlobalPoolShape, bool);
FOVEA_INSTANTIATE(float)
FOVEA_INSTANTIATE(double)
#undef FOVEA_INSTANTIATE

}   // namespace fovea::kernels
