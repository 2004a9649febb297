// lars_cpu.cpp: both norms of every tensor in one pass over pieces of fixed length, then the step piece by piece.
#include "kernels/lars.h"

#include "kernels/cpu/isa.h"
#include "kernels/cpu/math.h"
#include "kernels/cpu/runs.h"

namespace fovea::kernels {

struct LarsTable {
  std::size_t (*workspace_bytes)(const Run*, std::int64_t);
  void (*step)(float*, const float*, float*, const LarsStep&, const Run*, std::int64_t, void*);
};
FOVEA_ISA_TABLES(LarsTable, lars_table)

namespace FOVEA_ISA {
namespace {

std::size_t workspace_bytes(const Run* runs, std::int64_t count) { return Pieces::bytes(runs, count); }

void step(float* w, const float* g, float* v, const LarsStep& o, const Run* runs, std::int64_t count, void* workspace) {
  const Pieces pieces(runs, count, workspace);
  if (o.adapt) {
    pieces.parallel([&](Piece& p) {
      p.sums[0] = sum_of_squares(w + p.begin, p.count);
      p.sums[1] = sum_of_squares(g + p.begin, p.count);
    });
    pieces.join();
  }
  pieces.parallel([&](const Piece& p) {
    const LarsRule<F16> rule(o, lars_ratio(o, kernels::sqrt(p.sums[0]), kernels::sqrt(p.sums[1])));
    for_lanes(p.count, [&](std::int64_t i, std::int64_t lanes) FOVEA_LANES_INLINE {
      i += p.begin;
      F16 weight = load(w + i, lanes), velocity;
      if (v) velocity = load(v + i, lanes);
      rule(weight, load(g + i, lanes), velocity);
      store(w + i, lanes, weight);
      if (v) store(v + i, lanes, velocity);
    });
  });
}

}   // namespace
const LarsTable lars_table{workspace_bytes, step};
}   // namespace FOVEA_ISA

#ifdef FOVEA_BASELINE
template <> std::size_t lars_workspace_bytes<float>(Cpu, const Run* runs, std::int64_t count) {
  return lars_table().workspace_bytes(runs, count);
}
template <>
void lars_step(Cpu, float* w, const float* g, float* v, const LarsStep& o, const Run* runs, std::int64_t count, void* workspace) {
  lars_table().step(w, g, v, o, runs, count, workspace);
}
#endif

}   // namespace fovea::kernels
