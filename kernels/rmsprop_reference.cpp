// rmsprop_reference.cpp: the rule of rmsprop.h, evaluated in double.
#include "kernels/rmsprop.h"

namespace fovea::kernels {

template <class T> void rmsprop_step(Reference, T* w, const T* g, T* v, T* m, T* b, const RmspropStep& o, std::int64_t n) {
  const RmspropRule<double> rule(o);
  for (std::int64_t i = 0; i < n; ++i) {
    double weight = w[i], square = v[i], mean = m ? m[i] : 0, velocity = b ? b[i] : 0;
    rule(weight, g[i], square, mean, velocity);
    w[i] = T(weight), v[i] = T(square);
    if (m) m[i] = T(mean);
    if (b) b[i] = T(velocity);
  }
}
template void rmsprop_step(Reference, float*, const float*, float*, float*, float*, const RmspropStep&, std::int64_t);
template void rmsprop_step(Reference, double*, const double*, double*, double*, double*, const RmspropStep&, std::int64_t);

}   // namespace fovea::kernels
