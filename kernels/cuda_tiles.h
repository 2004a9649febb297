// cuda_tiles.h: tiles on their way through a block: in shared memory, where ldmatrix must find its rows in different banks, and in the
// registers of a warp, as the tensor core leaves them.
#pragma once

#include "kernels/cuda_ptx.h"

namespace fovea::kernels {

/// Rows x Cols elements. The 16-byte pieces of a row are permuted by an exclusive or with its number, so that the same piece of 8 rows in
/// turn (what ldmatrix and strided threads read) lies in 8 different groups of 4 banks, as does a run of 8 pieces.
template <class T, int Rows, int Cols> struct SharedTile {
  static constexpr int kPiece = Wide<T>::kSize, kPieces = Cols / kPiece;
  static_assert(kPieces % 4 == 0);
  alignas(16) T data[Rows * Cols];
  __device__ __forceinline__ T* at(int row, int col) {
    const int turn = kPieces % 8 == 0 ? row & 7 : (row >> 1) & 3;   // rows of 64 bytes: two of them lie in one line of banks
    return data + row * Cols + ((col / kPiece) ^ turn) * kPiece + col % kPiece;
  }
};

/// Lanes t = 0..3 of a row hold pair t of each of 4 (or 2) tiles of 8 columns; afterwards 8 (or 4) neighbours, which are written at once:
/// from column first_of_run() on, counted from the first tile's.
template <int kTiles> __device__ __forceinline__ void transpose_pairs(float (&v)[kTiles][2], int t) {
  FOVEA_UNROLL
  for (int step = 1; step < kTiles; step *= 2) {
    FOVEA_UNROLL
    for (int j = 0; j < kTiles; ++j) {
      if (j & step) continue;
      FOVEA_UNROLL
      for (int half = 0; half < 2; ++half) {
        float &low = v[j][half], &high = v[j | step][half];
        const float received = __shfl_xor_sync(kFullWarp, t & step ? low : high, step);
        (t & step ? low : high) = received;
      }
    }
  }
}
template <int kTiles> __device__ __forceinline__ int first_of_run(int t) { return t % kTiles * 8 + t / kTiles * (2 * kTiles); }

}   // namespace fovea::kernels
