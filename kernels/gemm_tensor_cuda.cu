// gemm_tensor_cuda.cu: products on the tensor cores, sums in float: of bfloat16, and of float32 that is rounded to tf32 (10 bits of mantissa)
// where the caller has asked for it. A block owns 128 x 128 outputs, each of its 8 warps 64 x 32 as 4 x 4 tiles of mma.m16n8k16 (k8). Slices of
// 64 bytes of the inner dimension travel to shared memory by cp.async, three stages deep, so two are on their way while one is used;
// ldmatrix brings them into fragments. For 2 x 128 x 128 x k operations 2 x 128 x k numbers are fetched: 64 operations a byte of bfloat16, 32
// of tf32. The ring of stages and the XOR swizzle are those of CUTLASS' sm_80 kernels (Kerr et al., "CUTLASS: Fast Linear Algebra in CUDA
// C++", 2017; the swizzle: Tavenrath & Thakkar's GTC talks on ldmatrix).
//
// An operand lies in memory with the inner dimension k contiguous, or with its rows (columns, for B) contiguous; the tile in shared memory
// keeps that order, and ldmatrix transposes on the way where the fragment wants it. (It cannot transpose 4-byte elements: there lanes fetch
// theirs one by one.) Chunks of 16 bytes are the unit of everything.
#include "kernels/cuda_gemm.h"
#include "kernels/cuda_tiles.h"

