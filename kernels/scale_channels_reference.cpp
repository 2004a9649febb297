// scale_channels_reference.cpp: plain loops, sums in double.
#include "kernels/scale_channels.h"

namespace fovea::kernels {

template <class T> void scale_channels_forward(Reference, const T* x, const T* s, T* y, ImageShape shape) {
  const auto [images, pixels, channels] = shape;
  for (std::int64_t n = 0; n < images; ++n)
    for (std::int64_t p = 0; p < pixels; ++p)
      for (std::int64_t c = 0; c < channels; ++c) {
        const std::int64_t i = (n * pixels + p) * channels + c;
        y[i] = T(double(x[i]) * s[n * channels + c]);
      }
}

template <class T> std::size_t scale_channels_workspace_bytes(Reference, ImageShape) { return 0; }

template <class T> void scale_channels_backward(Reference, const ScaleChannelsGradient<T>& a, ImageShape shape, void*) {
  const auto [images, pixels, channels] = shape;
  for (std::int64_t n = 0; n < images; ++n)
    for (std::int64_t c = 0; c < channels; ++c) {
      double ds = 0;
      for (std::int64_t p = 0; p < pixels; ++p) {
        const std::int64_t i = (n * pixels + p) * channels + c;
        ds += double(a.dy[i]) * a.x[i];
        if (a.dx) a.dx[i] = T((a.accumulate_dx ? a.dx[i] : 0) + double(a.dy[i]) * a.s[n * channels + c]);
      }
      if (a.ds) a.ds[n * channels + c] = T((a.accumulate_ds ? a.ds[n * channels + c] : 0) + ds);
    }
}

#define FOVEA_INSTANTIATE(T)                                                           \
  template void scale_channels_forward(Reference, const T*, const T*, T*, ImageShape); \
  template std::size_t scale_channels_workspace_bytes<T>(Reference, ImageShape);       \
  template void scale_channels_backward(Reference, const ScaleChannelsGradient<T>&, ImageShape, void*);
FOVEA_INSTANTIATE(float)
FOVEA_INSTANTIATE(double)
#undef FOVEA_INSTANTIATE

}   // namespace fovea::kernels
