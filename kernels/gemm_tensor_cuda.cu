// gemm_tensor_cuda.cu: bfloat16 products on the tensor cores, sums in float. A block owns 128 x 128 outputs, each of its 8 warps 64 x 32 as
// 4 x 4 tiles of mma.m16n8k16. Slices of 32 of the inner dimension travel to shared memory by cp.async, three stages deep, so two are on
// their way while one is used; ldmatrix brings them into fragments. 2 x 128 x 32 numbers fetched for 2 x 128 x 128 x 32 operations: 64
// operations a byte. The ring of stages and the XOR swizzle are those of CUTLASS' sm_80 kernels (Kerr et al., "CUTLASS: Fast Linear
// Algebra in CUDA C++", 2017; the swizzle: Tavenrath & Thakkar's GTC talks on ldmatrix).
//
// An operand lies in memory with the inner dimension k contiguous, or with its rows (columns, for B) contiguous; the tile in shared memory
// keeps that order, and ldmatrix transposes on the way where the fragment wants it. Chunks of 16 bytes are the unit of everything.
#include "kernels/cuda_gemm.h"
#include "kernels/cuda_tiles.h"

namespace fovea::kernels {
namespace {

constexpr int kTile = 128, kSlice = 32, kStages = 3, kThreads = 256;
constexpr int kChunk = 8;                          // elements of 16 bytes
constexpr int kChunks = kTile * kSlice / kChunk;   // of one operand's slice
constexpr int kWarpRows = 64, kWarpColumns = 32;   // of C

struct Tiles {
  bfloat16 a[kStages][kTile * kSlice], b[kStages][kTile * kSlice];   // 48 KB: what a kernel may have without asking
};

/// Where chunk (row, c) of a tile lies. ldmatrix reads 8 rows of the same c at once: they must fall into different groups of 4 banks, eight of
/// which make 128 bytes. Rows of k are 16 chunks, so c ^ row % 8 does it; rows of i are 4 chunks, two rows to 128 bytes, hence row / 2.
template <bool k_major> __device__ __forceinline__ int swizzled(int row, int c) {
  return (k_major ? row * (kTile / kChunk) + (c ^ (row % 8)) : row * (kSlice / kChunk) + (c ^ (row / 2 % 4))) * kChunk;
}

/// Issues the copies of one slice: `extent` x `depth` numbers from (i0, k0) on, zeros beyond.
template <bool k_major>
__device__ __forceinline__ void fetch(bfloat16* tile, const Operand<bfloat16>& o, std::int64_t i0, std::int64_t extent, std::int64_t k0,
                                      std::int64_t depth) {
  constexpr int kPerRow = (k_major ? kTile : kSlice) / kChunk;
  FOVEA_UNROLL
  for (int j = 0; j < kChunks / kThreads; ++j) {
    const int q = int(threadIdx.x) + j * kThreads, row = q / kPerRow, c = q % kPerRow;
    const std::int64_t i = i0 + (k_major ? c * kChunk : row), k = k0 + (k_major ? row : c * kChunk);
    const std::int64_t left = k_major ? extent - i : depth - k;   // along the chunk
    const bool inside = k_major ? k < depth : i < extent;
    const int elements = !inside || left <= 0 ? 0 : left < kChunk ? int(left) : kChunk;
    copy_async<16>(tile + swizzled<k_major>(row, c), elements > 0 ? o.at(i, k) : o.p, elements * int(sizeof(bfloat16)));
  }
}

/// Fragments from 16 x 16 elements at (i, k) of a tile, as four 8 x 8 matrices: (i, k), then one step in i or in k first.
template <bool k_major, bool i_first>
__device__ __forceinline__ void load_fragments(std::uint32_t (&r)[4], const bfloat16* tile, int i, int k) {
  const int lane = int(threadIdx.x) % kWarp, matrix = lane / 8, row = lane % 8;
  i += (i_first ? matrix % 2 : matrix / 2) * 8;
  k += (i_first ? matrix / 2 : matrix % 2) * 8;
  if constexpr (k_major)
    load_matrix_x4_transposed(r, tile + swizzled<true>(k + row, i / kChunk));
  else
    load_matrix_x4(r, tile + swizzled<false>(i + row, k / kChunk));
}

template <bool a_k_major, bool b_k_major, class TC>
__global__ void __launch_bounds__(kThreads, 2)
    gemm_tensor_kernel(const bfloat16* a, const bfloat16* b, TC* c, GemmShape s, Epilogue<TC> e) {
  Tiles& tiles = shared_memory<Tiles>();
  const std::int64_t z = blockIdx.z, i0 = blockIdx.y * std::int64_t{kTile}, j0 = blockIdx.x * std::int64_t{kTile};
  const Operand<bfloat16> left{a + z * s.stride_a, s.row_a(), a_k_major}, right{b + z * s.stride_b, s.row_b(), b_k_major};
  const int warp = int(threadIdx.x) / kWarp, lane = int(threadIdx.x) % kWarp;
  const int wi = warp / 4 * kWarpRows, wj = warp % 4 * kWarpColumns;   // this warp's corner of the tile
  float sum[4][4][4] = {};                                             // 4 x 4 tiles of 16 x 8
  const std::int64_t slices = (s.k + kSlice - 1) / kSlice;

  const auto fetch_slice = [&](std::int64_t slice) {   // past the end nothing is read; the group counts all the same
    if (slice < slices) {
      fetch<a_k_major>(tiles.a[slice % kStages], left, i0, s.m, slice * kSlice, s.k);
      fetch<b_k_major>(tiles.b[slice % kStages], right, j0, s.n, slice * kSlice, s.k);
    }
    copy_async_commit();
  };
  for (int stage = 0; stage < kStages - 1; ++stage) fetch_slice(stage);
  for (std::int64_t slice = 0; slice < slices; ++slice) {
    copy_async_wait<kStages - 2>();
    __syncthreads();   // everybody's part of this slice is here; and nobody uses the stage any more that is filled next
    fetch_slice(slice + kStages - 1);
    const bfloat16 *ta = tiles.a[slice % kStages], *tb = tiles.b[slice % kStages];
    FOVEA_UNROLL
    for (int k = 0; k < kSlice; k += 16) {
      std::uint32_t fa[4][4], fb[2][4];
      FOVEA_UNROLL
      for (int i = 0; i < 4; ++i) load_fragments<a_k_major, true>(fa[i], ta, wi + 16 * i, k);
      FOVEA_UNROLL
      for (int j = 0; j < 2; ++j) load_fragments<b_k_major, false>(fb[j], tb, wj + 16 * j, k);
      FOVEA_UNROLL
      for (int i = 0; i < 4; ++i) {
        FOVEA_UNROLL
        for (int j = 0; j < 4; ++j) mma_bf16(sum[i][j], fa[i], fb[j / 2][j % 2 * 2], fb[j / 2][j % 2 * 2 + 1]);
      }
    }
  }

  c += z * s.stride_c;
  if (e.residual) e.residual += z * s.stride_c;
  const int g = lane / 4, t = lane % 4;
  FOVEA_UNROLL
  for (int i = 0; i < 4; ++i) {
    FOVEA_UNROLL
    for (int half = 0; half < 2; ++half) {
      float pairs[4][2];
      FOVEA_UNROLL
      for (int j = 0; j < 4; ++j) {
        pairs[j][0] = sum[i][j][2 * half];
        pairs[j][1] = sum[i][j][2 * half + 1];
      }
      transpose_pairs(pairs, t);
      float eight[8];
      FOVEA_UNROLL
      for (int j = 0; j < 8; ++j) eight[j] = pairs[j / 2][j % 2];
      const std::int64_t row = i0 + wi + 16 * i + 8 * half + g, column = j0 + wj + first_of_run<4>(t);
      if (row < s.m) write_sums(e, eight, column, s.n, c, row * s.row_c() + column);
    }
  }
}

template <bool a_k_major, bool b_k_major, class TC>
void run(Cuda be, const bfloat16* a, const bfloat16* b, TC* c, const GemmShape& s, const Epilogue<TC>& e) {
  launch(
      gemm_tensor_kernel<a_k_major, b_k_major, TC>,
      {.grid = {blocks(s.n, kTile), blocks(s.m, kTile), blocks(s.batch, 1)}, .block = kThreads, .smem = sizeof(Tiles), .stream = be.stream},
      a, b, c, s, e);
}

/// Can every chunk of 16 bytes be fetched as one? (A row may end within a chunk, but must begin with one.)
bool whole_chunks(const bfloat16* p, std::int64_t row, std::int64_t stride) {
  return aligned16(p) && row % kChunk == 0 && stride % kChunk == 0;
}

}   // namespace

template <class TC> bool gemm_tensor(Cuda be, const bfloat16* a, const bfloat16* b, TC* c, const GemmShape& s, const Epilogue<TC>& e) {
  if (!whole_chunks(a, s.row_a(), s.stride_a) || !whole_chunks(b, s.row_b(), s.stride_b)) return false;
  if (s.transpose_a)
    s.transpose_b ? run<true, false>(be, a, b, c, s, e) : run<true, true>(be, a, b, c, s, e);
  else
    s.transpose_b ? run<false, false>(be, a, b, c, s, e) : run<false, true>(be, a, b, c, s, e);
  return true;
}
template bool gemm_tensor(Cuda, const bfloat16*, const bfloat16*, float*, const GemmShape&, const Epilogue<float>&);
template bool gemm_tensor(Cuda, const bfloat16*, const bfloat16*, bfloat16*, const GemmShape&, const Epilogue<bfloat16>&);

}   // namespace fovea::kernels
