// adam_cpu.cpp: the rule of adam.h on 16 lanes, in one pass: 28 B move for each parameter.
#include "kernels/adam.h"

#include "kernels/cpu/isa.h"
#include "kernels/cpu/map.h"
#include "kernels/cpu/math.h"

namespace fovea::kernels {

struct AdamTable {
  void (*step)(float*, const float*, float*, float*, const AdamStep&, std::int64_t);
};
FOVEA_ISA_TABLES(AdamTable, adam_table)

namespace FOVEA_ISA {
namespace {

void step(float* w, const float* g, float* m, float* v, const AdamStep& o, std::int64_t n) {
  const AdamRule<F16> rule(o);
  parallel_ranges(n, kGrain / 2, [&](std::int64_t first, std::int64_t count) {
    for_lanes(count, [&](std::int64_t i, std::int64_t lanes) FOVEA_LANES_INLINE {
      i += first;
      F16 weight = load(w + i, lanes), m1 = load(m + i, lanes), m2 = load(v + i, lanes);
      rule(weight, load(g + i, lanes), m1, m2);
      store(w + i, lanes, weight);
      store(m + i, lanes, m1);
      store(v + i, lanes, m2);
    });
  });
}

}   // namespace
const AdamTable adam_table{step};
}   // namespace FOVEA_ISA

#ifdef FOVEA_BASELINE
template <> void adam_step(Cpu, float* w, const float* g, float* m, float* v, const AdamStep& o, std::int64_t n) {
  adam_table().step(w, g, m, v, o, n);
}
#endif

}   // namespace fovea::kernels
