// adam_reference.cpp: the rule of adam.h, evaluated in double.
#include "kernels/adam.h"

namespace fovea::kernels {

template <class T> void adam_step(Reference, T* w, const T* g, T* m, T* v, const AdamStep& o, std::int64_t n) {
  const AdamRule<double> rule(o);
  for (std::int64_t i = 0; i < n; ++i) {
    double weight = w[i], first = m[i], second = v[i];
    rule(weight, g[i], first, second);
    w[i] = T(weight), m[i] = T(first), v[i] = T(second);
  }
}
template void adam_step(Reference, float*, const float*, float*, float*, const AdamStep&, std::int64_t);
template void adam_step(Reference, double*, const double*, double*, double*, const AdamStep&, std::int64_t);

}   // namespace fovea::kernels
