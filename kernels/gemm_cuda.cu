// gemm_cuda.cu: float products on the ordinary cores. A block owns 128 x 128 outputs, a thread 8 x 8 of them in registers; slices of 8 of the
// inner dimension pass through shared memory, where each number is read by 16 threads: 128 x 8 + 8 x 128 numbers are fetched for 2 x 128 x
// 128 x 8 operations, 32 operations a byte, enough to keep the multipliers busy rather than memory. While a slice is used the next is on
// its way (registers, then the other of two buffers), so there is one barrier a slice. Volkov & Demmel 2008, "Benchmarking GPUs to Tune
// Dense Linear Algebra"; the form of MAGMA (Nath, Tomov & Dongarra 2010) and of CUTLASS' SIMT kernels.
//
// Each output is one chain of fused multiply-adds over k = 0, 1, 2, ...: the bits of the textbook loop and of the CPU's kernel.
#include "kernels/gemm.h"

#include <type_traits>

#include "kernels/cuda_gemm.h"

namespace fovea::kernels {
namespace {

constexpr int kTile = 128, kSlice = 8, kThreads = 256;
constexpr int kPad = 4;   // column k starts 4 banks after column k - 1, so 8 columns x 4 rows are stored without a conflict

struct Tiles {
  float a[2][kSlice][kTile + kPad], b[2][kSlice][kTile + kPad];
};

/// This thread's 4 numbers of a slice of A or B: `rows` x `depth` numbers from row i0 on; zeros beyond.
template <class T> struct Fetch {
  float v[4];
  // Neighbouring threads take neighbours in memory: along i where rows are k, else along k.
  __device__ __forceinline__ static int inner(const Operand<T>& o, int j) {
    return o.k_major ? int(threadIdx.x) % kTile : int(threadIdx.x) / kSlice + 32 * j;
  }
  __device__ __forceinline__ static int slice(const Operand<T>& o, int j) {
    return o.k_major ? int(threadIdx.x) / kTile + 2 * j : int(threadIdx.x) % kSlice;
  }
  __device__ __forceinline__ void load(const Operand<T>& o, std::int64_t i0, std::int64_t rows, std::int64_t k0, std::int64_t depth) {
    FOVEA_UNROLL
    for (int j = 0; j < 4; ++j) {
      const std::int64_t i = i0 + inner(o, j), k = k0 + slice(o, j);
      v[j] = i < rows && k < depth ? float(*o.at(i, k)) : 0.f;
    }
  }
  __device__ __forceinline__ void store(const Operand<T>& o, float (&tile)[kSlice][kTile + kPad]) const {
    FOVEA_UNROLL
    for (int j = 0; j < 4; ++j) tile[slice(o, j)][inner(o, j)] = v[j];
  }
};

template <class T, class TC>
__global__ void __launch_bounds__(kThreads) gemm_kernel(const T* a, const T* b, TC* c, GemmShape s, Epilogue<TC> e) {
  Tiles& t = shared_memory<Tiles>();
  const std::int64_t z = blockIdx.z, i0 = blockIdx.y * std::int64_t{kTile}, j0 = blockIdx.x * std::int64_t{kTile};
  const Operand<T> left{a + z * s.stride_a, s.row_a(), s.transpose_a}, right{b + z * s.stride_b, s.row_b(), !s.transpose_b};
  // Thread (ty, tx) of 16 x 16 owns rows and columns {0..3} and {64..67}, from 4 ty and 4 tx on: its vectors lie side by side with its
  // neighbours', without a conflict.
  const int tx = threadIdx.x % 16 * 4, ty = threadIdx.x / 16 * 4;
  float sum[2][4][8] = {};
  Fetch<T> fa, fb;
  fa.load(left, i0, s.m, 0, s.k);
  fb.load(right, j0, s.n, 0, s.k);
  for (std::int64_t k0 = 0; k0 < s.k; k0 += kSlice) {
    const int buffer = k0 / kSlice % 2;
    fa.store(left, t.a[buffer]);
    fb.store(right, t.b[buffer]);
    __syncthreads();   // the slice is complete, and nobody reads the other buffer any more
    if (k0 + kSlice < s.k) {
      fa.load(left, i0, s.m, k0 + kSlice, s.k);
      fb.load(right, j0, s.n, k0 + kSlice, s.k);
    }
    FOVEA_UNROLL
    for (int k = 0; k < kSlice; ++k) {
      const Wide<float> b0 = load16(&t.b[buffer][k][tx]), b1 = load16(&t.b[buffer][k][tx + 64]);
      FOVEA_UNROLL
      for (int half = 0; half < 2; ++half) {
        const Wide<float> av = load16(&t.a[buffer][k][ty + 64 * half]);
        FOVEA_UNROLL
        for (int i = 0; i < 4; ++i) {
          FOVEA_UNROLL
          for (int j = 0; j < 4; ++j) {
            sum[half][i][j] = fmaf(av[i], b0[j], sum[half][i][j]);
            sum[half][i][4 + j] = fmaf(av[i], b1[j], sum[half][i][4 + j]);
          }
        }
      }
    }
  }
  c += z * s.stride_c;
  if (e.residual) e.residual += z * s.stride_c;
  FOVEA_UNROLL
  for (int half = 0; half < 2; ++half) {
    FOVEA_UNROLL
    for (int i = 0; i < 4; ++i) {
      const std::int64_t row = i0 + ty + 64 * half + i;
      if (row >= s.m) continue;
      FOVEA_UNROLL
      for (int side = 0; side < 2; ++side) {
        float four[4];
        FOVEA_UNROLL
        for (int j = 0; j < 4; ++j) four[j] = sum[half][i][4 * side + j];
        const std::int64_t column = j0 + tx + 64 * side;
        write_sums(e, four, column, s.n, c, row * s.row_c() + column);
      }
    }
  }
}

/// Batch-norm partials of the rounded output, kStatRows rows of a column each: another pass over C, in the order of the rows.
template <class TC> __global__ void gemm_partials_kernel(const TC* c, GemmShape s, acc_t<TC>* partials) {
  const std::int64_t column = blockIdx.x * std::int64_t{kThreads} + threadIdx.x, tile = blockIdx.y;
  if (column >= s.n) return;
  const std::int64_t first = tile * kStatRows, last = s.m < first + kStatRows ? s.m : first + kStatRows;
  c += column;
  const float shift = float(c[first * s.row_c()]);   // sums about a value of the column: nothing cancels
  float sum = 0;
  for (std::int64_t i = first; i < last; ++i) sum += float(c[i * s.row_c()]) - shift;
  const float mean = shift + sum / float(last - first);
  float m2 = 0;
  for (std::int64_t i = first; i < last; ++i) {
    const float d = float(c[i * s.row_c()]) - mean;
    m2 = fmaf(d, d, m2);
  }
  partials[2 * tile * s.n + column] = mean;
  partials[(2 * tile + 1) * s.n + column] = m2;
}

}   // namespace

template <class T> std::size_t gemm_workspace_bytes(Cuda, const GemmShape&) { return 0; }

template <class T, class TC> void gemm(Cuda be, const T* a, const T* b, TC* c, const GemmShape& s, const Epilogue<TC>& e, void*) {
  if (s.m == 0 || s.n == 0 || s.batch == 0) return;
  bool done = false;
  if constexpr (std::is_same_v<T, bfloat16>) done = gemm_tensor(be, a, b, c, s, e);
  if (!done)
    launch(gemm_kernel<T, TC>,
           {.grid = {blocks(s.n, kTile), blocks(s.m, kTile), blocks(s.batch, 1)},
            .block = kThreads,
            .smem = sizeof(Tiles),
            .stream = be.stream},
           a, b, c, s, e);
  if (e.partials)
    launch(gemm_partials_kernel<TC>, {.grid = {blocks(s.n, kThreads), blocks(stat_tiles(s.m), 1)}, .block = kThreads, .stream = be.stream},
           static_cast<const TC*>(c), s, e.partials);
}

template std::size_t gemm_workspace_bytes<float>(Cuda, const GemmShape&);
template std::size_t gemm_workspace_bytes<bfloat16>(Cuda, const GemmShape&);
template void gemm(Cuda, const float*, const float*, float*, const GemmShape&, const Epilogue<float>&, void*);
template void gemm(Cuda, const bfloat16*, const bfloat16*, bfloat16*, const GemmShape&, const Epilogue<bfloat16>&, void*);
template void gemm(Cuda, const bfloat16*, const bfloat16*, float*, const GemmShape&, const Epilogue<float>&, void*);

}   // namespace fovea::kernels
