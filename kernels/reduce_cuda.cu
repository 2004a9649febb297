// reduce_cuda.cu: reductions along an axis; x is read once, 16 bytes a thread and four of them on their way at once. Two walks: along rows
// where the axis is the innermost one (a group of just enough lanes for each row, or for each slice of a long one), else down the columns
// (cuda_columns.h). What is summed is a term: a value, a product, a squared deviation, an equality. 4 B an element of float must move
// (8 for a product); what slices and tiles leave behind is less than a hundredth of it.
#include "kernels/reduce.h"

#include "kernels/cuda_columns.h"
#include "kernels/cuda_lanes.h"

namespace fovea::kernels {
namespace {

constexpr int kAhead = 4;   // loads that are on their way before the first is used

// The terms: of an element of x, one of z where kTwo, and the output's parameter.
struct Value {
  static constexpr bool kTwo = false;
  __device__ __forceinline__ float operator()(float x, float, float) const { return x; }
};
struct TimesZ {
  static constexpr bool kTwo = true;
  __device__ __forceinline__ float operator()(float x, float z, float) const { return x * z; }
};
struct SquaredDeviation {
  static constexpr bool kTwo = false;
  __device__ __forceinline__ float operator()(float x, float, float mean) const { return (x - mean) * (x - mean); }
};
struct IsMaximum {
  static constexpr bool kTwo = false;
  __device__ __forceinline__ float operator()(float x, float, float largest) const { return x == largest ? 1.f : 0.f; }
};

// What joins terms, and what it starts from.
struct Adding : Sum {
  static constexpr float kStart = 0;
};
struct Largest : Max {
  static constexpr float kStart = -INFINITY;
};

// What becomes of the result of output k where it is not stored (StoreSum).
template <class T> struct Shared {   // dy of an output, for each of its equal maxima
  const T* dy;
  float* share;
  __device__ __forceinline__ void operator()(std::int64_t k, double count) const { share[k] = float(dy[k]) / static_cast<float>(count); }
};

/// How rows are cut: slices of a row, and 2^shift lanes for each.
template <class T> struct RowSlices {
  static constexpr std::int64_t kMostSlices = 2048;

  AxisShape s;
  std::int64_t length, slices;
  int shift;

  /// Without `cut` a row is one slice, however long.
  RowSlices(AxisShape shape, bool cut) : s(shape), length(2048), slices(1) {
    if (s.axis > length * kMostSlices) length = ceil_div(s.axis, kMostSlices * 512) * 512;
    if (!cut || s.axis <= length) length = s.axis;
    if (length > 0) slices = ceil_div(s.axis, length);
    shift = shift_for(ceil_div(length, Wide<T>::kSize), 5);
  }
  std::size_t workspace_bytes() const { return slices > 1 ? sizeof(float) * std::size_t(s.outer * slices) : 0; }
  LaunchShape launch_shape(Cuda be) const {
    return {.grid = blocks(s.outer * slices, kRowThreads >> shift), .block = kRowThreads, .stream = be.stream};
  }
};

template <class Op, class Term, class T, class P, class Finish>
__global__ void __launch_bounds__(kRowThreads, 2)
    along_kernel(Op op, Term term, const T* __restrict__ x, const T* __restrict__ z, const P* __restrict__ parameters, Finish finish,
                 float* __restrict__ partials, RowSlices<T> cut) {
  constexpr int kSize = Wide<T>::kSize;
  const std::int64_t item = (blockIdx.x * std::int64_t{kRowThreads} + threadIdx.x) >> cut.shift;
  const bool exists = item < cut.s.outer * cut.slices;
  std::int64_t slice = 0, k = 0, n = 0;
  float parameter = 0;
  if (exists) {
    k = divide(item, cut.slices, slice);
    n = cut.s.axis - slice * cut.length;
    if (n > cut.length) n = cut.length;
    x += k * cut.s.axis + slice * cut.length;
    if (Term::kTwo) z += k * cut.s.axis + slice * cut.length;
    if (parameters) parameter = float(parameters[k]);
  }
  float part[kSize];
  for (int j = 0; j < kSize; ++j) part[j] = Op::kStart;
  const int lanes = 1 << cut.shift, lane = threadIdx.x & (lanes - 1);
  for (std::int64_t i = lane * kSize; i < n; i += kAhead * lanes * kSize) {
    Wide<T> u[kAhead], v[kAhead];
    for (int a = 0; a < kAhead; ++a) {
      const std::int64_t at = i + a * lanes * kSize;
      u[a] = load_up_to(x + at, n - at);
      if constexpr (Term::kTwo) v[a] = load_up_to(z + at, n - at);
    }
    for (int a = 0; a < kAhead; ++a)
      for (int j = 0; j < kSize; ++j)
        if (i + a * lanes * kSize + j < n) part[j] = op(part[j], term(float(u[a][j]), Term::kTwo ? float(v[a][j]) : 0.f, parameter));
  }
  for (int half = kSize / 2; half > 0; half /= 2)
    for (int j = 0; j < half; ++j) part[j] = op(part[j], part[j + half]);
  float result = part[0];
  for (int half = lanes / 2; half > 0; half /= 2) result = op(result, __shfl_xor_sync(kFullWarp, result, half));
  if (lane > 0 || !exists) return;
  if (cut.slices == 1)
    finish(k, double(result));
  else
    partials[item] = result;
}

template <class Op, class Term, class T, class P, class Finish>
__global__ void __launch_bounds__(kRowThreads, 2)
    across_kernel(Op op, Term term, const T* __restrict__ x, const T* __restrict__ z, const P* __restrict__ parameters, Finish finish,
                  float* __restrict__ partials, ColumnTiles<T> cut) {
  constexpr int kSize = Wide<T>::kSize;
  const auto share = cut.share();
  const std::int64_t inner = cut.s.inner, k = share.outer * inner + share.col;
  float part[kSize], parameter[kSize] = {};
  for (int j = 0; j < kSize; ++j) {
    part[j] = Op::kStart;
    if (parameters && j < share.count) parameter[j] = float(parameters[k + j]);
  }
  const std::int64_t from = share.outer * cut.s.axis * inner + share.col;
  if (share.count > 0)
    for (std::int64_t row = share.first; row < share.last; row += kAhead * share.step) {
      Wide<T> u[kAhead], v[kAhead];
      for (int a = 0; a < kAhead; ++a) {
        const std::int64_t r = row + a * share.step, at = from + r * inner, count = r < share.last ? share.count : 0;
        u[a] = load_up_to(x + at, count);
        if constexpr (Term::kTwo) v[a] = load_up_to(z + at, count);
      }
      for (int a = 0; a < kAhead; ++a)
        if (row + a * share.step < share.last)
          for (int j = 0; j < kSize; ++j) part[j] = op(part[j], term(float(u[a][j]), Term::kTwo ? float(v[a][j]) : 0.f, parameter[j]));
    }
  if (!cut.join(op, part)) return;
  for (int j = 0; j < kSize; ++j) {
    if (j >= share.count) break;
    if (cut.tiles == 1)
      finish(k + j, double(part[j]));
    else
      partials[(share.outer * cut.tiles + share.tile) * inner + share.col + j] = part[j];
  }
}

/// finish(k, op over the terms of output k) for every output.
template <class Term, class T, class P, class Finish>
void sum_of(Cuda be, Term term, const T* x, const T* z, const P* parameters, Finish finish, AxisShape s, void* workspace) {
  if (s.outer * s.inner == 0) return;
  float* partials = static_cast<float*>(workspace);
  if (s.inner == 1) {
    const RowSlices<T> cut(s, true);
    launch(along_kernel<Adding, Term, T, P, Finish>, cut.launch_shape(be), Adding{}, term, x, z, parameters, finish, partials, cut);
    if (cut.slices > 1) join_tiles(be, partials, {s.outer, cut.slices, 1}, finish);
  } else {
    const ColumnTiles<T> cut(s);
    launch(across_kernel<Adding, Term, T, P, Finish>, cut.launch_shape(be), Adding{}, term, x, z, parameters, finish, partials, cut);
    if (cut.tiles > 1) join_tiles(be, partials, {s.outer, cut.tiles, s.inner}, finish);
  }
}
template <class T> std::size_t partial_bytes(AxisShape s) {
  return s.inner == 1 ? RowSlices<T>(s, true).workspace_bytes() : ColumnTiles<T>(s).workspace_bytes();
}

/// What the elements of a piece have: one output's number for all of them, or one each.
template <class T, class P> __device__ __forceinline__ Lanes<Wide<T>::kSize> outputs_of_piece(const P* p, bool one, std::int64_t count) {
  constexpr int kSize = Wide<T>::kSize;
  if (one) return all_lanes<kSize>(float(*p));
  if (count >= kSize && aligned16(p)) return load_lanes<kSize>(p);
  Lanes<kSize> r = all_lanes<kSize>(0);
  FOVEA_UNROLL for (int j = 0; j < kSize; ++j) if (j < count) r[j] = float(p[j]);
  return r;
}
/// dx[i] = f(x[i], p[k], q[k]), or +=, for the output k that element i belongs to. rows: of axis or of inner elements, so that a row's outputs
/// are one, or neighbours.
template <class F, class T, class P, class Q>
__global__ void map_axis_kernel(F f, const T* x, const P* __restrict__ p, const Q* __restrict__ q, T* dx, AxisShape s, bool accumulate,
                                RowGrid<T> rows) {
  const auto at = rows.piece();
  if (at.count <= 0) return;
  const bool along = s.inner == 1;
  std::int64_t k = at.row, rest;
  if (!along) k = divide(at.row, s.axis, rest) * s.inner + at.col;
  const std::int64_t i = at.row * rows.cols + at.col;
  const Wide<T> u = load_up_to(x + i, at.count);
  const auto of_p = outputs_of_piece<T>(p + k, along, at.count), of_q = outputs_of_piece<T>(q + k, along, at.count);
  float value[Wide<T>::kSize];
  FOVEA_UNROLL for (int j = 0; j < Wide<T>::kSize; ++j) value[j] = f(float(u[j]), of_p[j], of_q[j]);
  store_or_add_up_to(dx + i, value, at.count, accumulate);
}
template <class F, class T, class P, class Q>
void map_axis(Cuda be, F f, const T* x, const P* p, const Q* q, T* dx, AxisShape s, bool accumulate) {
  if (s.outer * s.axis * s.inner == 0) return;
  const RowGrid<T> rows = s.inner == 1 ? RowGrid<T>(s.outer, s.axis) : RowGrid<T>(s.outer * s.axis, s.inner);
  launch(map_axis_kernel<F, T, P, Q>, rows.launch_shape(be), f, x, p, q, dx, s, accumulate, rows);
}
struct DeviationGradient {
  float twice_factor;
  __device__ __forceinline__ float operator()(float x, float mean, float dy) const { return twice_factor * dy * (x - mean); }
};
struct MaximumGradient {
  __device__ __forceinline__ float operator()(float x, float largest, float share) const {
    return (x == largest ? 1.f : 0.f) * share;   // a product, so that x / 0 shows when the maximum is NaN
  }
};

}   // namespace

template <class T> std::size_t reduce_workspace_bytes(Cuda, AxisShape s) { return partial_bytes<T>(s); }
template <class T> void sum_axis(Cuda be, const T* x, acc_t<T> factor, acc_t<T>* y, AxisShape s, bool accumulate, void* workspace) {
  sum_of(be, Value{}, x, x, static_cast<const float*>(nullptr), StoreSum<float>{y, accumulate, factor}, s, workspace);
}
template <class T>
void dot_axis(Cuda be, const T* x, const T* z, acc_t<T> factor, acc_t<T>* y, AxisShape s, bool accumulate, void* workspace) {
  sum_of(be, TimesZ{}, x, z, static_cast<const float*>(nullptr), StoreSum<float>{y, accumulate, factor}, s, workspace);
}

template <class T>
void deviation_axis(Cuda be, const T* x, const acc_t<T>* mean, acc_t<T> factor, acc_t<T>* y, AxisShape s, void* workspace) {
  sum_of(be, SquaredDeviation{}, x, x, mean, StoreSum<float>{y, false, factor}, s, workspace);
}
template <class T>
void deviation_axis_backward(Cuda be, const T* x, const acc_t<T>* mean, const acc_t<T>* dy, acc_t<T> factor, T* dx, AxisShape s,
                             bool accumulate) {
  map_axis(be, DeviationGradient{2 * factor}, x, mean, dy, dx, s, accumulate);
}

/// No workspace: a row is one slice, an axis one tile.
template <class T> void max_axis(Cuda be, const T* x, T* y, AxisShape s) {
  if (s.outer * s.inner == 0) return;
  const float* none = nullptr;
  if (s.inner == 1) {
    const RowSlices<T> cut(s, false);
    launch(along_kernel<Largest, Value, T, float, StoreSum<T>>, cut.launch_shape(be), Largest{}, Value{}, x, x, none, StoreSum<T>{y, false},
           static_cast<float*>(nullptr), cut);
  } else {
    ColumnTiles<T> cut(s);
    cut.tile_rows = s.axis, cut.tiles = 1;
    launch(across_kernel<Largest, Value, T, float, StoreSum<T>>, cut.launch_shape(be), Largest{}, Value{}, x, x, none,
           StoreSum<T>{y, false}, static_cast<float*>(nullptr), cut);
  }
}
/// The workspace: dy / count for each output, then partial counts.
template <class T> std::size_t max_axis_workspace_bytes(Cuda, AxisShape s) {
  return sizeof(float) * std::size_t(s.outer * s.inner) + partial_bytes<T>(s);
}
template <class T>
void max_axis_backward(Cuda be, const T* x, const T* y, const T* dy, T* dx, AxisShape s, bool accumulate, void* workspace) {
  float* share = static_cast<float*>(workspace);
  sum_of(be, IsMaximum{}, x, x, y, Shared<T>{dy, share}, s, share + s.outer * s.inner);
  map_axis(be, MaximumGradient{}, x, y, share, dx, s, accumulate);
}

#define FOVEA_INSTANTIATE(T)                                                                                     \
  template std::size_t reduce_workspace_bytes<T>(Cuda, AxisShape);                                               \
  template void sum_axis(Cuda, const T*, float, float*, AxisShape, bool, void*);                                 \
  template void dot_axis(Cuda, const T*, const T*, float, float*, AxisShape, bool, void*);                       \
  template void deviation_axis(Cuda, const T*, const float*, float, float*, AxisShape, void*);                   \
  template void deviation_axis_backward(Cuda, const T*, const float*, const float*, float, T*, AxisShape, bool); \
  template void max_axis(Cuda, const T*, T*, AxisShape);                                                         \
  template std::size_t max_axis_workspace_bytes<T>(Cuda, AxisShape);                                             \
  template void max_axis_backward(Cuda, const T*, const T*, const T*, T*, AxisShape, bool, void*);
FOVEA_INSTANTIATE(float)
FOVEA_INSTANTIATE(bfloat16)
#undef FOVEA_INSTANTIATE

}   // namespace fovea::kernels
