// reduce_cpu.cpp: reductions along an axis; x is read once. Two walks: along rows where the axis is the innermost one, else down the
// columns with neighbouring outputs in the lanes. What is summed is a term: a value, a product, a squared deviation, an equality.
#include "kernels/reduce.h"

#include "kernels/cpu/column_tiles.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/map.h"

namespace fovea::kernels {

template <class T> struct ReduceFunctions {
  void (*sum)(const T*, float, float*, AxisShape, bool, float*);
  void (*dot)(const T*, const T*, float, float*, AxisShape, bool, float*);
  void (*deviation)(const T*, const float*, float, float*, AxisShape, float*);
  void (*deviation_backward)(const T*, const float*, const float*, float, T*, AxisShape, bool);
  void (*max)(const T*, T*, AxisShape);
  void (*max_backward)(const T*, const T*, const T*, T*, AxisShape, bool, float*);
};
struct ReduceTable {
  std::size_t (*partials)(AxisShape);   // floats
  ReduceFunctions<float> f32;
  ReduceFunctions<bfloat16> bf16;
};
FOVEA_ISA_TABLES(ReduceTable, reduce_table)

namespace FOVEA_ISA {
namespace {

// A term gives the summands of elements i, i + 1, ... (`lanes` of them; 0 in the other lanes): `across` when they belong to the outputs
// k, k + 1, ..., `along` when all belong to k.

template <class T> struct Values {
  const T* x;
  FOVEA_INLINE F16 across(std::int64_t i, std::int64_t lanes, std::int64_t) const { return load(x + i, lanes); }
  FOVEA_INLINE F16 along(std::int64_t i, std::int64_t lanes, std::int64_t) const { return load(x + i, lanes); }
};
template <class T> struct Products {
  const T *x, *z;
  FOVEA_INLINE F16 across(std::int64_t i, std::int64_t lanes, std::int64_t) const { return load(x + i, lanes) * load(z + i, lanes); }
  FOVEA_INLINE F16 along(std::int64_t i, std::int64_t lanes, std::int64_t k) const { return across(i, lanes, k); }
};
template <class T> struct SquaredDeviations {
  const T* x;
  const float* mean;
  FOVEA_INLINE F16 across(std::int64_t i, std::int64_t lanes, std::int64_t k) const {
    const F16 d = load(x + i, lanes) - load(mean + k, lanes);
    return d * d;
  }
  FOVEA_INLINE F16 along(std::int64_t i, std::int64_t lanes, std::int64_t k) const {
    const F16 d = load(x + i, lanes, mean[k]) - F16(mean[k]);
    return d * d;
  }
};
FOVEA_INLINE F16 one_where_equal(F16 a, F16 b) {
  for (int p = 0; p < F16::kParts; ++p) a.v[p] = (Native)((NativeInt)(a.v[p] == b.v[p]) & (NativeInt)broadcast(1.f));
  return a;
}
/// 1 where x is y, the maximum.
template <class T> struct Maxima {
  const T *x, *y;
  FOVEA_INLINE F16 across(std::int64_t i, std::int64_t lanes, std::int64_t k) const {
    return one_where_equal(load(x + i, lanes), load(y + k, lanes));
  }
  FOVEA_INLINE F16 along(std::int64_t i, std::int64_t lanes, std::int64_t k) const {
    return one_where_equal(load(x + i, lanes, __builtin_nanf("")), F16(float(y[k])));
  }
};

/// A long row is cut into chunks of kGrain elements; every chunk has one partial sum.
FOVEA_INLINE std::int64_t chunks_of(AxisShape s) { return ceil_div(s.axis, kGrain); }

/// Partial sums: none where one tile or chunk is the whole axis.
std::size_t partials_of(AxisShape s) {
  const std::int64_t parts = s.inner == 1 ? chunks_of(s) : ColumnTiles(s.axis, s.inner).tiles();
  return parts > 1 ? std::size_t(s.outer * parts * s.inner) : 0;
}

/// Four groups of 16 lanes take turns, are joined as (0 + 1) + (2 + 3), and then lane by lane as in sum(F16).
template <class Term> FOVEA_INLINE float sum_along(const Term& term, std::int64_t first, std::int64_t n, std::int64_t k) {
  F16 sums[4];
  std::int64_t i = 0;
  for (; i + 64 <= n; i += 64)
    for (int b = 0; b < 4; ++b) sums[b] = sums[b] + term.along(first + i + 16 * b, 16, k);
  for_lanes(n - i, [&](std::int64_t j, std::int64_t lanes) FOVEA_LANES_INLINE { sums[0] = sums[0] + term.along(first + i + j, lanes, k); });
  return sum((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

/// write(k, sum) for each output of inner = 1.
template <class Term, class Write> FOVEA_INLINE void sum_rows_of(const Term& term, AxisShape s, float* partials, const Write& write) {
  const std::int64_t chunks = chunks_of(s);
  parallel_ranges(s.outer * chunks, max(1, kGrain / max(1, s.axis)), [&](std::int64_t first, std::int64_t count) {
    for (std::int64_t item = first; item < first + count; ++item) {
      const std::int64_t k = item / chunks, begin = item % chunks * kGrain;
      const float partial = sum_along(term, k * s.axis + begin, min(kGrain, s.axis - begin), k);
      if (chunks == 1)
        write(k, double(partial));
      else
        partials[item] = partial;
    }
  });
  if (chunks == 1) return;
  for (std::int64_t k = 0; k < s.outer; ++k) {   // few rows, or none: an axis of 0 elements
    double sum = 0;
    for (std::int64_t chunk = 0; chunk < chunks; ++chunk) sum += double(partials[k * chunks + chunk]);
    write(k, sum);
  }
}

/// write(k, sum) for each output: a task sums tiles (see column_tiles.h) in registers.
template <class Term, class Write> FOVEA_INLINE void sum_columns_of(const Term& term, AxisShape s, float* partials, const Write& write) {
  const ColumnTiles cut(s.axis, s.inner);
  const std::int64_t tiles = cut.tiles(), across = ceil_div(s.inner, ColumnTiles::kTileColumns);
  const std::int64_t tile_elements = min(cut.tile_rows, s.axis) * min(ColumnTiles::kTileColumns, s.inner);
  parallel_ranges(s.outer * tiles * across, max(1, kGrain / max(1, tile_elements)), [&](std::int64_t first, std::int64_t count) {
    for (std::int64_t item = first; item < first + count; ++item) {
      const std::int64_t o_tile = item / across, o = o_tile / tiles, row = o_tile % tiles * cut.tile_rows;
      const std::int64_t column = item % across * ColumnTiles::kTileColumns, rows = min(cut.tile_rows, s.axis - row);
      const std::int64_t from = (o * s.axis + row) * s.inner + column, k = o * s.inner + column;
      for_wide_blocks(min(ColumnTiles::kTileColumns, s.inner - column),
                      [&]<int Blocks>(std::int64_t c, std::int64_t lanes) FOVEA_LANES_INLINE {
                        F16 sums[Blocks];
                        for (std::int64_t r = 0; r < rows; ++r)
                          for (int b = 0; b < Blocks; ++b)
                            sums[b] = sums[b] + term.across(from + r * s.inner + c + 16 * b, lanes, k + c + 16 * b);
                        for (int b = 0; b < Blocks; ++b) {
                          if (tiles > 1) {
                            store(partials + o_tile * s.inner + column + c + 16 * b, lanes, sums[b]);
                          } else {
                            float sum[16];
                            sums[b].store(sum);
                            for (std::int64_t l = 0; l < lanes; ++l) write(k + c + 16 * b + l, double(sum[l]));
                          }
                        }
                      });
    }
  });
  if (tiles == 1) return;
  const std::int64_t groups = ceil_div(s.inner, 16);
  parallel_ranges(s.outer * groups, max(1, kGrain / (16 * max(1, tiles))), [&](std::int64_t first, std::int64_t count) {
    for (std::int64_t item = first; item < first + count; ++item) {
      const std::int64_t o = item / groups, column = item % groups * 16, columns = min(16, s.inner - column);
      double sum[16] = {};
      for (std::int64_t tile = 0; tile < tiles; ++tile)
        for (std::int64_t c = 0; c < columns; ++c) sum[c] += double(partials[(o * tiles + tile) * s.inner + column + c]);
      for (std::int64_t c = 0; c < columns; ++c) write(o * s.inner + column + c, sum[c]);
    }
  });
}

template <class Term> FOVEA_INLINE void sum_of(const Term& term, float factor, float* y, AxisShape s, bool accumulate, float* partials) {
  const auto write = [=](std::int64_t k, double sum) { y[k] = float((accumulate ? y[k] : 0.f) + factor * sum); };
  s.inner == 1 ? sum_rows_of(term, s, partials, write) : sum_columns_of(term, s, partials, write);
}

template <class T> void sum_axis(const T* x, float factor, float* y, AxisShape s, bool accumulate, float* partials) {
  sum_of(Values<T>{x}, factor, y, s, accumulate, partials);
}
template <class T> void dot_axis(const T* x, const T* z, float factor, float* y, AxisShape s, bool accumulate, float* partials) {
  sum_of(Products<T>{x, z}, factor, y, s, accumulate, partials);
}
template <class T> void deviation_axis(const T* x, const float* mean, float factor, float* y, AxisShape s, float* partials) {
  sum_of(SquaredDeviations<T>{x, mean}, factor, y, s, false, partials);
}

/// dx[i] = f(x[i], p[k], q[k]) or +=, p and q (outer, inner).
template <class F, class T, class P, class Q>
FOVEA_INLINE void map_axis(const T* x, const P* p, const Q* q, T* dx, AxisShape s, bool accumulate, const F& f) {
  const bool along = s.inner == 1;
  const std::int64_t length = along ? s.axis : s.inner, rows = along ? s.outer : s.outer * s.axis, pieces = ceil_div(length, kGrain);
  parallel_ranges(rows * pieces, max(1, kGrain / max(1, length)), [&](std::int64_t first, std::int64_t count) {
    for (std::int64_t item = first; item < first + count; ++item) {
      const std::int64_t row = item / pieces, begin = item % pieces * kGrain, from = row * length + begin;
      const std::int64_t k = along ? row : row / s.axis * s.inner + begin;
      for_lanes(min(kGrain, length - begin), [&](std::int64_t i, std::int64_t lanes) FOVEA_LANES_INLINE {
        const F16 u = along ? F16(float(p[k])) : load(p + k + i, lanes), v = along ? F16(float(q[k])) : load(q + k + i, lanes);
        F16 value = f(load(x + from + i, lanes), u, v);
        if (accumulate) value = load(dx + from + i, lanes) + value;
        store(dx + from + i, lanes, value);
      });
    }
  });
}

template <class T>
void deviation_axis_backward(const T* x, const float* mean, const float* dy, float factor, T* dx, AxisShape s, bool accumulate) {
  const F16 twice(2 * factor);
  map_axis(x, mean, dy, dx, s, accumulate, [=](F16 value, F16 m, F16 g) FOVEA_LANES_INLINE { return twice * g * (value - m); });
}

/// The larger one, x when they are equal; a NaN wins.
FOVEA_INLINE F16 larger_or_nan(F16 largest, F16 x) {
  for (int p = 0; p < F16::kParts; ++p) {
    const NativeInt keep = (NativeInt)(largest.v[p] > x.v[p]) | (NativeInt)(largest.v[p] != largest.v[p]);
    x.v[p] = (Native)((keep & (NativeInt)largest.v[p]) | (~keep & (NativeInt)x.v[p]));
  }
  return x;
}

template <class T> void max_axis(const T* x, T* y, AxisShape s) {
  const F16 lowest(-__builtin_inff());
  if (s.inner == 1) {
    parallel_ranges(s.outer, max(1, kGrain / max(1, s.axis)), [&](std::int64_t first, std::int64_t count) {
      for (std::int64_t o = first; o < first + count; ++o) {
        F16 chain[4] = {lowest, lowest, lowest, lowest};   // four at a time hide the latency of comparisons
        const T* row = x + o * s.axis;
        std::int64_t done = 0;
        for (; done + 64 <= s.axis; done += 64)
          for (int b = 0; b < 4; ++b) chain[b] = larger_or_nan(chain[b], F16::load(row + done + 16 * b));
        for_lanes(s.axis - done, [&](std::int64_t i, std::int64_t lanes) FOVEA_LANES_INLINE {
          chain[0] = larger_or_nan(chain[0], load(row + done + i, lanes, -__builtin_inff()));
        });
        float lane[16];
        larger_or_nan(larger_or_nan(chain[0], chain[1]), larger_or_nan(chain[2], chain[3])).store(lane);
        for (int width = 8; width >= 1; width /= 2)
          for (int i = 0; i < width; ++i) lane[i] = lane[i] > lane[i + width] || lane[i] != lane[i] ? lane[i] : lane[i + width];
        y[o] = T(lane[0]);
      }
    });
    return;
  }
  const std::int64_t across = ceil_div(s.inner, ColumnTiles::kTileColumns);
  const std::int64_t item_elements = max(1, s.axis * min(ColumnTiles::kTileColumns, s.inner));
  parallel_ranges(s.outer * across, max(1, kGrain / item_elements), [&](std::int64_t first, std::int64_t count) {
    for (std::int64_t item = first; item < first + count; ++item) {
      const std::int64_t o = item / across, column = item % across * ColumnTiles::kTileColumns;
      for_wide_blocks(min(ColumnTiles::kTileColumns, s.inner - column),
                      [&]<int Blocks>(std::int64_t c, std::int64_t lanes) FOVEA_LANES_INLINE {
                        F16 largest[Blocks];
                        for (int b = 0; b < Blocks; ++b) largest[b] = lowest;
                        const T* from = x + o * s.axis * s.inner + column + c;
                        for (std::int64_t a = 0; a < s.axis; ++a)
                          for (int b = 0; b < Blocks; ++b) largest[b] = larger_or_nan(largest[b], load(from + a * s.inner + 16 * b, lanes));
                        for (int b = 0; b < Blocks; ++b) store(y + o * s.inner + column + c + 16 * b, lanes, largest[b]);
                      });
    }
  });
}

/// workspace: dy / count for each output, then partial sums.
template <class T> void max_axis_backward(const T* x, const T* y, const T* dy, T* dx, AxisShape s, bool accumulate, float* workspace) {
  float *share = workspace, *partials = workspace + s.outer * s.inner;
  sum_of(Maxima<T>{x, y}, 1.f, share, s, false, partials);
  parallel_ranges(s.outer * s.inner, kGrain, [&](std::int64_t first, std::int64_t count) {
    for (std::int64_t k = first; k < first + count; ++k) share[k] = float(dy[k]) / share[k];
  });
  map_axis(x, y, share, dx, s, accumulate, [](F16 value, F16 largest, F16 g) FOVEA_LANES_INLINE {
    return one_where_equal(value, largest) * g;   // a product, so that x / 0 shows when the maximum is NaN
  });
}

template <class T>
constexpr ReduceFunctions<T> functions{sum_axis<T>, dot_axis<T>,         deviation_axis<T>, deviation_axis_backward<T>,
                                       max_axis<T>, max_axis_backward<T>};

}   // namespace
const ReduceTable reduce_table{partials_of, functions<float>, functions<bfloat16>};
}   // namespace FOVEA_ISA

#ifdef FOVEA_BASELINE
template <class T> std::size_t reduce_workspace_bytes(Cpu, AxisShape s) { return sizeof(float) * reduce_table().partials(s); }
template <class T> std::size_t max_axis_workspace_bytes(Cpu, AxisShape s) {
  return sizeof(float) * (std::size_t(s.outer * s.inner) + reduce_table().partials(s));
}
template <class T> void sum_axis(Cpu, const T* x, acc_t<T> factor, acc_t<T>* y, AxisShape s, bool accumulate, void* workspace) {
  for_type<T>(reduce_table()).sum(x, factor, y, s, accumulate, static_cast<float*>(workspace));
}
template <class T> void dot_axis(Cpu, const T* x, const T* z, acc_t<T> factor, acc_t<T>* y, AxisShape s, bool accumulate, void* workspace) {
  for_type<T>(reduce_table()).dot(x, z, factor, y, s, accumulate, static_cast<float*>(workspace));
}
template <class T> void deviation_axis(Cpu, const T* x, const acc_t<T>* mean, acc_t<T> factor, acc_t<T>* y, AxisShape s, void* workspace) {
  for_type<T>(reduce_table()).deviation(x, mean, factor, y, s, static_cast<float*>(workspace));
}
template <class T>
void deviation_axis_backward(Cpu, const T* x, const acc_t<T>* mean, const acc_t<T>* dy, acc_t<T> factor, T* dx, AxisShape s,
                             bool accumulate) {
  for_type<T>(reduce_table()).deviation_backward(x, mean, dy, factor, dx, s, accumulate);
}
template <class T> void max_axis(Cpu, const T* x, T* y, AxisShape s) { for_type<T>(reduce_table()).max(x, y, s); }
template <class T> void max_axis_backward(Cpu, const T* x, const T* y, const T* dy, T* dx, AxisShape s, bool accumulate, void* workspace) {
  for_type<T>(reduce_table()).max_backward(x, y, dy, dx, s, accumulate, static_cast<float*>(workspace));
}

#define FOVEA_INSTANTIATE(T)                                                                                    \
  template std::size_t reduce_workspace_bytes<T>(Cpu, AxisShape);                                               \
  template std::size_t max_axis_workspace_bytes<T>(Cpu, AxisShape);                                             \
  template void sum_axis(Cpu, const T*, float, float*, AxisShape, bool, void*);                                 \
  template void dot_axis(Cpu, const T*, const T*, float, float*, AxisShape, bool, void*);                       \
  template void deviation_axis(Cpu, const T*, const float*, float, float*, AxisShape, void*);                   \
  template void deviation_axis_backward(Cpu, const T*, const float*, const float*, float, T*, AxisShape, bool); \
  template void max_axis(Cpu, const T*, T*, AxisShape);                                                         \
  template void max_axis_backward(Cpu, const T*, const T*, const T*, T*, AxisShape, bool, void*);
FOVEA_INSTANTIATE(float)
FOVEA_INSTANTIATE(bfloat16)
#undef FOVEA_INSTANTIATE
#endif

}   // namespace fovea::kernels
