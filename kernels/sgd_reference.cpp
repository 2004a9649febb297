// sgd_reference.cpp: the rule of sgd.h, evaluated in double.
#include "kernels/sgd.h"

namespace fovea::kernels {

template <class T> void sgd_step(Reference, T* w, const T* g, T* v, const SgdStep& o, std::int64_t n) {
  const SgdRule<double> rule(o);
  for (std::int64_t i = 0; i < n; ++i) {
    double weight = w[i], velocity = rule.keeps_velocity ? v[i] : 0;
    rule(weight, g[i], velocity);
    w[i] = T(weight);
    if (rule.keeps_velocity) v[i] = T(velocity);
  }
}
template void sgd_step(Reference, float*, const float*, float*, const SgdStep&, std::int64_t);
template void sgd_step(Reference, double*, const double*, double*, const SgdStep&, std::int64_t);

}   // namespace fovea::kernels
