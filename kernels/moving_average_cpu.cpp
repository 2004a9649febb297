// moving_average_cpu.cpp
#include "kernels/moving_average.h"

#include "kernels/cpu/isa.h"
#include "kernels/cpu/map.h"

namespace fovea::kernels {

struct MovingAverageTable {
  void (*average)(float*, const float*, double, std::int64_t);
  void (*exchange)(float*, float*, std::int64_t);
};
FOVEA_ISA_TABLES(MovingAverageTable, moving_average_table)

namespace FOVEA_ISA {
namespace {

void average(float* a, const float* w, double weight, std::int64_t n) { map(n, Toward{weight}, a, false, a, w); }

void exchange(float* a, float* b, std::int64_t n) {
  parallel_ranges(n, kGrain, [&](std::int64_t first, std::int64_t count) {
    for_lanes(count, [&](std::int64_t i, std::int64_t lanes) FOVEA_LANES_INLINE {
      i += first;
      const F16 from_a = load(a + i, lanes), from_b = load(b + i, lanes);
      store(a + i, lanes, from_b);
      store(b + i, lanes, from_a);
    });
  });
}

}   // namespace
const MovingAverageTable moving_average_table{average, exchange};
}   // namespace FOVEA_ISA

#ifdef FOVEA_BASELINE
template <> void moving_average(Cpu, float* a, const float* w, double weight, std::int64_t n) {
  moving_average_table().average(a, w, weight, n);
}
template <> void exchange(Cpu, float* a, float* b, std::int64_t n) { moving_average_table().exchange(a, b, n); }
#endif

}   // namespace fovea::kernels
