// lars_reference.cpp: Algorithm 1, tensor by tensor, evaluated in double.
#include "kernels/lars.h"

namespace fovea::kernels {

template <class T> std::size_t lars_workspace_bytes(Reference, const Run*, std::int64_t) { return 0; }

template <class T> void lars_step(Reference, T* w, const T* g, T* v, const LarsStep& o, const Run* runs, std::int64_t count, void*) {
  for (std::int64_t r = 0; r < count; ++r) {
    double w_square = 0, g_square = 0;
    for (std::int64_t i = runs[r].begin; i < runs[r].end; ++i) w_square += double(w[i]) * w[i], g_square += double(g[i]) * g[i];
    const LarsRule<double> rule(o, lars_ratio(o, sqrt(w_square), sqrt(g_square)));
    for (std::int64_t i = runs[r].begin; i < runs[r].end; ++i) {
      double weight = w[i], velocity = v ? v[i] : 0;
      rule(weight, g[i], velocity);
      w[i] = T(weight);
      if (v) v[i] = T(velocity);
    }
  }
}

#define FOVEA_INSTANTIATE(T)                                                         \
  template std::size_t lars_workspace_bytes<T>(Reference, const Run*, std::int64_t); \
  template void lars_step(Reference, T*, const T*, T*, const LarsStep&, const Run*, std::int64_t, void*);
FOVEA_INSTANTIATE(float)
FOVEA_INSTANTIATE(double)
#undef FOVEA_INSTANTIATE

}   // namespace fovea::kernels
