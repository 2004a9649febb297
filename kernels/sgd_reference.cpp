// sgd_reference.cpp: stochastic gradient descent, evaluated in double.
#include "kernels/sgd.h"

namespace fovea::kernels {

template <class T> void sgd_step(Reference, T* w, const T* g, T* v, const SgdStep& o, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) {
    const double gradient = g[i] + o.weight_decay * w[i];
    double step = gradient;
    if (o.momentum != 0) {
      const double velocity = o.first ? gradient : o.momentum * v[i] + (1 - o.dampening) * gradient;
      v[i] = T(velocity);
      step = o.nesterov ? gradient + o.momentum * velocity : velocity;
    }
    w[i] = T(w[i] - o.lr * step);
  }
}
template void sgd_step(Reference, float*, const float*, float*, const SgdStep&, std::int64_t);
template void sgd_step(Reference, double*, const double*, double*, const SgdStep&, std::int64_t);

}   // namespace fovea::kernels
