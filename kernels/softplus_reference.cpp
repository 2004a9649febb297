// softplus_reference.cpp
#include "kernels/map_reference.h"
#include "kernels/softplus.h"

namespace fovea::kernels {

template <class T> void softplus_forward(Reference, const T* x, T* y, std::int64_t n) { map(n, Softplus{}, y, false, x); }
template <class T> void softplus_backward(Reference, const T* x, const T* dy, T* dx, std::int64_t n, bool accumulate) {
  map_gradient(n, Softplus{}, dx, accumulate, x, dy);
}

template void softplus_forward(Reference, const float*, float*, std::int64_t);
template void softplus_forward(Reference, const double*, double*, std::int64_t);
template void softplus_backward(Reference, const float*, const float*, float*, std::int64_t, bool);
template void softplus_backward(Reference, const double*, const double*, double*, std::int64_t, bool);

}   // namespace fovea::kernels
