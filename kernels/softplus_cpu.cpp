// softplus_cpu.cpp
#include "kernels/softplus.h"

#include "kernels/cpu/isa.h"
#include "kernels/cpu/map.h"
#include "kernels/cpu/math.h"

namespace fovea::kernels {

template <class T> struct SoftplusFunctions {
  void (*forward)(const T*, T*, std::int64_t);
  void (*backward)(const T*, const T*, T*, std::int64_t, bool);
};
struct SoftplusTable {
  SoftplusFunctions<float> f32;
  SoftplusFunctions<bfloat16> bf16;
};
FOVEA_ISA_TABLES(SoftplusTable, softplus_table)

namespace FOVEA_ISA {
namespace {

template <class T> void forward(const T* x, T* y, std::int64_t n) { map(n, Softplus{}, y, false, x); }
template <class T> void backward(const T* x, const T* dy, T* dx, std::int64_t n, bool accumulate) {
  map_gradient(n, Softplus{}, dx, accumulate, x, dy);
}

}   // namespace
const SoftplusTable softplus_table{{forward<float>, backward<float>}, {forward<bfloat16>, backward<bfloat16>}};
}   // namespace FOVEA_ISA

#ifdef FOVEA_BASELINE
template <class T> void softplus_forward(Cpu, const T* x, T* y, std::int64_t n) { for_type<T>(softplus_table()).forward(x, y, n); }
template <class T> void softplus_backward(Cpu, const T* x, const T* dy, T* dx, std::int64_t n, bool accumulate) {
  for_type<T>(softplus_table()).backward(x, dy, dx, n, accumulate);
}

template void softplus_forward(Cpu, const float*, float*, std::int64_t);
template void softplus_forward(Cpu, const bfloat16*, bfloat16*, std::int64_t);
template void softplus_backward(Cpu, const float*, const float*, float*, std::int64_t, bool);
template void softplus_backward(Cpu, const bfloat16*, const bfloat16*, bfloat16*, std::int64_t, bool);
#endif

}   // namespace fovea::kernels
