// gradient_clip_cpu.cpp: sums of squares over pieces of fixed length, joined in order; rows whole, so that a row that has to be
// scaled is still in the cache that its norm was read into.
#include "kernels/gradient_clip.h"

#include "kernels/broadcast.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/math.h"
#include "kernels/cpu/runs.h"

namespace fovea::kernels {

struct GradientClipTable {
  std::size_t (*sum_squares_workspace_bytes)(const Run*, std::int64_t);
  double (*sum_squares)(const float*, const Run*, std::int64_t, void*);
  void (*scale)(float*, double, std::int64_t);
  void (*clip_value)(float*, double, std::int64_t);
  void (*clip_rows)(const float*, float*, RowShape, double, double);
};
FOVEA_ISA_TABLES(GradientClipTable, gradient_clip_table)

namespace FOVEA_ISA {
namespace {

std::size_t sum_squares_workspace_bytes(const Run* runs, std::int64_t count) { return Pieces::bytes(runs, count); }

double sum_squares(const float* x, const Run* runs, std::int64_t count, void* workspace) {
  const Pieces pieces(runs, count, workspace);
  pieces.parallel([&](Piece& p) { p.sums[0] = sum_of_squares(x + p.begin, p.count); });
  return pieces.total();
}

void scale(float* x, double factor, std::int64_t n) { map(n, Affine{factor, 0}, x, false, x); }

void clip_value(float* g, double limit, std::int64_t n) { map(n, Clip{limit}, g, false, g); }

void clip_rows(const float* w, float* g, RowShape s, double limit, double eps) {
  parallel_ranges(s.rows, max(1, kGrain / max(1, s.cols)), [&](std::int64_t first, std::int64_t count) {
    for (std::int64_t r = first; r < first + count; ++r) {
      const double w_norm = kernels::sqrt(sum_of_squares(w + r * s.cols, s.cols)), longest = limit * (w_norm > eps ? w_norm : eps);
      float* row = g + r * s.cols;
      const double length = kernels::sqrt(sum_of_squares(row, s.cols));
      if (!(length > longest)) continue;
      const F16 factor(float(longest / length));
      for_lanes(s.cols,
                [&](std::int64_t i, std::int64_t lanes) FOVEA_LANES_INLINE { store(row + i, lanes, factor * load(row + i, lanes)); });
    }
  });
}

}   // namespace
const GradientClipTable gradient_clip_table{sum_squares_workspace_bytes, sum_squares, scale, clip_value, clip_rows};
}   // namespace FOVEA_ISA

#ifdef FOVEA_BASELINE
template <> std::size_t sum_squares_workspace_bytes<float>(Cpu, const Run* runs, std::int64_t count) {
  return gradient_clip_table().sum_squares_workspace_bytes(runs, count);
}
template <> void sum_squares(Cpu, const float* x, const Run* runs, std::int64_t count, double* sum, void* workspace) {
  sum[0] = gradient_clip_table().sum_squares(x, runs, count, workspace);
  sum[1] = sqrt(sum[0]);
}
template <> void clip_norm(Cpu, float* x, const Run* runs, std::int64_t count, const double* norm, ClipNorm c) {
  const double factor = c.factor(*norm);
  for (std::int64_t r = 0; r < count && factor != 1; ++r)
    gradient_clip_table().scale(x + runs[r].begin, factor, runs[r].end - runs[r].begin);
}
template <> void clip_value(Cpu, float* g, double limit, std::int64_t n) { gradient_clip_table().clip_value(g, limit, n); }
template <> void clip_rows(Cpu, const float* w, float* g, RowShape s, double limit, double eps) {
  gradient_clip_table().clip_rows(w, g, s, limit, eps);
}
#endif

}   // namespace fovea::kernels
