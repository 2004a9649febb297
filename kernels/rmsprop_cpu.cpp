// rmsprop_cpu.cpp: the rule of rmsprop.h on 16 lanes, in one pass: 20 to 36 B move for each parameter.
#include "kernels/rmsprop.h"

#include "kernels/cpu/isa.h"
#include "kernels/cpu/map.h"
#include "kernels/cpu/math.h"

namespace fovea::kernels {

struct RmspropTable {
  void (*step)(float*, const float*, float*, float*, float*, const RmspropStep&, std::int64_t);
};
FOVEA_ISA_TABLES(RmspropTable, rmsprop_table)

namespace FOVEA_ISA {
namespace {

void step(float* w, const float* g, float* v, float* m, float* b, const RmspropStep& o, std::int64_t n) {
  const RmspropRule<F16> rule(o);
  parallel_ranges(n, kGrain / 2, [&](std::int64_t first, std::int64_t count) {
    for_lanes(count, [&](std::int64_t i, std::int64_t lanes) FOVEA_LANES_INLINE {
      i += first;
      F16 weight = load(w + i, lanes), square = load(v + i, lanes), mean, velocity;
      if (m) mean = load(m + i, lanes);
      if (b) velocity = load(b + i, lanes);
      rule(weight, load(g + i, lanes), square, mean, velocity);
      store(w + i, lanes, weight);
      store(v + i, lanes, square);
      if (m) store(m + i, lanes, mean);
      if (b) store(b + i, lanes, velocity);
    });
  });
}

}   // namespace
const RmspropTable rmsprop_table{step};
}   // namespace FOVEA_ISA

#ifdef FOVEA_BASELINE
template <> void rmsprop_step(Cpu, float* w, const float* g, float* v, float* m, float* b, const RmspropStep& o, std::int64_t n) {
  rmsprop_table().step(w, g, v, m, b, o, n);
}
#endif

}   // namespace fovea::kernels
