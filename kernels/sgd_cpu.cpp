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
  const F16 minus_lr(float(-o.lr)), momentum(float(o.momentum)), undamped(float(1 - o.dampening)), weight_decay(float(o.weight_decay));
  parallel_ranges(n, kGrain / 2, [&](std::int64_t first, std::int64_t count) {
    for_lanes(count, [&](std::int64_t i, std::int64_t lanes) FOVEA_LANES_INLINE {
      i += first;
      const F16 weight = load(w + i, lanes), gradient = fma(weight_decay, weight, load(g + i, lanes));
      F16 direction = gradient;
      if (o.momentum != 0) {
        const F16 velocity = o.first ? gradient : fma(momentum, load(v + i, lanes), undamped * gradient);
        store(v + i, lanes, velocity);
        direction = o.nesterov ? fma(momentum, velocity, gradient) : velocity;
      }
      store(w + i, lanes, fma(minus_lr, direction, weight));
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
