// weight_gradient.h: dw[n, (r,s,c)] = sum over pixels m of dy[m, n] * patches[m, (r,s,c)]: here k is the pixel.
//
// Pixels are cut into slices, their number from the shape alone. A task takes a slice and some filters n, and walks over
// blocks of 96 pixels: the block's patches lie in a slab (patches.h), and each register tile adds 96 outer products of
// kMr neighbouring columns of the slab (broadcast) and kNr filters of dy (vectors). Every element of a slice is one fma
// chain over its pixels in order; slices are then added in order. Workspace: taps * filters floats a slice.
#pragma once

#include "kernels/cpu/panels.h"

namespace fovea::kernels::FOVEA_ISA {
namespace {

/// How the work is cut, from the shape alone.
struct SlicePlan {
  std::int64_t slices, slice_rows;       // slice_rows: pixels of one slice, a multiple of 96
  std::int64_t columns, column_blocks;   // filters of one task
  // One slice's sums: panels of filters as in panels.h, in each (runs, run_rows, filters), so that a register tile is
  // contiguous. A run is what is contiguous in a slab: the taps of a row and their channels, or one tap's channels; padded
  // to a multiple of 4 so that register tiles may overhang.
  bool merged;
  std::int64_t runs, run_length, run_rows, n;
  std::int64_t floats() const { return runs * run_rows * n; }
};

template <class T> SlicePlan slice_plan(const Patches<T>& a, std::int64_t n, std::int64_t groups) {
  constexpr std::int64_t kSliceRows = 512, kMaxSlices = 16, kMaxFloats = 8 << 20, kTasks = 8, kColumns = 64;
  SlicePlan p;
  const Cut cut = first_cut(a);
  p.merged = a.tap_w == 1 && cut.s == a.s && cut.c == a.c && slab_pixel(a.c) == a.c;
  p.runs = p.merged ? a.r : a.r * a.s;
  p.run_length = p.merged ? a.s * a.c : a.c;
  p.run_rows = round_up(p.run_length, 4);
  p.n = round_up(n, 32);
  p.slices = min_of(min_of(ceil_div(a.rows(), kSliceRows), kMaxSlices), kMaxFloats / max_of(1, groups * p.floats()));
  p.slice_rows = max_of(kRows, round_up(ceil_div(a.rows(), max_of(1, p.slices)), kRows));
  p.slices = ceil_div(a.rows(), p.slice_rows);
  p.column_blocks = max_of(1, min_of(ceil_div(kTasks, max_of(1, p.slices * groups)), ceil_div(n, kColumns)));
  p.columns = max_of(kColumns, round_up(ceil_div(n, p.column_blocks), kColumns));
  p.column_blocks = ceil_div(n, p.columns);
  return p;
}

/// One register tile of `rows` rows: kMr, or the multiple of kMr / 3 (baseline: kMr) that is left of a run.
template <int NV>
FOVEA_INLINE void multiply_tile(std::int64_t rows, const float* a, const Block& block, std::int64_t pixels, const float* b,
                                std::int64_t ldb, float* c, std::int64_t ldc, bool add) {
  if (rows == kMr) return multiply_pixels<kMr, NV>(a, block.row, pixels, b, ldb, c, ldc, add);
  if constexpr (kMr % 3 == 0) {
    if (rows == kMr / 3 * 2) return multiply_pixels<kMr / 3 * 2, NV>(a, block.row, pixels, b, ldb, c, ldc, add);
    multiply_pixels<kMr / 3, NV>(a, block.row, pixels, b, ldb, c, ldc, add);
  }
}

/// The sums of pixels [m0, m1) and filters [n0, n1) into one slice's buffer.
template <class T>
void sum_slice(const Patches<T>& a, const T* dy, std::int64_t dy_pixel, std::int64_t n, const SlicePlan& plan, std::int64_t m0,
               std::int64_t m1, std::int64_t n0, std::int64_t n1, float* buffer) {
  alignas(64) float slab[kSlab + kSlack];
  alignas(64) float dy_panel[kRows * kNr];
  Block block;
  const Cut size = first_cut(a);
  for (std::int64_t m = m0; m < m1; m += kRows) {
    const std::int64_t pixels = min_of(kRows, m1 - m);
    Cut cut = size;
    for (bool more = true; more;) {
      gather(a, cut, m, m + pixels, slab, block);
      const std::int64_t first_run = plan.merged ? cut.r0 : cut.r0 * a.s + cut.s0;
      for (std::int64_t j = n0; j < n1; j += kNr) {
        const std::int64_t width = panel_width(n, j), cols = min_of(width, n - j);
        const float* b = dy_panel;
        std::int64_t ldb = width;
        bool in_place = false;
        if constexpr (std::is_same_v<T, float>) in_place = cols == width && dy_pixel <= 128;   // further apart, they crowd few cache sets
        if (in_place) {
          if constexpr (std::is_same_v<T, float>) b = dy + m * dy_pixel + j;
          ldb = dy_pixel;
        } else {
          if (cols < width) zero_floats(dy_panel, pixels * width);
          for (std::int64_t i = 0; i < pixels; ++i) copy_floats(dy + (m + i) * dy_pixel + j, dy_panel + i * width, cols);
        }
        for (std::int64_t r = 0; r < block.runs.r; ++r)
          for (std::int64_t s = 0; s < block.runs.s; ++s) {
            const float* base = block.base + r * block.runs.stride_r + s * block.runs.stride_s;
            const std::int64_t run = first_run + (plan.merged ? r : r * a.s + s), length = round_up(block.runs.length, 4);
            float* to = buffer + j * plan.runs * plan.run_rows + (run * plan.run_rows + cut.c0) * width;
            for (std::int64_t l = 0; l < length; l += kMr) {
              const std::int64_t rows = min_of(kMr, length - l);
              if (width == kNr)
                multiply_tile<2>(rows, base + l, block, pixels, b, ldb, to + l * width, width, m > m0);
              else
                multiply_tile<1>(rows, base + l, block, pixels, b, ldb, to + l * width, width, m > m0);
            }
          }
      }
      more = next_cut(a, size, cut);
    }
  }
}

/// dw (n, taps) = the slices in order, from (panel, run, row, n) to (n, tap): one run of the kWidth filters from n0 on.
inline void join_slices(const SlicePlan& plan, std::int64_t slices_apart, const float* buffer, std::int64_t run, std::int64_t n0,
                        std::int64_t n, std::int64_t taps, float* dw, bool accumulate) {
  const std::int64_t cols = min_of(kWidth, n - n0), panel = n0 / kNr * kNr, width = panel_width(n, panel);
  buffer += panel * plan.runs * plan.run_rows + run * plan.run_rows * width + n0 - panel;
  dw += n0 * taps + run * plan.run_length;
  for (std::int64_t l0 = 0; l0 < plan.run_length; l0 += 16) {
    const std::int64_t rows = min_of(16, plan.run_length - l0);
    alignas(64) float square[16][kWidth];
    for (std::int64_t l = 0; l < rows; ++l) {
      const float* from = buffer + (l0 + l) * width;
      Native sum = load(from);
      for (std::int64_t z = 1; z < plan.slices; ++z) sum = sum + load(from + z * slices_apart);
      store(square[l], sum);
    }
    for (std::int64_t i = 0; i < cols; ++i)
      for (std::int64_t l = 0; l < rows; ++l) {
        float& to = dw[i * taps + l0 + l];
        to = accumulate ? to + square[l][i] : square[l][i];
      }
  }
}

/// All groups: x and its prologue move by a.c channels from group to group, dy by n, dw by n * taps.
template <class T>
void weight_gradient(const Patches<T>& a, const T* dy, std::int64_t dy_pixel, std::int64_t n, std::int64_t groups, float* dw,
                     bool accumulate, float* buffers) {
  const SlicePlan plan = slice_plan(a, n, groups);
  const std::int64_t taps = a.taps(), slices_apart = groups * plan.floats();
  if (n == 0 || taps == 0) return;
  if (plan.slices == 0) {   // no pixels: the sum is 0
    if (!accumulate) zero_floats(dw, groups * n * taps);
    return;
  }
  parallel_for(plan.slices * groups * plan.column_blocks, [&](std::int64_t i) {
    const std::int64_t z = i / (groups * plan.column_blocks), g = i / plan.column_blocks % groups,
                       n0 = i % plan.column_blocks * plan.columns;
    Patches<T> ag = a;
    ag.x += g * a.c;
    if (a.scale) ag.scale += g * a.c, ag.shift += g * a.c;
    sum_slice(ag, dy + g * n, dy_pixel, n, plan, z * plan.slice_rows, min_of(a.rows(), (z + 1) * plan.slice_rows), n0,
              min_of(n, n0 + plan.columns), buffers + z * slices_apart + g * plan.floats());
  });
  const std::int64_t blocks = ceil_div(n, kWidth);
  parallel_for(groups * plan.runs * blocks, [&](std::int64_t i) {
    const std::int64_t g = i / (plan.runs * blocks), run = i / blocks % plan.runs, n0 = i % blocks * kWidth;
    join_slices(plan, slices_apart, buffers + g * plan.floats(), run, n0, n, taps, dw + g * n * taps, accumulate);
  });
}

}   // namespace
}   // namespace fovea::kernels::FOVEA_ISA
