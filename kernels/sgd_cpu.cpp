// sgd_cpu.cpp: stochastic gradient descent in one pass: 12 B read and 8 B written for each parameter with momentum.
#include "kernels/sgd.h"

#include "kernels/cpu/isa.h"
#include "kernels/cpu/map.h"

namespace fovea::kernels {

struct SgdTable {
  void (*step)(float*, const float*, float*, const SgdStep&, std::int64_t);
};
FOVEA_ISA_TABLES(SgdTable, sgd_table)

namespace FOVEA_ISA {
namespace {

void step(float* w, const float* g, float* v, const SgdStep& o, std::int64_t n) {
  const SgdRule<F16> rule(o);
  parallel_ranges(n, kGrain / 2, [&](std::int64_t first, std::int64_t count) {
    for_lanes(count, [&](std::int64_t i, std::int64_t lanes) FOVEA_LANES_INLINE {
      i += first;
      F16 weight = load(w + i, lanes), velocity;
      if (rule.keeps_velocity) velocity = load(v + i, lanes);
      rule(weight, load(g + i, lanes), velocity);
      if (rule.keeps_velocity) store(v + i, lanes, velocity);
      store(w + i, lanes, weight);
    });
  });
}

}   // namespace
const SgdTable sgd_table{step};
}   // namespace FOVEA_ISA

#ifdef FOVEA_BASELINE
template <> void sgd_step(Cpu, float* w, const float* g, float* v, const SgdStep& o, std::int64_t n) { sgd_table().step(w, g, v, o, n); }
#endif

}   // namespace fovea::kernels
