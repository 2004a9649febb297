// moving_average_reference.cpp
#include "kernels/moving_average.h"

#include "kernels/map_reference.h"

namespace fovea::kernels {

template <class T> void moving_average(Reference, T* a, const T* w, double weight, std::int64_t n) {
  map(n, Toward{weight}, a, false, a, w);
}

template <class T> void exchange(Reference, T* a, T* b, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) {
    const T kept = a[i];
    a[i] = b[i];
    b[i] = kept;
  }
}

#define FOVEA_INSTANTIATE(T)                                                   \
  template void moving_average(Reference, T*, const T*, double, std::int64_t); \
  template void exchange(Reference, T*, T*, std::int64_t);
FOVEA_INSTANTIATE(float)
FOVEA_INSTANTIATE(double)
#undef FOVEA_INSTANTIATE

}   // namespace fovea::kernels
