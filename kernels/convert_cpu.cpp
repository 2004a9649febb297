// elementwise_cpu.cpp: arithmetic on arrays, and conversions between float and bfloat16.
#include "kernels/elementwise.h"

#include "kernels/activation.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/map.h"

namespace fovea::kernels {

template <class T> struct ElementwiseFunctions {
  void (*add)(const T*, const T*, T*, std::int64_t);
  void (*scale)(const T*, float, T*, std::int64_t, bool);
};
struct ElementwiseTable {
  ElementwiseFunctions<float> f32;
  ElementwiseFunctions<bfloat16> bf16;
  void (*widen)(const bfloat16*, float*, std::int64_t);
  void (*narrow)(const float*, bfloat16*, std::int64_t);
};
FOVEA_ISA_TABLES(ElementwiseTable, elementwise_table)

namespace FOVEA_ISA {
namespace {

template <class T> void add(const T* a, const T* b, T* y, std::int64_t n) { map(n, Add{}, y, false, a, b); }
template <class T> void scale(const T* x, float factor, T* y, std::int64_t n, bool accumulate) { map(n, Scale{factor}, y, accumulate, x); }
template <class From, class To> void convert(const From* x, To* y, std::int64_t n) { map(n, Identity{}, y, false, x); }

template <class T> constexpr ElementwiseFunctions<T> functions{add<T>, scale<T>};

}   // namespace
const ElementwiseTable elementwise_table{functions<float>, functions<bfloat16>, convert<bfloat16, float>, convert<float, bfloat16>};
}   // namespace FOVEA_ISA

#ifdef FOVEA_BASELINE
template <class T> void add(Cpu, const T* a, const T* b, T* y, std::int64_t n) { for_type<T>(elementwise_table()).add(a, b, y, n); }
template <class T> void scale(Cpu, const T* x, acc_t<T> factor, T* y, std::int64_t n, bool accumulate) {
  for_type<T>(elementwise_table()).scale(x, factor, y, n, accumulate);
}

#define FOVEA_INSTANTIATE(T)                                    \
  template void add(Cpu, const T*, const T*, T*, std::int64_t); \
  template void scale(Cpu, const T*, float, T*, std::int64_t, bool);
FOVEA_INSTANTIATE(float)
FOVEA_INSTANTIATE(bfloat16)
#undef FOVEA_INSTANTIATE

template <> void convert(const bfloat16* x, float* y, std::int64_t n) { elementwise_table().widen(x, y, n); }
template <> void convert(const float* x, bfloat16* y, std::int64_t n) { elementwise_table().narrow(x, y, n); }
#endif

}   // namespace fovea::kernels
