// reduce_cpu.cpp: ordered sums along either axis of a matrix; x is read once.
#include "kernels/reduce.h"

#include "kernels/cpu/column_tiles.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/map.h"

namespace fovea::kernels {

template <class T> struct ReduceFunctions {
  void (*sum_rows)(const T*, float, float*, RowShape, bool, float*);
  void (*sum_cols)(const T*, float, float*, RowShape, bool, float*);
};
struct ReduceTable {
  std::size_t (*workspace_bytes)(RowShape);
  ReduceFunctions<float> f32;
  ReduceFunctions<bfloat16> bf16;
};
FOVEA_ISA_TABLES(ReduceTable, reduce_table)

namespace FOVEA_ISA {
namespace {

/// A long row is cut into chunks of kGrain columns; every chunk has one partial sum.
FOVEA_INLINE std::int64_t chunks_of(RowShape s) { return ceil_div(s.cols, kGrain); }

std::size_t workspace_bytes(RowShape s) {
  return sizeof(float) * std::size_t(max(ColumnTiles(s.rows, s.cols).tiles() * s.cols, s.rows * chunks_of(s)));
}

template <class T> void sum_rows(const T* x, float factor, float* y, RowShape s, bool accumulate, float* partials) {
  const ColumnTiles cut(s.rows, s.cols);
  cut.parallel([&](std::int64_t tile, std::int64_t row, std::int64_t rows, std::int64_t column, std::int64_t columns) {
    const T* in = x + row * s.cols + column;
    float* out = partials + tile * s.cols + column;
    for_lane_blocks(columns, [&]<int Blocks>(std::int64_t c, std::int64_t lanes) FOVEA_LANES_INLINE {
      F16 sums[Blocks];
      for (std::int64_t r = 0; r < rows; ++r)
        for (int b = 0; b < Blocks; ++b) sums[b] = sums[b] + load(in + r * s.cols + c + 16 * b, lanes);
      for (int b = 0; b < Blocks; ++b) store(out + c + 16 * b, lanes, sums[b]);
    });
  });
  join_tiles(partials, cut.tiles(), s.cols, [&](std::int64_t c, double sum) { y[c] = float((accumulate ? y[c] : 0.f) + factor * sum); });
}

/// Four groups of 16 lanes take turns, are joined as (0 + 1) + (2 + 3), and then lane by lane as in sum(F16).
template <class T> FOVEA_INLINE float sum_of(const T* x, std::int64_t n) {
  F16 sums[4];
  std::int64_t i = 0;
  for (; i + 64 <= n; i += 64)
    for (int b = 0; b < 4; ++b) sums[b] = sums[b] + F16::load(x + i + 16 * b);
  for_lanes(n - i, [&](std::int64_t j, std::int64_t lanes) FOVEA_LANES_INLINE { sums[0] = sums[0] + load(x + i + j, lanes); });
  return sum((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

template <class T> void sum_cols(const T* x, float factor, float* y, RowShape s, bool accumulate, float* partials) {
  const std::int64_t chunks = chunks_of(s), items_per_task = max(1, kGrain / max(1, s.cols));
  parallel_ranges(s.rows * chunks, items_per_task, [&](std::int64_t first, std::int64_t count) {
    for (std::int64_t item = first; item < first + count; ++item) {
      const std::int64_t row = item / chunks, column = item % chunks * kGrain;
      partials[item] = sum_of(x + row * s.cols + column, min(kGrain, s.cols - column));
    }
  });
  for (std::int64_t r = 0; r < s.rows; ++r) {
    double sum = 0;
    for (std::int64_t chunk = 0; chunk < chunks; ++chunk) sum += double(partials[r * chunks + chunk]);
    y[r] = float((accumulate ? y[r] : 0.f) + factor * sum);
  }
}

}   // namespace
const ReduceTable reduce_table{workspace_bytes, {sum_rows<float>, sum_cols<float>}, {sum_rows<bfloat16>, sum_cols<bfloat16>}};
}   // namespace FOVEA_ISA

#ifdef FOVEA_BASELINE
template <class T> std::size_t reduce_workspace_bytes(Cpu, RowShape s) { return reduce_table().workspace_bytes(s); }
template <class T> void sum_rows(Cpu, const T* x, acc_t<T> factor, acc_t<T>* y, RowShape s, bool accumulate, void* workspace) {
  for_type<T>(reduce_table()).sum_rows(x, factor, y, s, accumulate, static_cast<float*>(workspace));
}
template <class T> void sum_cols(Cpu, const T* x, acc_t<T> factor, acc_t<T>* y, RowShape s, bool accumulate, void* workspace) {
  for_type<T>(reduce_table()).sum_cols(x, factor, y, s, accumulate, static_cast<float*>(workspace));
}

#define FOVEA_INSTANTIATE(T)                                                   \
  template std::size_t reduce_workspace_bytes<T>(Cpu, RowShape);               \
  template void sum_rows(Cpu, const T*, float, float*, RowShape, bool, void*); \
  template void sum_cols(Cpu, const T*, float, float*, RowShape, bool, void*);
FOVEA_INSTANTIATE(float)
FOVEA_INSTANTIATE(bfloat16)
#undef FOVEA_INSTANTIATE
#endif

}   // namespace fovea::kernels
