// activation_cpu.cpp: the formulas of activation.h on 16 lanes at a time, at the speed of memory.
#include "kernels/activation.h"

#include "kernels/cpu/isa.h"
#include "kernels/cpu/map.h"
#include "kernels/cpu/math.h"

namespace fovea::kernels {

template <class T> struct ActivationFunctions {
  void (*forward)(Activation, const T*, T*, std::int64_t);
  void (*backward)(Activation, const T*, const T*, T*, std::int64_t, bool);
  void (*leaky_relu_forward)(double, const T*, T*, std::int64_t);
  void (*leaky_relu_backward)(double, const T*, const T*, T*, std::int64_t, bool);
};
struct ActivationTable {
  ActivationFunctions<float> f32;
  ActivationFunctions<bfloat16> bf16;
};
FOVEA_ISA_TABLES(ActivationTable, activation_table)

namespace FOVEA_ISA {
namespace {

template <class F> struct FromOutput {
  FOVEA_INLINE static F16 gradient(F16 y, F16 dy) { return F::gradient_from_output(y, dy); }
};

// One loop for each formula: the choice is made before it starts.
template <class T> void forward(Activation a, const T* x, T* y, std::int64_t n) {
  with_formula(a, [&](auto formula) { map(n, formula, y, false, x); });
}
template <class T> void backward(Activation a, const T* kept, const T* dy, T* dx, std::int64_t n, bool accumulate) {
  with_formula(a, [&]<class F>(F formula) {
    if constexpr (F::kFromOutput)
      map_gradient(n, FromOutput<F>{}, dx, accumulate, kept, dy);
    else
      map_gradient(n, formula, dx, accumulate, kept, dy);
  });
}
template <class T> void leaky_forward(double slope, const T* x, T* y, std::int64_t n) { map(n, LeakyRelu{slope}, y, false, x); }
template <class T> void leaky_backward(double slope, const T* x, const T* dy, T* dx, std::int64_t n, bool accumulate) {
  map_gradient(n, LeakyRelu{slope}, dx, accumulate, x, dy);
}

template <class T> constexpr ActivationFunctions<T> functions{forward<T>, backward<T>, leaky_forward<T>, leaky_backward<T>};

}   // namespace
const ActivationTable activation_table{functions<float>, functions<bfloat16>};
}   // namespace FOVEA_ISA

#ifdef FOVEA_BASELINE
template <class T> void activation_forward(Cpu, Activation a, const T* x, T* y, std::int64_t n) {
  for_type<T>(activation_table()).forward(a, x, y, n);
}
template <class T> void activation_backward(Cpu, Activation a, const T* kept, const T* dy, T* dx, std::int64_t n, bool accumulate) {
  for_type<T>(activation_table()).backward(a, kept, dy, dx, n, accumulate);
}
template <class T> void leaky_relu_forward(Cpu, double slope, const T* x, T* y, std::int64_t n) {
  for_type<T>(activation_table()).leaky_relu_forward(slope, x, y, n);
}
template <class T> void leaky_relu_backward(Cpu, double slope, const T* x, const T* dy, T* dx, std::int64_t n, bool accumulate) {
  for_type<T>(activation_table()).leaky_relu_backward(slope, x, dy, dx, n, accumulate);
}

#define FOVEA_INSTANTIATE(T)                                                                      \
  template void activation_forward(Cpu, Activation, const T*, T*, std::int64_t);                  \
  template void activation_backward(Cpu, Activation, const T*, const T*, T*, std::int64_t, bool); \
  template void leaky_relu_forward(Cpu, double, const T*, T*, std::int64_t);                      \
  template void leaky_relu_backward(Cpu, double, const T*, const T*, T*, std::int64_t, bool);
FOVEA_INSTANTIATE(float)
FOVEA_INSTANTIATE(bfloat16)
#undef FOVEA_INSTANTIATE
#endif

}   // namespace fovea::kernels
