// broadcast_cuda.cu: axes along which a, b and y step alike are joined, so equal shapes are one row, a bias rows of channels, a gate images
// of pixels of channels. A thread does 16 bytes of a row of y; along it each operand is dense or stands still (any other step is taken an
// element at a time). Where the row lies in a and b costs a division for each outer axis but the first. Bytes: y written once, each operand
// read once; what repeats is read from a cache again.
#include "kernels/broadcast.h"

#include "kernels/cuda_map.h"
#include "kernels/cuda_rows.h"

namespace fovea::kernels {
namespace {

/// `count` elements, `step` apart, then zeros.
template <class T> __device__ __forceinline__ Wide<T> load_stepped(const T* p, std::int64_t step, std::int64_t count) {
  if (step == 1) return load_up_to(p, count);
  Wide<T> v{};
  for (int j = 0; j < Wide<T>::kSize; ++j)
    if (j < count) v[j] = step == 0 && j > 0 ? v[0] : p[j * step];
  return v;
}

using Nest = LoopNest<3>;   // steps of a, of b, of y

/// `rows` is the nest without its innermost axis i. No operand is __restrict__: y may be a or b.
template <class F, class T>
__global__ void broadcast_kernel(const T* a, const T* b, T* y, Nest rows, Nest::Axis i, bool accumulate, RowGrid<T> grid) {
  const auto at = grid.piece();
  if (at.count <= 0) return;
  std::int64_t offset[3];
  locate(rows, at.row, offset);
  const Wide<T> u = load_stepped(a + offset[0] + at.col * i.step[0], i.step[0], at.count);
  const Wide<T> v = load_stepped(b + offset[1] + at.col * i.step[1], i.step[1], at.count);
  T* out = y + offset[2] + at.col * i.step[2];
  float value[Wide<T>::kSize];
  FOVEA_UNROLL
  for (int j = 0; j < Wide<T>::kSize; ++j) value[j] = F::value(float(u[j]), float(v[j]));
  if (i.step[2] == 1) return store_or_add_up_to(out, value, at.count, accumulate);
  for (int j = 0; j < Wide<T>::kSize; ++j)
    if (j < at.count) out[j * i.step[2]] = T(accumulate ? float(out[j * i.step[2]]) + value[j] : value[j]);
}

template <class F, class T> void apply(Cuda be, const T* a, const T* b, T* y, const BroadcastShape& s, bool accumulate) {
  Nest nest;
  for (int axis = 0; axis < s.rank; ++axis) {
    if (s.extent[axis] == 0) return;
    nest.join({s.extent[axis], {s.a_step[axis], s.b_step[axis], s.y_step[axis]}});
  }
  const Nest::Axis i = nest.take_innermost();
  const RowGrid<T> grid(positions(nest), i.extent);
  launch(broadcast_kernel<F, T>, grid.launch_shape(be), a, b, y, nest, i, accumulate, grid);
}

}   // namespace

template <class T> void broadcast(Cuda be, Arithmetic op, const T* a, const T* b, T* y, const BroadcastShape& s, bool accumulate) {
  switch (op) {
    case Arithmetic::add: return apply<Addition>(be, a, b, y, s, accumulate);
    case Arithmetic::sub: return apply<Subtraction>(be, a, b, y, s, accumulate);
    case Arithmetic::mul: return apply<Multiplication>(be, a, b, y, s, accumulate);
    case Arithmetic::div: return apply<Division>(be, a, b, y, s, accumulate);
  }
}

template <class T> void affine(Cuda be, const T* x, acc_t<T> factor, acc_t<T> shift, T* y, std::int64_t n, bool accumulate) {
  map(be, n, Affine{factor, shift}, y, accumulate, x);
}

#define FOVEA_INSTANTIATE(T)                                                                      \
  template void broadcast(Cuda, Arithmetic, const T*, const T*, T*, const BroadcastShape&, bool); \
  template void affine(Cuda, const T*, float, float, T*, std::int64_t, bool);
FOVEA_INSTANTIATE(float)
FOVEA_INSTANTIATE(bfloat16)
#undef FOVEA_INSTANTIATE

}   // namespace fovea::kernels
