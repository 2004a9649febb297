// rmsprop_cuda.cu: the rule of rmsprop.h in one pass: 20 to 36 B move for each parameter.
#include "kernels/rmsprop.h"

#include "kernels/cuda_update.h"

namespace fovea::kernels {

template <> void rmsprop_step(Cuda be, float* w, const float* g, float* v, float* m, float* b, const RmspropStep& o, std::int64_t n) {
  update(be, n, RmspropRule<float>(o), w, g, v, m, b);
}

}   // namespace fovea::kernels
