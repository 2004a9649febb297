// adam_cuda.cu: the rule of adam.h in one pass: 16 B read and 12 B written for each parameter.
#include "kernels/adam.h"

#include "kernels/cuda_update.h"

namespace fovea::kernels {

template <> void adam_step(Cuda be, float* w, const float* g, float* m, float* v, const AdamStep& o, std::int64_t n) {
  update(be, n, AdamRule<float>(o), w, g, m, v);
}

}   // namespace fovea::kernels
