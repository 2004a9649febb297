// broadcast_cpu.cpp: axes along which a, b and y step alike are joined, so equal shapes are one loop, a bias two (rows, channels), a gate
// three (images, pixels, channels). The innermost loop then sees each operand dense or standing still. Bytes: y written once, each
// operand read once (a small one stays in cache).
//
// A short innermost loop (three colours) would leave most lanes idle. There, operands that repeat are written out into a small buffer,
// as many rows as fit, and the loop runs over all of these rows at once.
#include "kernels/broadcast.h"

#include "kernels/cpu/isa.h"
#include "kernels/cpu/map.h"

namespace fovea::kernels {

template <class T> struct BroadcastFunctions {
  void (*broadcast)(Arithmetic, const T*, const T*, T*, const BroadcastShape&, bool);
  void (*affine)(const T*, float, float, T*, std::int64_t, bool);
};
struct BroadcastTable {
  BroadcastFunctions<float> f32;
  BroadcastFunctions<bfloat16> bf16;
};
FOVEA_ISA_TABLES(BroadcastTable, broadcast_table)

namespace FOVEA_ISA {
namespace {

constexpr std::int64_t kBuffer = 2048;    // elements of each operand that are written out at a time
constexpr std::int64_t kShortRow = 256;   // rows from here on are long enough by themselves

/// One row: the steps of a and b are 0 or 1.
template <class F, int A, int B, class T>
FOVEA_INLINE void row(const T* a, const T* b, T* y, std::int64_t n, bool accumulate, bool streamed) {
  const F16 a_still{float(*a)}, b_still{float(*b)};
  for_lanes(n, [&](std::int64_t i, std::int64_t lanes) FOVEA_LANES_INLINE {
    F16 value = F::value(A ? load(a + i, lanes) : a_still, B ? load(b + i, lanes) : b_still);
    if (accumulate) value = load(y + i, lanes) + value;
    store(y + i, lanes, value, streamed);
  });
}

/// One row with any steps.
template <class F, class T>
FOVEA_INLINE void row_of_any_step(const T* a, const T* b, T* y, std::int64_t n, const std::int64_t* step, bool accumulate) {
  for (std::int64_t i = 0; i < n; ++i) {
    const float value = F::value(float(a[i * step[0]]), float(b[i * step[1]]));
    T& out = y[i * step[2]];
    out = T(accumulate ? float(out) + value : value);
  }
}

/// Operand `from` of a plane as dense rows: itself where it is dense, else written out; again for each group of rows unless it stands
/// still from row to row.
template <class T> struct DenseRows {
  const T* from;
  std::int64_t step_i, step_j, row_length;
  T buffer[kBuffer];

  FOVEA_INLINE const T* rows(std::int64_t first, std::int64_t count) {
    if (step_i == 1 && step_j == row_length) return from + first * row_length;
    if (first == 0 || step_j != 0)
      for (std::int64_t j = 0; j < count; ++j)
        for (std::int64_t i = 0; i < row_length; ++i) buffer[j * row_length + i] = from[(first + j) * step_j + i * step_i];
    return buffer;
  }
};

template <class F, class T> FOVEA_INLINE void apply(const T* a, const T* b, T* y, const BroadcastShape& s, bool accumulate) {
  using Nest = LoopNest<3>;
  Nest nest;
  for (int axis = 0; axis < s.rank; ++axis) {
    if (s.extent[axis] == 0) return;
    nest.join({s.extent[axis], {s.a_step[axis], s.b_step[axis], s.y_step[axis]}});
  }
  const Nest::Axis i = nest.take_innermost();
  const Nest::Axis j = nest.count ? nest.take(nest.count - 1) : Nest::Axis{1, {0, 0, 0}};
  const bool dense_y = i.step[2] == 1 && j.step[2] == i.extent;
  const bool short_rows = j.extent > 1 && dense_y && i.extent < kShortRow && (i.extent % 16 != 0 || i.extent < 64);
  const bool vectors = i.step[2] == 1 && (i.step[0] == 0 || i.step[0] == 1) && (i.step[1] == 0 || i.step[1] == 1);
  std::int64_t elements = i.extent * j.extent;
  for (int axis = 0; axis < nest.count; ++axis) elements *= nest.axis[axis].extent;
  bool streamed = streams(y, elements, i.extent) && j.step[2] % 16 == 0 && !accumulate && y != a && y != b;
  for (int axis = 0; axis < nest.count; ++axis) streamed = streamed && nest.axis[axis].step[2] % 16 == 0;
  const std::int64_t block_i = min(i.extent, kNestGrain), block_j = min(j.extent, max(1, kNestGrain / block_i));
  for_blocks(nest, i, j, block_i, block_j, [&](const std::int64_t* offset, std::int64_t ni, std::int64_t nj) {
    const T *p = a + offset[0], *q = b + offset[1];
    T* out = y + offset[2];
    if (short_rows) {
      DenseRows<T> left, right;   // filled on demand
      left.from = p, left.step_i = i.step[0], left.step_j = j.step[0], left.row_length = ni;
      right.from = q, right.step_i = i.step[1], right.step_j = j.step[1], right.row_length = ni;
      const std::int64_t group = kBuffer / ni;
      for (std::int64_t k = 0; k < nj; k += group) {
        const std::int64_t count = min(group, nj - k);
        const T* dense_a = left.rows(k, count);
        const T* dense_b = right.rows(k, count);
        row<F, 1, 1>(dense_a, dense_b, out + k * ni, count * ni, accumulate, false);
      }
      return;
    }
    for (std::int64_t k = 0; k < nj; ++k, p += j.step[0], q += j.step[1], out += j.step[2]) {
      if (!vectors)
        row_of_any_step<F>(p, q, out, ni, i.step, accumulate);
      else if (i.step[0] == 0)
        i.step[1] == 0 ? row<F, 0, 0>(p, q, out, ni, accumulate, streamed) : row<F, 0, 1>(p, q, out, ni, accumulate, streamed);
      else
        i.step[1] == 0 ? row<F, 1, 0>(p, q, out, ni, accumulate, streamed) : row<F, 1, 1>(p, q, out, ni, accumulate, streamed);
    }
    stream_fence(streamed);
  });
}

template <class T> void broadcast(Arithmetic op, const T* a, const T* b, T* y, const BroadcastShape& s, bool accumulate) {
  switch (op) {
    case Arithmetic::add: return apply<Addition>(a, b, y, s, accumulate);
    case Arithmetic::sub: return apply<Subtraction>(a, b, y, s, accumulate);
    case Arithmetic::mul: return apply<Multiplication>(a, b, y, s, accumulate);
    case Arithmetic::div: return apply<Division>(a, b, y, s, accumulate);
  }
}

template <class T> void affine(const T* x, float factor, float shift, T* y, std::int64_t n, bool accumulate) {
  map(n, Affine{factor, shift}, y, accumulate, x);
}

}   // namespace
const BroadcastTable broadcast_table{{broadcast<float>, affine<float>}, {broadcast<bfloat16>, affine<bfloat16>}};
}   // namespace FOVEA_ISA

#ifdef FOVEA_BASELINE
template <class T> void broadcast(Cpu, Arithmetic op, const T* a, const T* b, T* y, const BroadcastShape& s, bool accumulate) {
  for_type<T>(broadcast_table()).broadcast(op, a, b, y, s, accumulate);
}
template <class T> void affine(Cpu, const T* x, acc_t<T> factor, acc_t<T> shift, T* y, std::int64_t n, bool accumulate) {
  for_type<T>(broadcast_table()).affine(x, factor, shift, y, n, accumulate);
}
template void broadcast(Cpu, Arithmetic, const float*, const float*, float*, const BroadcastShape&, bool);
template void broadcast(Cpu, Arithmetic, const bfloat16*, const bfloat16*, bfloat16*, const BroadcastShape&, bool);
template void affine(Cpu, const float*, float, float, float*, std::int64_t, bool);
template void affine(Cpu, const bfloat16*, float, float, bfloat16*, std::int64_t, bool);
#endif

}   // namespace fovea::kernels
