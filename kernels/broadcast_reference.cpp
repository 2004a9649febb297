// broadcast_reference.cpp: one element after the other, in double.
#include "kernels/broadcast.h"

#include "kernels/map_reference.h"

namespace fovea::kernels {

template <class T> void broadcast(Reference, Arithmetic op, const T* a, const T* b, T* y, const BroadcastShape& s, bool accumulate) {
  std::int64_t elements = 1;
  for (int axis = 0; axis < s.rank; ++axis) elements *= s.extent[axis];
  for (std::int64_t i = 0; i < elements; ++i) {
    std::int64_t rest = i, at_a = 0, at_b = 0, at_y = 0;
    for (int axis = s.rank - 1; axis >= 0; --axis) {
      const std::int64_t index = rest % s.extent[axis];
      rest /= s.extent[axis];
      at_a += index * s.a_step[axis];
      at_b += index * s.b_step[axis];
      at_y += index * s.y_step[axis];
    }
    const double u = a[at_a], v = b[at_b];
    const double value = op == Arithmetic::add   ? Addition::value(u, v)
                         : op == Arithmetic::sub ? Subtraction::value(u, v)
                         : op == Arithmetic::mul ? Multiplication::value(u, v)
                                                 : Division::value(u, v);
    y[at_y] = T(accumulate ? y[at_y] + value : value);
  }
}

template <class T> void affine(Reference, const T* x, acc_t<T> factor, acc_t<T> shift, T* y, std::int64_t n, bool accumulate) {
  map(n, Affine{factor, shift}, y, accumulate, x);
}

template void broadcast(Reference, Arithmetic, const float*, const float*, float*, const BroadcastShape&, bool);
template void broadcast(Reference, Arithmetic, const double*, const double*, double*, const BroadcastShape&, bool);
template void affine(Reference, const float*, float, float, float*, std::int64_t, bool);
template void affine(Reference, const double*, double, double, double*, std::int64_t, bool);

}   // namespace fovea::kernels
