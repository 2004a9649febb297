// lamb_reference.cpp: Algorithm 2, tensor by tensor, evaluated in double.
#include "kernels/lamb.h"

namespace fovea::kernels {

template <class T> std::size_t lamb_workspace_bytes(Reference, const Run*, std::int64_t) { return 0; }

template <class T> void lamb_step(Reference, T* w, const T* g, T* m, T* v, const LambStep& o, const Run* runs, std::int64_t count, void*) {
  const LambRule<double> rule(o);
  for (std::int64_t r = 0; r < count; ++r) {
    double w_square = 0, direction_square = 0;
    for (std::int64_t i = runs[r].begin; i < runs[r].end; ++i) {
      double first = m[i], second = v[i];
      rule.moments(g[i], first, second);
      m[i] = T(first), v[i] = T(second);
      const double direction = rule.direction(w[i], m[i], v[i]);
      w_square += double(w[i]) * w[i], direction_square += direction * direction;
    }
    const double step = o.lr * lamb_ratio(o, sqrt(w_square), sqrt(direction_square));
    for (std::int64_t i = runs[r].begin; i < runs[r].end; ++i) w[i] = T(w[i] - step * rule.direction(w[i], m[i], v[i]));
  }
}

#define FOVEA_INSTANTIATE(T)                                                         \
  template std::size_t lamb_workspace_bytes<T>(Reference, const Run*, std::int64_t); \
  template void lamb_step(Reference, T*, const T*, T*, T*, const LambStep&, const Run*, std::int64_t, void*);
FOVEA_INSTANTIATE(float)
FOVEA_INSTANTIATE(double)
#undef FOVEA_INSTANTIATE

}   // namespace fovea::kernels
