// activation_cuda.cu: the formulas of activation.h, 16 bytes a thread at the speed of memory: 8 B an element of float forward, 12 B backward.
#include "kernels/activation.h"

#include "kernels/cuda_map.h"

namespace fovea::kernels {

template <class T> void activation_forward(Cuda be, Activation a, const T* x, T* y, std::int64_t n) {
  with_formula(a, [&](auto formula) { map(be, n, formula, y, false, x); });
}
template <class T> void activation_backward(Cuda be, Activation a, const T* kept, const T* dy, T* dx, std::int64_t n, bool accumulate) {
  with_formula(a, [&]<class F>(F formula) {
    if constexpr (F::kFromOutput)
      map(be, n, GradientFromOutput<F>{formula}, dx, accumulate, kept, dy);
    else
      map(be, n, GradientOf<F>{formula}, dx, accumulate, kept, dy);
  });
}
template <class T> void leaky_relu_forward(Cuda be, double slope, const T* x, T* y, std::int64_t n) {
  map(be, n, LeakyRelu{slope}, y, false, x);
}
template <class T> void leaky_relu_backward(Cuda be, double slope, const T* x, const T* dy, T* dx, std::int64_t n, bool accumulate) {
  map(be, n, GradientOf<LeakyRelu>{{slope}}, dx, accumulate, x, dy);
}

#define FOVEA_INSTANTIATE(T)                                                                       \
  template void activation_forward(Cuda, Activation, const T*, T*, std::int64_t);                  \
  template void activation_backward(Cuda, Activation, const T*, const T*, T*, std::int64_t, bool); \
  template void leaky_relu_forward(Cuda, double, const T*, T*, std::int64_t);                      \
  template void leaky_relu_backward(Cuda, double, const T*, const T*, T*, std::int64_t, bool);
FOVEA_INSTANTIATE(float)
FOVEA_INSTANTIATE(bfloat16)
#undef FOVEA_INSTANTIATE

}   // namespace fovea::kernels
