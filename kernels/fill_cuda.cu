// fill_cuda.cu: 16 bytes a thread. Only writes.
#include "kernels/fill.h"

#include "kernels/cuda_rows.h"

namespace fovea::kernels {
namespace {

constexpr int kThreads = 256;

template <class E> __global__ void fill_kernel(E* y, std::int64_t n, E value) {
  const std::int64_t i = (blockIdx.x * std::int64_t{kThreads} + threadIdx.x) * Wide<E>::kSize;
  if (i >= n) return;
  Wide<E> v;
  FOVEA_UNROLL
  for (int j = 0; j < Wide<E>::kSize; ++j) v[j] = value;
  store_up_to(y + i, v, n - i);
}

}   // namespace

void fill(Cuda be, void* y, std::int64_t n, const void* element, std::size_t element_bytes) {
  if (n == 0) return;
  with_element(element, element_bytes, [&]<class E>(E value) {
    launch(fill_kernel<E>, {.grid = blocks(n, kThreads * Wide<E>::kSize), .block = kThreads, .stream = be.stream}, static_cast<E*>(y), n,
           value);
  });
}

}   // namespace fovea::kernels
