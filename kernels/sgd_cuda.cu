// sgd_cuda.cu: the rule of sgd.h in one pass: 12 B read and 8 B written for each parameter with momentum.
#include "kernels/sgd.h"

#include "kernels/cuda_update.h"

namespace fovea::kernels {

template <> void sgd_step(Cuda be, float* w, const float* g, float* v, const SgdStep& o, std::int64_t n) {
  const SgdRule<float> rule(o);
  update(be, n, rule, w, g, rule.keeps_velocity ? v : nullptr);
}

}   // namespace fovea::kernels
