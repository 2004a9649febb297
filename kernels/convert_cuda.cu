// convert_cuda.cu: between float and bfloat16, four elements a thread, 8 and 16 bytes. 6 B an element.
#include "kernels/convert.h"

#include "kernels/cuda_rows.h"

namespace fovea::kernels {
namespace {

constexpr int kThreads = 256;

template <class From, class To> __global__ void convert_kernel(const From* __restrict__ x, To* __restrict__ y, std::int64_t n) {
  const std::int64_t i = (blockIdx.x * std::int64_t{kThreads} + threadIdx.x) * 4;
  if (i >= n) return;
  const Four<From> in = load_four(x + i, n - i);
  Four<To> out{};
  FOVEA_UNROLL
  for (int j = 0; j < 4; ++j) out[j] = To(float(in[j]));
  store_four(y + i, out, n - i);
}

}   // namespace

template <class From, class To> void convert(Cuda be, const From* x, To* y, std::int64_t n) {
  if (n == 0) return;
  launch(convert_kernel<From, To>, {.grid = blocks(n, kThreads * 4), .block = kThreads, .stream = be.stream}, x, y, n);
}
template void convert(Cuda, const bfloat16*, float*, std::int64_t);
template void convert(Cuda, const float*, bfloat16*, std::int64_t);

}   // namespace fovea::kernels
