// gemm_cuda.cu: float products on the ordinary cores. A block owns 128 x 128 outputs, a thread 8 x 8 of them in registers; slices of 8 of the
// inner dimension pass through shared memory, where each number is read by 16 threads: 128 x 8 + 8 x 128 numbers are fetched for 2 x 128 x
// 128 x 8 operations, 32 operations a byte, enough to keep the multipliers busy rather than memory. While a slice is used the next is on
// its way (registers, then the other of two buffers), so there is one barrier a slice. Volkov & Demmel 2008, "Benchmarking GPUs to Tune
// Dense Linear Algebra"; the form of MAGMA (Nath, Tomov & Dongarra 2010) and of CUTLASS' SIMT kernels.
//
// Each output is one chain of fused multiply-adds over k = 0, 1, 2, ...: the bits of the textbook loop and of the CPU's kernel. Where k is cut
// in slices (cuda_gemm.h) it is one for each of them, added in order: 8 bytes a slice and output more.
#include "kernels/gemm.h"

#include <type_traits>

#include "kernels/cuda_gemm.h"
#include "kernels/cuda_join.h"

namespace fovea::kernels {
namespace {

constexpr int kTile = GemmCut::kTile, kSlice = 8, kThreads = 256;
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
__global__ void __launch_bounds__(kThreads) gemm_kernel(const T* a, const T* b, TC* c, GemmShape s, Epilogue<TC> e, GemmCut cut) {
  Tiles& t = shared_memory<Tiles>();
  const GemmCut::Share at = cut.share(s);
  const Operand<T> left{a + at.z * s.stride_a, s.row_a(), s.transpose_a}, right{b + at.z * s.stride_b, s.row_b(), !s.transpose_b};
  // Thread (ty, tx) of 16 x 16 owns rows and columns {0..3} and {64..67}, from 4 ty and 4 tx on: its vectors lie side by side with its
  // neighbours', without a conflict.
  const int tx = threadIdx.x % 16 * 4, ty = threadIdx.x / 16 * 4;
  float sum[2][4][8] = {};
  Fetch<T> fa, fb;
  fa.load(left, at.i, s.m, at.first, at.last);
  fb.load(right, at.j, s.n, at.first, at.last);
  int buffer = 0;
  for (std::int64_t k0 = at.first; k0 < at.last; k0 += kSlice, buffer ^= 1) {
    fa.store(left, t.a[buffer]);
    fb.store(right, t.b[buffer]);
    __syncthreads();   // the slice is complete, and nobody reads the other buffer any more
    if (k0 + kSlice < at.last) {
      fa.load(left, at.i, s.m, k0 + kSlice, at.last);
      fb.load(right, at.j, s.n, k0 + kSlice, at.last);
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
  c += at.out * s.stride_c;
  if (e.residual) e.residual += at.z * s.stride_c;
  FOVEA_UNROLL
  for (int half = 0; half < 2; ++half) {
    FOVEA_UNROLL
    for (int i = 0; i < 4; ++i) {
      const std::int64_t row = at.i + ty + 64 * half + i;
      if (row >= s.m) continue;
      FOVEA_UNROLL
      for (int side = 0; side < 2; ++side) {
        float four[4];
        FOVEA_UNROLL
        for (int j = 0; j < 4; ++j) four[j] = sum[half][i][4 * side + j];
        const std::int64_t column = at.j + tx + 64 * side;
        write_sums(e, four, column, s.n, c, row * s.row_c() + column);
      }
    }
  }
}

/// Batch-norm partials of the rounded output, kStatRows rows of a column each: another pass over C, in the order of the rows.
template <class TC> __global__ void gemm_partials_kernel(const TC* c, GemmShape s, acc_t<TC>* partials, unsigned column_blocks) {
  const std::int64_t tile = blockIdx.x / column_blocks, column = blockIdx.x % column_blocks * std::int64_t{kThreads} + threadIdx.x;
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

/// What becomes of the sum of an output's slices: output k of (batch, m, n).
template <class TC> struct FinishProduct {
  TC* c;
  GemmShape s;
  Epilogue<TC> e;
  __device__ __forceinline__ void operator()(std::int64_t k, double sum) const {
    std::int64_t row, column;
    const std::int64_t line = divide(k, s.n, column), z = divide(line, s.m, row), offset = z * s.stride_c + row * s.row_c() + column;
    c[offset] = finish_sum(e, static_cast<float>(sum), column, c, offset);
  }
};

template <class T, class TC>
void multiply(Cuda be, const T* a, const T* b, TC* c, const GemmShape& s, const Epilogue<TC>& e, const GemmCut& cut) {
  const bool tensor_cores = std::is_same_v<T, bfloat16> || be.tf32;
  if (tensor_cores && gemm_tensor(be, a, b, c, s, e, cut)) return;
  launch(gemm_kernel<T, TC>, cut.launch_shape(be, s, kThreads, sizeof(Tiles)), a, b, c, s, e, cut);
}

}   // namespace

/// cuBLAS knows no epilogue: its sums wait for ours.
template <class T> std::size_t gemm_workspace_bytes(Cuda be, const GemmShape& s) {
  const std::int64_t outputs = s.m * s.n * s.batch;
  if (be.cublas) return sizeof(float) * static_cast<std::size_t>(outputs);
  return outputs > 0 ? GemmCut(s).workspace_bytes(s) : 0;
}

template <class T, class TC> void gemm(Cuda be, const T* a, const T* b, TC* c, const GemmShape& s, const Epilogue<TC>& e, void* workspace) {
  if (s.m == 0 || s.n == 0 || s.batch == 0) return;
  const GemmCut cut(s);
  const bool plain = !e.scale && !e.shift && !e.residual && e.activation == Activation::none;
  GemmShape apart = s;   // where sums wait for the epilogue
  apart.ldc = 0, apart.stride_c = s.m * s.n;
  float* const sums = static_cast<float*>(workspace);
  const auto finish = [&](std::int64_t slices) { join_tiles(be, sums, {1, slices, s.batch * s.m * s.n}, FinishProduct<TC>{c, s, e}); };
  if (be.cublas && plain) {
    gemm_cublas(be, a, b, c, s, e.accumulate);
  } else if (be.cublas) {
    gemm_cublas(be, a, b, sums, apart, false);
    finish(1);
  } else if (cut.slices == 1) {
    multiply(be, a, b, c, s, e, cut);
  } else {
    multiply(be, a, b, sums, apart, Epilogue<float>{}, cut);
    finish(cut.slices);
  }
  if (e.partials) {
    const unsigned column_blocks = blocks(s.n, kThreads);
    launch(gemm_partials_kernel<TC>, {.grid = blocks(stat_tiles(s.m) * column_blocks, 1), .block = kThreads, .stream = be.stream},
           static_cast<const TC*>(c), s, e.partials, column_blocks);
  }
}

template std::size_t gemm_workspace_bytes<float>(Cuda, const GemmShape&);
template std::size_t gemm_workspace_bytes<bfloat16>(Cuda, const GemmShape&);
template void gemm(Cuda, const float*, const float*, float*, const GemmShape&, const Epilogue<float>&, void*);
template void gemm(Cuda, const bfloat16*, const bfloat16*, bfloat16*, const GemmShape&, const Epilogue<bfloat16>&, void*);
template void gemm(Cuda, const bfloat16*, const bfloat16*, float*, const GemmShape&, const Epilogue<float>&, void*);

}   // namespace fovea::kernels
