// activation_reference.cpp: the formulas of activation.h, element by element in double.
#include "kernels/activation.h"
#include "kernels/map_reference.h"

namespace fovea::kernels {

namespace {
/// A formula whose gradient is asked for with the output.
template <class F> struct FromOutput {
  static double gradient(double y, double dy) { return F::gradient_from_output(y, dy); }
};
}   // namespace

template <class T> void activation_forward(Reference, Activation a, const T* x, T* y, std::int64_t n) {
  with_formula(a, [&](auto formula) { map(n, formula, y, false, x); });
}
template <class T> void activation_backward(Reference, Activation a, const T* kept, const T* dy, T* dx, std::int64_t n, bool accumulate) {
  with_formula(a, [&]<class F>(F formula) {
    if constexpr (F::kFromOutput)
      map_gradient(n, FromOutput<F>{}, dx, accumulate, kept, dy);
    else
      map_gradient(n, formula, dx, accumulate, kept, dy);
  });
}
template <class T> void leaky_relu_forward(Reference, double slope, const T* x, T* y, std::int64_t n) {
  map(n, LeakyRelu{slope}, y, false, x);
}
template <class T> void leaky_relu_backward(Reference, double slope, const T* x, const T* dy, T* dx, std::int64_t n, bool accumulate) {
  map_gradient(n, LeakyRelu{slope}, dx, accumulate, x, dy);
}

#define FOVEA_INSTANTIATE(T)                                                                            \
  template void activation_forward(Reference, Activation, const T*, T*, std::int64_t);                  \
  template void activation_backward(Reference, Activation, const T*, const T*, T*, std::int64_t, bool); \
  template void leaky_relu_forward(Reference, double, const T*, T*, std::int64_t);                      \
  template void leaky_relu_backward(Reference, double, const T*, const T*, T*, std::int64_t, bool);
FOVEA_INSTANTIATE(float)
FOVEA_INSTANTIATE(double)
#undef FOVEA_INSTANTIATE

}   // namespace fovea::kernels
