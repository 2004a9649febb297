// device_cases.cu: kernels whose result tests compare with a plain model on the host: fragments, counters, intrinsics.
#include "tests/emulator/device_cases.h"

#include "kernels/cuda_ptx.h"

namespace fovea::kernels {
namespace {

// ---- mma.sync with fragments loaded element by element, as the PTX ISA draws them ---------------------------------------------------------

__device__ std::uint32_t pair(const bfloat16* p, int stride) { return std::uint32_t{p[0].bits} | std::uint32_t{p[stride].bits} << 16; }

template <bool wrong> __global__ void mma_bf16_kernel(const bfloat16* a, const bfloat16* b, float* c) {   // (16, 16) (16, 8)
  const int g = int(threadIdx.x) / 4, t = int(threadIdx.x) % 4;
  std::uint32_t fa[4];
  for (int i = 0; i < 4; ++i) {
    const int down = wrong ? i / 2 : i % 2, right = wrong ? i % 2 : i / 2;
    fa[i] = pair(a + (g + 8 * down) * 16 + 2 * t + 8 * right, 1);
  }
  float d[4];
  for (int i = 0; i < 4; ++i) d[i] = c[(g + i / 2 * 8) * 8 + 2 * t + i % 2];
  mma_bf16(d, fa, pair(b + 2 * t * 8 + g, 8), pair(b + (2 * t + 8) * 8 + g, 8));
  for (int i = 0; i < 4; ++i) c[(g + i / 2 * 8) * 8 + 2 * t + i % 2] = d[i];
}

__global__ void mma_tf32_kernel(const float* a, const float* b, float* c) {   // (16, 8) (8, 8)
  const int g = int(threadIdx.x) / 4, t = int(threadIdx.x) % 4;
  std::uint32_t fa[4];
  for (int i = 0; i < 4; ++i) fa[i] = to_tf32(a[(g + i % 2 * 8) * 8 + t + i / 2 * 4]);
  float d[4];
  for (int i = 0; i < 4; ++i) d[i] = c[(g + i / 2 * 8) * 8 + 2 * t + i % 2];
  mma_tf32(d, fa, to_tf32(b[t * 8 + g]), to_tf32(b[(t + 4) * 8 + g]));
  for (int i = 0; i < 4; ++i) c[(g + i / 2 * 8) * 8 + 2 * t + i % 2] = d[i];
}

struct FourMatrices {
  std::uint16_t v[4][8][8];
};
template <bool transpose> __global__ void load_matrix_kernel(const std::uint16_t* in, std::uint32_t* out) {   // out (32 lanes, 4)
  FourMatrices& s = shared_memory<FourMatrices>();
  const int lane = threadIdx.x;
  for (int i = 0; i < 8; ++i) s.v[lane / 8][lane % 8][i] = in[lane * 8 + i];
  __syncwarp();
  std::uint32_t r[4];
  if constexpr (transpose)
    load_matrix_x4_transposed(r, s.v[lane / 8][lane % 8]);
  else
    load_matrix_x4(r, s.v[lane / 8][lane % 8]);
  for (int i = 0; i < 4; ++i) out[lane * 4 + i] = r[i];
}

// ---- what counters should say -------------------------------------------------------------------------------------------------------------

__global__ void strided_copy_kernel(const float* x, float* y, int stride) { y[threadIdx.x] = x[int(threadIdx.x) * stride]; }
__global__ void vector_copy_kernel(const float* x, float* y) { store16(y + 4 * threadIdx.x, load16(x + 4 * threadIdx.x)); }
template <int pitch> __global__ void transpose_kernel(const float* x, float* y) {
  struct Tile {
    float v[32][pitch];
  };
  Tile& s = shared_memory<Tile>();
  const int lane = threadIdx.x;
  for (int i = 0; i < 32; ++i) s.v[i][lane] = x[i * 32 + lane];
  __syncwarp();
  for (int i = 0; i < 32; ++i) y[i * 32 + lane] = s.v[lane][i];
}

// ---- intrinsics -----------------------------------------------------------------------------------------------------------------------------

__global__ void intrinsics_kernel(const float* x, float* y, int n) {
  const int i = int(blockIdx.x * blockDim.x + threadIdx.x);
  if (i >= n) return;
  y[5 * i] = __expf(x[i]);
  y[5 * i + 1] = __logf(fabsf(x[i]));
  y[5 * i + 2] = rsqrtf(fabsf(x[i]));
  y[5 * i + 3] = __fdividef(1.f, x[i]);
  y[5 * i + 4] = float(__popc(unsigned(i)) + __clz(i) + __ffs(i));
}

__global__ void add_one_kernel(float* x) { x[threadIdx.x] += 1; }
struct Large {
  float v[1024];
};
__global__ void shared_kernel(float* y) {
  float* s = shared_memory<Large>().v;
  s[threadIdx.x] = 1;
  y[threadIdx.x] = s[threadIdx.x];
}

}   // namespace

void mma_bf16_case(bool wrong, const bfloat16* a, const bfloat16* b, float* c) {
  launch(wrong ? mma_bf16_kernel<true> : mma_bf16_kernel<false>, {.grid = 1, .block = 32}, a, b, c);
}
void mma_tf32_case(const float* a, const float* b, float* c) { launch(mma_tf32_kernel, {.grid = 1, .block = 32}, a, b, c); }
void load_matrix_case(bool transpose, const std::uint16_t* in, std::uint32_t* out) {
  launch(transpose ? load_matrix_kernel<true> : load_matrix_kernel<false>, {.grid = 1, .block = 32, .smem = sizeof(FourMatrices)}, in, out);
}
void strided_copy(const float* x, float* y, int stride) { launch(strided_copy_kernel, {.grid = 1, .block = 64}, x, y, stride); }
void vector_copy(const float* x, float* y) { launch(vector_copy_kernel, {.grid = 1, .block = 64}, x, y); }
void transpose_32(bool padded, const float* x, float* y) {
  launch(padded ? transpose_kernel<33> : transpose_kernel<32>, {.grid = 1, .block = 32, .smem = 33 * 32 * sizeof(float)}, x, y);
}
void intrinsics(const float* x, float* y, int n) { launch(intrinsics_kernel, {.grid = blocks(n, 64), .block = 64}, x, y, n); }
void add_one(float* x, cudaStream_t stream) { launch(add_one_kernel, {.grid = 1, .block = 32, .stream = stream}, x); }
void launch_shape(dim3 grid, dim3 block, std::size_t shared_bytes, bool opt_in, float* y) {
  if (opt_in)
    launch(shared_kernel, {.grid = grid, .block = block, .smem = shared_bytes}, y);
  else
    check_cuda(emulator::launch_kernel(shared_kernel, grid, block, shared_bytes, nullptr, y), "launch");
}

}   // namespace fovea::kernels
