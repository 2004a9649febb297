// scratch_product.h: products of small matrices that lie in one thread's scratch, which is to say in its first and second-level cache.
//
// The register tile is that of micro_kernel.h (12x32 for AVX-512, 6x16 for AVX2, 4x8 for the baseline), but the right matrix is not packed
// in panels: its rows are padded instead, to an odd number of cache lines, so that a tile's columns spread over all sets of the
// first-level cache. Rows that are left take tiles of half the size and less, for 49 or 197 tokens are no multiple of anything.
// Every element is one fma chain over k, so tiles leave no trace in the bits.
#pragma once

#include "kernels/cpu/patches.h"

namespace fovea::kernels::FOVEA_ISA {
namespace {

/// Floats from one row of n to the next: an odd number of cache lines, with room for the last vector. The padding must hold numbers.
FOVEA_INLINE std::int64_t scratch_row(std::int64_t n) { return round_up(n, 16) | 16; }

/// c (MR, NV * kWidth) = A (MR, k) * b (k, NV * kWidth), or += with `add`: the chains go on where c has them. A[i, l] lies at a[i * lda + l],
/// or with Transposed at a[l * lda + i].
template <int MR, int NV, bool Transposed>
[[gnu::noinline]] void scratch_tile(const float* a, std::int64_t lda, const float* b, std::int64_t ldb, std::int64_t k, float* c,
                                    std::int64_t ldc, bool add) {
  Native acc[MR][NV];
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i)
#pragma GCC unroll 2
    for (int j = 0; j < NV; ++j) acc[i][j] = add ? load(c + i * ldc + j * kWidth) : Native{};
  const float* row[MR];   // ends of the rows: one register then both counts and indexes, from -k up to 0
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i) row[i] = a + i * lda + k;
  for (std::int64_t l = -k; l < 0; ++l, b += ldb) {
    Native bl[NV];
#pragma GCC unroll 2
    for (int j = 0; j < NV; ++j) bl[j] = load(b + j * kWidth);
#pragma GCC unroll 16
    for (int i = 0; i < MR; ++i) {
      const Native x = broadcast(Transposed ? a[i] : row[i][l]);
#pragma GCC unroll 2
      for (int j = 0; j < NV; ++j) acc[i][j] = fma(x, bl[j], acc[i][j]);
    }
    if (Transposed) a += lda;
  }
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i)
#pragma GCC unroll 2
    for (int j = 0; j < NV; ++j) store(c + i * ldc + j * kWidth, acc[i][j]);
}

/// All rows of NV * kWidth columns of c: tiles of kMr rows, then of half as many, down to one.
template <int NV, bool Transposed>
void scratch_columns(std::int64_t m, std::int64_t k, const float* a, std::int64_t lda, const float* b, std::int64_t ldb, float* c,
                     std::int64_t ldc, bool add) {
  const std::int64_t a_row = Transposed ? 1 : lda;
  std::int64_t i = 0;
  for (; i + kMr <= m; i += kMr) scratch_tile<kMr, NV, Transposed>(a + i * a_row, lda, b, ldb, k, c + i * ldc, ldc, add);
  if constexpr (kMr > 8)
    if (i + 8 <= m) scratch_tile<8, NV, Transposed>(a + i * a_row, lda, b, ldb, k, c + i * ldc, ldc, add), i += 8;
  if constexpr (kMr > 4)
    if (i + 4 <= m) scratch_tile<4, NV, Transposed>(a + i * a_row, lda, b, ldb, k, c + i * ldc, ldc, add), i += 4;
  if (i + 2 <= m) scratch_tile<2, NV, Transposed>(a + i * a_row, lda, b, ldb, k, c + i * ldc, ldc, add), i += 2;
  if (i < m) scratch_tile<1, NV, Transposed>(a + i * a_row, lda, b, ldb, k, c + i * ldc, ldc, add);
}

/// c (m, n) = A (m, k) * b (k, n), or +=. Columns of b and c up to the next multiple of 16 exist, and are read and written: whoever goes
/// over c in 16 lanes finds numbers there.
template <bool Transposed>
void scratch_product(std::int64_t m, std::int64_t n, std::int64_t k, const float* a, std::int64_t lda, const float* b, std::int64_t ldb,
                     float* c, std::int64_t ldc, bool add) {
  n = round_up(n, 16);
  std::int64_t j = 0;
  for (; j + kWidth < n; j += kNr) scratch_columns<2, Transposed>(m, k, a, lda, b + j, ldb, c + j, ldc, add);
  if (j < n) scratch_columns<1, Transposed>(m, k, a, lda, b + j, ldb, c + j, ldc, add);
}

}   // namespace
}   // namespace fovea::kernels::FOVEA_ISA
