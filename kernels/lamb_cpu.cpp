// lamb_cpu.cpp: moments and norms in one pass over pieces of fixed length, then the step piece by piece.
#include "kernels/lamb.h"

#include "kernels/cpu/isa.h"
#include "kernels/cpu/math.h"
#include "kernels/cpu/runs.h"

namespace fovea::kernels {

struct LambTable {
  std::size_t (*workspace_bytes)(const Run*, std::int64_t);
  void (*step)(float*, const float*, float*, float*, const LambStep&, const Run*, std::int64_t, void*);
};
FOVEA_ISA_TABLES(LambTable, lamb_table)

namespace FOVEA_ISA {
namespace {

std::size_t workspace_bytes(const Run* runs, std::int64_t count) { return Pieces::bytes(runs, count); }

void step(float* w, const float* g, float* m, float* v, const LambStep& o, const Run* runs, std::int64_t count, void* workspace) {
  const Pieces pieces(runs, count, workspace);
  const LambRule<F16> rule(o);
  pieces.parallel([&](Piece& p) {
    F16 w_square, direction_square;
    for_lanes(p.count, [&](std::int64_t i, std::int64_t lanes) FOVEA_LANES_INLINE {
      i += p.begin;   // lanes past the end are 0: their direction is 0 / eps
      F16 m1 = load(m + i, lanes), m2 = load(v + i, lanes);
      rule.moments(load(g + i, lanes), m1, m2);
      store(m + i, lanes, m1);
      store(v + i, lanes, m2);
      const F16 weight = load(w + i, lanes), direction = rule.direction(weight, m1, m2);
      w_square = fma(weight, weight, w_square);
      direction_square = fma(direction, direction, direction_square);
    });
    p.sums[0] = sum_in_double(w_square);
    p.sums[1] = sum_in_double(direction_square);
  });
  pieces.join();
  pieces.parallel([&](const Piece& p) {
    const F16 minus_rate(float(-o.lr * lamb_ratio(o, kernels::sqrt(p.sums[0]), kernels::sqrt(p.sums[1]))));
    for_lanes(p.count, [&](std::int64_t i, std::int64_t lanes) FOVEA_LANES_INLINE {
      i += p.begin;
      const F16 weight = load(w + i, lanes);
      store(w + i, lanes, fma(minus_rate, rule.direction(weight, load(m + i, lanes), load(v + i, lanes)), weight));
    });
  });
}

}   // namespace
const LambTable lamb_table{workspace_bytes, step};
}   // namespace FOVEA_ISA

#ifdef FOVEA_BASELINE
template <> std::size_t lamb_workspace_bytes<float>(Cpu, const Run* runs, std::int64_t count) {
  return lamb_table().workspace_bytes(runs, count);
}
template <>
void lamb_step(Cpu, float* w, const float* g, float* m, float* v, const LambStep& o, const Run* runs, std::int64_t count, void* workspace) {
  lamb_table().step(w, g, m, v, o, runs, count, workspace);
}
#endif

}   // namespace fovea::kernels
