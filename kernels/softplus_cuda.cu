// softplus_cuda.cu: the formula of softplus.h at the speed of memory: 8 B an element of float forward, 12 B backward.
#include "kernels/softplus.h"

#include "kernels/cuda_map.h"

namespace fovea::kernels {

template <class T> void softplus_forward(Cuda be, const T* x, T* y, std::int64_t n) { map(be, n, Softplus{}, y, false, x); }
template <class T> void softplus_backward(Cuda be, const T* x, const T* dy, T* dx, std::int64_t n, bool accumulate) {
  map(be, n, GradientOf<Softplus>{}, dx, accumulate, x, dy);
}

#define FOVEA_INSTANTIATE(T)                                        \
  template void softplus_forward(Cuda, const T*, T*, std::int64_t); \
  template void softplus_backward(Cuda, const T*, const T*, T*, std::int64_t, bool);
FOVEA_INSTANTIATE(float)
FOVEA_INSTANTIATE(bfloat16)
#undef FOVEA_INSTANTIATE

}   // namespace fovea::kernels
