// convert_cpu.cpp: between float and bfloat16, 16 at a time.
#include "kernels/convert.h"

#include "kernels/activation.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/map.h"

namespace fovea::kernels {

struct ConvertTable {
  void (*widen)(const bfloat16*, float*, std::int64_t);
  void (*narrow)(const float*, bfloat16*, std::int64_t);
};
FOVEA_ISA_TABLES(ConvertTable, convert_table)

namespace FOVEA_ISA {
namespace {

template <class From, class To> void convert(const From* x, To* y, std::int64_t n) { map(n, Identity{}, y, false, x); }

}   // namespace
const ConvertTable convert_table{convert<bfloat16, float>, convert<float, bfloat16>};
}   // namespace FOVEA_ISA

#ifdef FOVEA_BASELINE
template <> void convert(Cpu, const bfloat16* x, float* y, std::int64_t n) { convert_table().widen(x, y, n); }
template <> void convert(Cpu, const float* x, bfloat16* y, std::int64_t n) { convert_table().narrow(x, y, n); }
#endif

}   // namespace fovea::kernels
