// interpolate_cpu.cpp: resizing is a sparse matrix along each axis. Its rows are written down once a call, as lists of (pixel, weight);
// the forward pass gathers by these lists, the backward pass by those of the transposed matrix: one loop for both, no atomics. Bytes: each
// array about once (neighbours share their sources in the cache); multiply-adds an output: 1 (nearest), 4 (bilinear), 16 (bicubic).
#include "kernels/interpolate.h"

#include "kernels/cpu/isa.h"
#include "kernels/cpu/map.h"

namespace fovea::kernels {

/// Row i of a sparse matrix: entries first[i] .. first[i + 1] - 1.
struct SparseRows {
  std::int32_t *first, *index;
  float* weight;
};
/// y (n, rows, columns, c) from x (n, in_rows, in_columns, c) by the lists of both axes.
struct Resampling {
  std::int64_t n, c, in_rows, in_columns, rows, columns;
  SparseRows by_row, by_column;
};

template <class T> struct InterpolationFunctions { void (*gather)(const T*, T*, const Resampling&, bool); };
struct InterpolationTable {
  InterpolationFunctions<float> f32;
  InterpolationFunctions<bfloat16> bf16;
};
FOVEA_ISA_TABLES(InterpolationTable, interpolation_table)

namespace FOVEA_ISA {
namespace {

template <class T> void gather(const T* x, T* y, const Resampling& s, bool accumulate) {
  const bool streamed = streams(y, s.n * s.rows * s.columns * s.c, s.c) && !accumulate;
  parallel_ranges(s.n * s.rows, max(1, kGrain / max(1, s.columns * s.c)), [&](std::int64_t first, std::int64_t count) {
    for (std::int64_t line = first; line < first + count; ++line) {
      const std::int64_t r0 = s.by_row.first[line % s.rows], r1 = s.by_row.first[line % s.rows + 1];
      for (std::int64_t q = 0; q < s.columns; ++q) {
        const std::int64_t k0 = s.by_column.first[q], k1 = s.by_column.first[q + 1];
        T* const to = y + (line * s.columns + q) * s.c;
        if (r1 - r0 == 2 && k1 - k0 == 2) {   // bilinear: the same sum, without loops
          const T* const image = x + line / s.rows * s.in_rows * s.in_columns * s.c;
          const T *above = image + s.by_row.index[r0] * s.in_columns * s.c, *below = image + s.by_row.index[r0 + 1] * s.in_columns * s.c;
          const std::int64_t left = s.by_column.index[k0] * s.c, right = s.by_column.index[k0 + 1] * s.c;
          const F16 top(s.by_row.weight[r0]), bottom(s.by_row.weight[r0 + 1]), first_half(s.by_column.weight[k0]),
              second_half(s.by_column.weight[k0 + 1]);
          for_lane_blocks(s.c, [&]<int Blocks>(std::int64_t c, std::int64_t lanes) FOVEA_LANES_INLINE {
            F16 sum[Blocks];
            for (int b = 0; b < Blocks; ++b) {
              const std::int64_t l = left + c + 16 * b, r = right + c + 16 * b;
              const F16 upper = fma(load(above + r, lanes), second_half, load(above + l, lanes) * first_half);
              const F16 lower = fma(load(below + r, lanes), second_half, load(below + l, lanes) * first_half);
              sum[b] = fma(lower, bottom, upper * top);
            }
            for (int b = 0; b < Blocks; ++b) {
              T* target = to + c + 16 * b;
              store(target, lanes, accumulate ? load(target, lanes) + sum[b] : sum[b], streamed);
            }
          });
          continue;
        }
        for_lane_blocks(s.c, [&]<int Blocks>(std::int64_t c, std::int64_t lanes) FOVEA_LANES_INLINE {
          F16 sum[Blocks];
          for (std::int64_t r = r0; r < r1; ++r) {
            const T* from = x + (line / s.rows * s.in_rows + s.by_row.index[r]) * s.in_columns * s.c + c;
            F16 part[Blocks];
            for (std::int64_t k = k0; k < k1; ++k) {
              const F16 weight(s.by_column.weight[k]);
              for (int b = 0; b < Blocks; ++b) part[b] = fma(load(from + s.by_column.index[k] * s.c + 16 * b, lanes), weight, part[b]);
            }
            for (int b = 0; b < Blocks; ++b) sum[b] = fma(part[b], F16(s.by_row.weight[r]), sum[b]);
          }
          T* target = to + c;
          for (int b = 0; b < Blocks; ++b)
            store(target + 16 * b, lanes, accumulate ? load(target + 16 * b, lanes) + sum[b] : sum[b], streamed);
        });
      }
    }
    stream_fence(streamed);
  });
}

}   // namespace
const InterpolationTable interpolation_table{{gather<float>}, {gather<bfloat16>}};
}   // namespace FOVEA_ISA

#ifdef FOVEA_BASELINE
namespace {

std::int64_t list_bytes(const InterpolationAxis& a) { return 4 * (FOVEA_ISA::max(a.in, a.out) + 1 + 8 * a.out); }

/// The matrix of one axis, or its transpose, in list_bytes() at `memory`.
SparseRows list_taps(const InterpolationAxis& a, bool transpose, void* memory) {
  SparseRows m;
  m.first = static_cast<std::int32_t*>(memory);
  m.index = m.first + FOVEA_ISA::max(a.in, a.out) + 1;
  m.weight = reinterpret_cast<float*>(m.index + 4 * a.out);
  const std::int64_t rows = transpose ? a.in : a.out;
  for (std::int64_t i = 0; i <= rows; ++i) m.first[i] = 0;
  for (std::int64_t i = 0; i < a.out; ++i) {   // how long each row is, one place further
    const InterpolationTaps t = a.taps(i);
    for (int k = 0; k < t.count; ++k) ++m.first[(transpose ? t.pixel[k] : i) + 1];
  }
  for (std::int64_t i = 0; i < rows; ++i) m.first[i + 1] += m.first[i];
  for (std::int64_t i = 0; i < a.out; ++i) {   // filled from first[row] on, which so becomes the first of the next row
    const InterpolationTaps t = a.taps(i);
    for (int k = 0; k < t.count; ++k) {
      const std::int32_t at = m.first[transpose ? t.pixel[k] : i]++;
      m.index[at] = std::int32_t(transpose ? i : t.pixel[k]);
      m.weight[at] = static_cast<float>(t.weight[k]);
    }
  }
  for (std::int64_t i = rows; i > 0; --i) m.first[i] = m.first[i - 1];
  m.first[0] = 0;
  return m;
}

}   // namespace

std::size_t interpolate_workspace_bytes(Cpu, const InterpolationShape& s) {
  return static_cast<std::size_t>(list_bytes(s.rows) + list_bytes(s.columns));
}

template <class T> void interpolate_forward(Cpu, const T* x, T* y, const InterpolationShape& s, void* workspace) {
  const SparseRows rows = list_taps(s.rows, false, workspace),
                   columns = list_taps(s.columns, false, static_cast<char*>(workspace) + list_bytes(s.rows));
  for_type<T>(interpolation_table()).gather(x, y, {s.n, s.c, s.rows.in, s.columns.in, s.rows.out, s.columns.out, rows, columns}, false);
}
template <class T> void interpolate_backward(Cpu, const T* dy, T* dx, const InterpolationShape& s, bool accumulate, void* workspace) {
  const SparseRows rows = list_taps(s.rows, true, workspace),
                   columns = list_taps(s.columns, true, static_cast<char*>(workspace) + list_bytes(s.rows));
  for_type<T>(interpolation_table())
      .gather(dy, dx, {s.n, s.c, s.rows.out, s.columns.out, s.rows.in, s.columns.in, rows, columns}, accumulate);
}

#define FOVEA_INSTANTIATE(T)                                                              \
  template void interpolate_forward(Cpu, const T*, T*, const InterpolationShape&, void*); \
  template void interpolate_backward(Cpu, const T*, T*, const InterpolationShape&, bool, void*);
FOVEA_INSTANTIATE(float)
FOVEA_INSTANTIATE(bfloat16)
#undef FOVEA_INSTANTIATE
#endif

}   // namespace fovea::kernels
