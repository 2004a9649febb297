// implicit_gemm.h: the one driver behind GEMM, convolution and its input gradient: Y = epilogue(patches * weights).
//
// Tasks are blocks of 96 rows by some columns, cut by the shape alone. A task gathers its rows (patches.h), then walks over
// the panels of B (panels.h), and for each over the 96 / kMr strips of rows: a panel is read from memory once and then
// comes from the second-level cache. When k is long it is cut, and the partial tiles wait in floats between the cuts: the
// chain of each element goes on where it stopped. The finished tile takes the epilogue on its way to y (output.h). Where there
// is one block of rows, its tasks pack the panels, too.
#pragma once

#include "kernels/cpu/output.h"
#include "kernels/cpu/panels.h"
#include "kernels/cpu/statistics.h"

namespace fovea::kernels::FOVEA_ISA {
namespace {

constexpr std::int64_t kResident = 64 * 1024;   // floats of B that stay in the second-level cache
constexpr std::int64_t kCutColumns = 256;       // columns of a task whose k is cut: its partial tiles take 96 KB

/// Several products of one shape: the matrices of a batch, or the groups of a convolution. What to add from one to the next.
struct Repeat {
  std::int64_t count = 1, x = 0, w = 0, y = 0;
  std::int64_t x_channels = 0, y_channels = 0;   // to the per-channel vectors of prologue and epilogue
};

/// What one thread works in, 0.9 MB. On its stack: kernels do not allocate, and the number of threads is nobody's business.
struct Scratch {
  alignas(64) float slab[kSlab + kSlack];
  alignas(64) float tiles[kRows * kCutColumns];
  alignas(64) float panel[kLongest * kNr];   // that part of a panel which meets the slab
};

/// Does every panel of B meet the rows of one task alone, for there are no more? Then the task packs it on the way, into its scratch, and
/// no packed copy goes through memory: that is what few rows and many weights spend their time on.
FOVEA_INLINE bool one_task_a_panel(std::int64_t rows, const Repeat& repeat) {
  return rows <= kRows && (repeat.count == 1 || repeat.w != 0);
}
/// Floats that multiply() needs to pack B, `wave` of its matrices at a time, or the one.
FOVEA_INLINE std::int64_t workspace_floats(std::int64_t rows, std::int64_t taps, std::int64_t n, const Repeat& repeat, std::int64_t wave) {
  return one_task_a_panel(rows, repeat) ? 0 : (repeat.w == 0 ? 1 : wave) * packed_floats(taps, n);
}

/// Rows [m0, m1), columns [n0, n1) of one product. packed: the panels of b, or null if this task is to pack them.
template <class T, class TC>
void multiply_block(const Patches<T>& a, const Weights<T>& b, const float* packed, const Output<TC>& out, std::int64_t m0, std::int64_t m1,
                    std::int64_t n0, std::int64_t n1, Scratch& scratch) {
  const std::int64_t rows = m1 - m0, n = b.n;
  std::int64_t at[kRows];   // where each row's outputs lie in y
  std::int64_t image = m0 / (a.p * a.q), line = m0 / a.q % a.p, col = m0 % a.q;
  for (std::int64_t i = 0; i < rows; ++i) {
    at[i] = image * out.image_step + line * out.row_step + col * out.pixel_step;
    if (++col == a.q) {
      col = 0;
      if (++line == a.p) line = 0, ++image;
    }
  }
  Block block;
  const Cut size = first_cut(a);
  Cut cut = size;
  const bool whole = size.r == a.r && size.s == a.s && size.c == a.c;
  // With few rows of B, all its panels stay in the second-level cache: then y is written row by row, as memory likes it. A task that packs
  // has room for one.
  const bool strips_first = packed && (n1 - n0) * a.taps() <= kResident;
  bool first = true;
  for (bool more = true; more; first = false) {
    gather(a, cut, m0, m1, scratch.slab, block);
    const Cut now = cut;
    const std::int64_t k0 = (cut.r0 * a.s + cut.s0) * a.c + cut.c0;
    // Rows in the input itself are likely in no cache yet: a strip's first product asks for the next strip, run by run.
    if (block.in_place && cut.c % 64 == 0) block.runs = {1, 0, cut.c / 64, 64, 64};
    more = next_cut(a, size, cut);
    // The tile at row i, column j. Returns its height: kMr, or kFewRows for what is left.
    const auto tile_times_panel = [&](std::int64_t i, std::int64_t j) {
      const std::int64_t width = panel_width(n, j), cols = min_of(width, n - j);
      if (!packed && i == 0) pack_panel(b, j, now, scratch.panel);
      const float* panel = packed ? packed + j * a.taps() + k0 * width : scratch.panel;
      float* tile = whole ? scratch.tiles : scratch.tiles + (j - n0) * kRows + i * width;   // between the cuts
      const float* start = first ? nullptr : tile;
      const std::int64_t* ahead = block.in_place && j == n0 && i + kMr < rows ? block.row + i + kMr : nullptr;
      const auto tile_of = [&]<int MR, int NV>(std::integral_constant<int, MR>, std::integral_constant<int, NV>) {
        const std::int64_t tile_rows = min_of(MR, rows - i);
        const auto ends_as = [&](const auto& end) {
          multiply_rows<MR, NV>(block.base, block.row + i, block.runs, panel, start, end, ahead);
        };
        if (more) return ends_as(KeepSums{tile});
        if (finishes_in_registers(out.e)) return ends_as(Finish<TC>{out, at + i, j, tile_rows, cols});
        ends_as(KeepSums{tile});
        finish_rows(tile, width, tile_rows, cols, j, out, [&](std::int64_t l) { return at[i + l]; });
      };
      const auto with_width = [&](auto tile_height) {
        if (width == kNr)
          tile_of(tile_height, std::integral_constant<int, 2>{});
        else
          tile_of(tile_height, std::integral_constant<int, 1>{});
        return std::int64_t{tile_height};
      };
      if (rows - i > 2 * kFewRows) return with_width(std::integral_constant<int, kMr>{});
      return with_width(std::integral_constant<int, kFewRows>{});   // three of these would take as long
    };
    if (strips_first)
      for (std::int64_t i = 0, height = 0; i < rows; i += height)
        for (std::int64_t j = n0; j < n1; j += kNr) height = tile_times_panel(i, j);
    else
      for (std::int64_t j = n0; j < n1; j += kNr)
        for (std::int64_t i = 0; i < rows;) i += tile_times_panel(i, j);
  }
  if (out.e.partials) {   // of the rounded output, still in the second-level cache
    float* mean = out.e.partials + 2 * (m0 / kRows) * out.partials_n + n0;
    tile_statistics(out.y + at[0] + n0, rows, n1 - n0, out.pixel_step, mean, mean + out.partials_n);
  }
}

/// All products of `repeat`. packed: room for workspace_floats(rows, taps, n, repeat, wave).
template <class T, class TC>
void multiply(const Patches<T>& a, const Weights<T>& b, const Output<TC>& out, const Repeat& repeat, std::int64_t wave, float* packed) {
  const bool pack_first = !one_task_a_panel(a.rows(), repeat);
  if (!pack_first) wave = repeat.count;
  const std::int64_t m = a.rows(), n = b.n, panel_floats = packed_floats(a.taps(), n);
  if (m == 0 || n == 0 || repeat.count == 0) return;
  const bool one_b = repeat.w == 0;
  const std::int64_t row_blocks = ceil_div(m, kRows);
  // Columns of a task: all, unless that leaves fewer than 24 tasks or too many partial tiles.
  constexpr std::int64_t kColumns = 64, kTasks = 24;
  std::int64_t column_blocks = max_of(1, min_of(ceil_div(kTasks, row_blocks * repeat.count), ceil_div(n, kColumns)));
  if (const Cut c = first_cut(a); c.r * c.s * c.c < a.taps()) column_blocks = max_of(column_blocks, ceil_div(n, kCutColumns));
  const std::int64_t columns = round_up(ceil_div(n, column_blocks), kColumns), panels = ceil_div(n, kNr);
  column_blocks = ceil_div(n, columns);

  for (std::int64_t z0 = 0; z0 < repeat.count; z0 += wave) {
    const std::int64_t count = min_of(wave, repeat.count - z0), matrices = one_b ? 1 : count;
    if (pack_first && (!one_b || z0 == 0))
      parallel_for(matrices * panels * a.r, [&](std::int64_t i) {
        const std::int64_t z = i / (panels * a.r), j = i / a.r % panels * kNr, r = i % a.r;
        Weights<T> bz = b;
        bz.w += (z0 + z) * repeat.w;
        pack_panel(bz, j, Cut{r, 1, 0, a.s, 0, a.c}, packed + z * panel_floats + j * a.taps() + r * a.s * a.c * panel_width(n, j));
      });
    parallel_for(count * row_blocks * column_blocks, [&](std::int64_t i) {
      const std::int64_t z = i / (row_blocks * column_blocks), m0 = i / column_blocks % row_blocks * kRows,
                         n0 = i % column_blocks * columns;
      Patches<T> az = a;
      Weights<T> bz = b;
      Output<TC> outz = out;
      const std::int64_t zz = z0 + z;
      bz.w += zz * repeat.w;
      az.x += zz * repeat.x;
      if (a.scale) az.scale += zz * repeat.x_channels, az.shift += zz * repeat.x_channels;
      outz.y += zz * repeat.y;
      if (out.e.residual) outz.e.residual += zz * repeat.y;
      if (out.e.scale) outz.e.scale += zz * repeat.y_channels;
      if (out.e.shift) outz.e.shift += zz * repeat.y_channels;
      if (out.e.partials) outz.e.partials += zz * repeat.y_channels;
      Scratch scratch;
      multiply_block(az, bz, pack_first ? packed + (one_b ? 0 : z * panel_floats) : nullptr, outz, m0, min_of(m, m0 + kRows), n0,
                     min_of(n, n0 + columns), scratch);
    });
  }
}

}   // namespace
}   // namespace fovea::kernels::FOVEA_ISA