namespace fovea::kernels {
namespace {

constexpr int kTile = GemmCut::kTile, kStages = 3, kThreads = 256;
constexpr int kWarpRows = 64, kWarpColumns = 32;   // of C

// Sizes that depend on the element, of 2 or 4 bytes:
template <class T> constexpr int kChunk = Wide<T>::kSize;   // elements of 16 bytes
template <class T> constexpr int kSlice = 4 * kChunk<T>;    // of k: 64 bytes
template <class T> constexpr int kStep = 2 * kChunk<T>;     // of k: one mma

template <class T> struct Tiles {
  T a[kStages][kTile * kSlice<T>], b[kStages][kTile * kSlice<T>];   // 48 KB: what a kernel may have without asking
};

/// Where chunk (row, c) of a tile lies. ldmatrix reads 8 rows of the same c at once: they must fall into different groups of 4 banks, eight of
/// which make 128 bytes. Rows of k are 16 chunks of bfloat16, so c ^ row % 8 does it; rows of i are 4 chunks, two rows to 128 bytes, hence
/// row / 2. Of float rows of k, lanes read two neighbouring chunks of 4 rows at once.
template <class T, bool k_major> __device__ __forceinline__ int swizzled(int row, int c) {
  constexpr int kPerRow = (k_major ? kTile : kSlice<T>) / kChunk<T>;
  const int turn = !k_major ? row / 2 % 4 : sizeof(T) == 2 ? row % 8 : row % 4 * 2;
  return (row * kPerRow + (c ^ turn)) * kChunk<T>;
}

/// Issues the copies of one slice: `extent` x `depth` numbers from (i0, k0) on, zeros beyond.
template <class T, bool k_major>
__device__ __forceinline__ void fetch(T* tile, const Operand<T>& o, std::int64_t i0, std::int64_t extent, std::int64_t k0,
                                      std::int64_t depth) {
  constexpr int kPerRow = (k_major ? kTile : kSlice<T>) / kChunk<T>, kChunks = kTile * kSlice<T> / kChunk<T>;
  FOVEA_UNROLL
  for (int j = 0; j < kChunks / kThreads; ++j) {
    const int q = int(threadIdx.x) + j * kThreads, row = q / kPerRow, c = q % kPerRow;
    const std::int64_t i = i0 + (k_major ? c * kChunk<T> : row), k = k0 + (k_major ? row : c * kChunk<T>);
    const std::int64_t left = k_major ? extent - i : depth - k;   // along the chunk
    const bool inside = k_major ? k < depth : i < extent;
    const int elements = !inside || left <= 0 ? 0 : left < kChunk<T> ? int(left) : kChunk<T>;
    copy_async<16>(tile + swizzled<T, k_major>(row, c), elements > 0 ? o.at(i, k) : o.p, elements * int(sizeof(T)));
  }
}

/// Fragments from 16 rows (columns of B) and one mma's k at (i, k) of a tile, as four matrices of 8 rows and half of that k, 16 bytes: (i, k),
/// then one step in i or in k first. A lane's register is a pair of bfloat16, or one float, which is rounded here.
template <bool i_first, bool k_major, class T>
__device__ __forceinline__ void load_fragments(std::uint32_t (&r)[4], const T* tile, int i, int k) {
  const int lane = int(threadIdx.x) % kWarp;
  if constexpr (k_major && sizeof(T) == 4) {
    FOVEA_UNROLL
    for (int matrix = 0; matrix < 4; ++matrix) {
      const int at = i + (i_first ? matrix % 2 : matrix / 2) * 8 + lane / 4, row = k + (i_first ? matrix / 2 : matrix % 2) * 4 + lane % 4;
      r[matrix] = std::bit_cast<std::uint32_t>(tile[swizzled<T, true>(row, at / kChunk<T>) + at % kChunk<T>]);
    }
  } else {
    const int matrix = lane / 8, row = lane % 8;
    i += (i_first ? matrix % 2 : matrix / 2) * 8;
    k += (i_first ? matrix / 2 : matrix % 2) * kChunk<T>;
    if constexpr (k_major)
      load_matrix_x4_transposed(r, tile + swizzled<T, true>(k + row, i / kChunk<T>));
    else
      load_matrix_x4(r, tile + swizzled<T, false>(i + row, k / kChunk<T>));
  }
  if constexpr (sizeof(T) == 4) {
    FOVEA_UNROLL
    for (int matrix = 0; matrix < 4; ++matrix) r[matrix] = to_tf32(std::bit_cast<float>(r[matrix]));
  }
}
template <class T> __device__ __forceinline__ void mma(float (&c)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1) {
  if constexpr (sizeof(T) == 2)
    mma_bf16(c, a, b0, b1);
  else
    mma_tf32(c, a, b0, b1);
}

template <class T, bool a_k_major, bool b_k_major, class TC>
__global__ void __launch_bounds__(kThreads, sizeof(T) == 2 ? 2 : 1)
    gemm_tensor_kernel(const T* a, const T* b, TC* c, GemmShape s, Epilogue<TC> e, GemmCut cut) {
  Tiles<T>& tiles = shared_memory<Tiles<T>>();
  const GemmCut::Share at = cut.share(s);
  const Operand<T> left{a + at.z * s.stride_a, s.row_a(), a_k_major}, right{b + at.z * s.stride_b, s.row_b(), b_k_major};
  const int warp = int(threadIdx.x) / kWarp, lane = int(threadIdx.x) % kWarp;
  const int wi = warp / 4 * kWarpRows, wj = warp % 4 * kWarpColumns;   // this warp's corner of the tile
  float sum[4][4][4] = {};                                             // 4 x 4 tiles of 16 x 8
  const int slices = static_cast<int>(ceil_div(at.last - at.first, kSlice<T>));

  const auto fetch_slice = [&](int slice) {   // past the end nothing is read; the group counts all the same
    if (slice < slices) {
      const std::int64_t k = at.first + std::int64_t{slice} * kSlice<T>;
      fetch<T, a_k_major>(tiles.a[slice % kStages], left, at.i, s.m, k, at.last);
      fetch<T, b_k_major>(tiles.b[slice % kStages], right, at.j, s.n, k, at.last);
    }
    copy_async_commit();
  };
  for (int stage = 0; stage < kStages - 1; ++stage) fetch_slice(stage);
  for (int slice = 0; slice < slices; ++slice) {
    copy_async_wait<kStages - 2>();
    __syncthreads();   // everybody's part of this slice is here; and nobody uses the stage any more that is filled next
    fetch_slice(slice + kStages - 1);
    const T *ta = tiles.a[slice % kStages], *tb = tiles.b[slice % kStages];
    FOVEA_UNROLL
    for (int k = 0; k < kSlice<T>; k += kStep<T>) {
      std::uint32_t fa[4][4], fb[2][4];
      FOVEA_UNROLL
      for (int i = 0; i < 4; ++i) load_fragments<true, a_k_major>(fa[i], ta, wi + 16 * i, k);
      FOVEA_UNROLL
      for (int j = 0; j < 2; ++j) load_fragments<false, b_k_major>(fb[j], tb, wj + 16 * j, k);
      FOVEA_UNROLL
      for (int i = 0; i < 4; ++i) {
        FOVEA_UNROLL
        for (int j = 0; j < 4; ++j) mma<T>(sum[i][j], fa[i], fb[j / 2][j % 2 * 2], fb[j / 2][j % 2 * 2 + 1]);
      }
    }
  }

  const GemmCut::Share to =
      cut.share(s, static_cast<unsigned>(opaque(static_cast<int>(blockIdx.x))));   // again: no registers for it until here
  c += to.out * s.stride_c;
  if (e.residual) e.residual += to.z * s.stride_c;
  const int g = lane / 4, t = lane % 4;
  FOVEA_UNROLL
  for (int i = 0; i < 4; ++i) {
    FOVEA_UNROLL
    for (int half = 0; half < 2; ++half) {
      const std::int64_t row = to.i + wi + 16 * i + 8 * half + g;
      constexpr int kTiles = Wide<TC>::kSize / 2;   // that neighbouring lanes exchange, so that each writes 16 bytes beside the others'
      FOVEA_UNROLL
      for (int j = 0; j < 4; j += kTiles) {
        float pairs[kTiles][2];
        FOVEA_UNROLL
        for (int n = 0; n < kTiles; ++n) {
          pairs[n][0] = sum[i][j + n][2 * half];
          pairs[n][1] = sum[i][j + n][2 * half + 1];
        }
        transpose_pairs(pairs, t);
        float values[2 * kTiles];
        FOVEA_UNROLL
        for (int n = 0; n < 2 * kTiles; ++n) values[n] = pairs[n / 2][n % 2];
        const std::int64_t column = to.j + wj + 8 * j + first_of_run<kTiles>(t);
        if (row < s.m) write_sums(e, values, column, s.n, c, row * s.row_c() + column);
      }
    }
  }
}

template <bool a_k_major, bool b_k_major, class T, class TC>
void run(Cuda be, const T* a, const T* b, TC* c, const GemmShape& s, const Epilogue<TC>& e, const GemmCut& cut) {
  launch(gemm_tensor_kernel<T, a_k_major, b_k_major, TC>, cut.launch_shape(be, s, kThreads, sizeof(Tiles<T>)), a, b, c, s, e, cut);
}

/// Can every chunk of 16 bytes be fetched as one? (A row may end within a chunk, but must begin with one.)
template <class T> bool whole_chunks(const T* p, std::int64_t row, std::int64_t stride) {
  return aligned16(p) && row % kChunk<T> == 0 && stride % kChunk<T> == 0;
}

}   // namespace

template <class T, class TC>
bool gemm_tensor(Cuda be, const T* a, const T* b, TC* c, const GemmShape& s, const Epilogue<TC>& e, const GemmCut& cut) {
  if (!whole_chunks(a, s.row_a(), s.stride_a) || !whole_chunks(b, s.row_b(), s.stride_b)) return false;
  if (s.transpose_a)
    s.transpose_b ? run<true, false>(be, a, b, c, s, e, cut) : run<true, true>(be, a, b, c, s, e, cut);
  else
    s.transpose_b ? run<false, false>(be, a, b, c, s, e, cut) : run<false, true>(be, a, b, c, s, e, cut);
  return true;
}
template bool gemm_tensor(Cuda, const float*, const float*, float*, const GemmShape&, const Epilogue<float>&, const GemmCut&);
template bool gemm_tensor(Cuda, const bfloat16*, const bfloat16*, float*, const GemmShape&, const Epilogue<float>&, const GemmCut&);
template bool gemm_tensor(Cuda, const bfloat16*, const bfloat16*, bfloat16*, const GemmShape&, const Epilogue<bfloat16>&, const GemmCut&);

}   // namespace fovea::kernels
