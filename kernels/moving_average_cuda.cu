// moving_average_cuda.cu: averages of weights at the speed of memory: 12 B a parameter to average, 16 to exchange.
#include "kernels/moving_average.h"

#include "kernels/cuda_map.h"
#include "kernels/cuda_rows.h"

namespace fovea::kernels {
namespace {

__global__ void exchange_kernel(float* a, float* b, std::int64_t n) {
  const std::int64_t i = (blockIdx.x * std::int64_t{kMapThreads} + threadIdx.x) * Wide<float>::kSize;
  if (i >= n) return;
  const Wide<float> from_a = load_up_to(a + i, n - i), from_b = load_up_to(b + i, n - i);
  store_up_to(a + i, from_b, n - i);
  store_up_to(b + i, from_a, n - i);
}

}   // namespace

template <> void moving_average(Cuda be, float* a, const float* w, double weight, std::int64_t n) {
  map(be, n, Toward{weight}, a, false, a, w);
}
template <> void exchange(Cuda be, float* a, float* b, std::int64_t n) {
  if (n == 0) return;
  launch(exchange_kernel, {.grid = blocks(n, kMapThreads * Wide<float>::kSize), .block = kMapThreads, .stream = be.stream}, a, b, n);
}

}   // namespace fovea::kernels
