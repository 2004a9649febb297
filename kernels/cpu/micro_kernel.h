// micro_kernel.h: the innermost loops of GEMM and convolution: a tile of C, kMr rows by kNr columns, stays in registers
// while k runs over one row of A per register row and one packed panel of B.
//
//   for k:  b[0..1] = B panel row k;   for i in 0..kMr:  acc[i] += A[i,k] * b      (2 loads, kMr broadcasts, 2 kMr fma)
//
// The register tile is 12x32 for AVX-512 (24 of 32 registers), 6x16 for AVX2 (12 of 16), 4x8 for the baseline: enough
// independent chains to hide the latency of the fma, and little enough traffic (kMr + kNr floats for kMr kNr fma) that A
// and B may stream from the second-level cache. Rows that are left at the end take tiles of a third (4x32, 2x16, 1x8). Every element is one fma chain over k, so the tile's size leaves no trace
// in the bits. The scheme is that of Goto & van de Geijn 2008, "Anatomy of High-Performance Matrix Multiplication"; the
// indirection that lets A's rows lie anywhere is that of Dukhan 2019, "The Indirect Convolution Algorithm" (arXiv:1907.02129).
#pragma once

#include "kernels/cpu/simd.h"

namespace fovea::kernels::FOVEA_ISA {
namespace {

constexpr int kMr = kWidth == 16 ? 12 : kWidth == 8 ? 6 : 4;
constexpr int kFewRows = kMr / 3;   // of a tile for the rows that are left
constexpr int kNr = 2 * kWidth;     // a panel has kNr columns, or kWidth when that is all that is left

/// How k walks along a row of A: k = (r, s, c) with c adjacent. A[i,k] = base[row[i] + r * stride_r + s * stride_s + c].
struct Runs {
  std::int64_t r, stride_r, s, stride_s, length;
};

/// The sums of a tile, in registers.
template <int MR, int NV> using Tile = Native[MR][NV];

/// How a product of rows ends: its sums to c, a scratch tile. (Or finished, to where they belong: Finish of output.h.)
struct KeepSums {
  float* c;                                                 // (MR, NV * kWidth)
  template <int NV> FOVEA_INLINE void prefetch() const {}   // what write() touches, to arrive while k runs
  template <int MR, int NV> FOVEA_INLINE void write(Tile<MR, NV>& acc) const {
#pragma GCC unroll 16
    for (int i = 0; i < MR; ++i)
#pragma GCC unroll 2
      for (int j = 0; j < NV; ++j) store(c + (i * NV + j) * kWidth, acc[i][j]);
  }
};

/// end writes the MR x (NV * kWidth) sums A (MR rows) * B. start: if not null, a scratch tile of sums that their chains go on from.
/// b: packed panel, NV * kWidth floats per k. ahead: if not null, kMr rows of A that are next, to be fetched meanwhile.
template <int MR, int NV, class End>
[[gnu::noinline]] void multiply_rows(const float* base, const std::int64_t* row, const Runs& runs, const float* b, const float* start,
                                     const End& end, const std::int64_t* ahead) {
  Tile<MR, NV> acc;
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i)
#pragma GCC unroll 2
    for (int j = 0; j < NV; ++j) acc[i][j] = Native{};
  if (start) {
#pragma GCC unroll 16
    for (int i = 0; i < MR; ++i)
#pragma GCC unroll 2
      for (int j = 0; j < NV; ++j) acc[i][j] = load(start + (i * NV + j) * kWidth);
  }
  end.template prefetch<NV>();
  for (std::int64_t r = 0; r < runs.r; ++r)
    for (std::int64_t s = 0; s < runs.s; ++s) {
      const float* run = base + r * runs.stride_r + s * runs.stride_s + runs.length;
      const float* a[MR];   // ends of the runs: one register then both counts and indexes, from -length up to 0
#pragma GCC unroll 16
      for (int i = 0; i < MR; ++i) a[i] = run + row[i];
      if (MR == kMr && ahead)   // few rows are the last
        for (int i = 0; i < kMr; ++i)
          for (std::int64_t k = -runs.length; k < 0; k += 16) __builtin_prefetch(run + ahead[i] + k);
      for (std::int64_t k = -runs.length; k < 0; ++k) {
        Native bk[NV];
#pragma GCC unroll 2
        for (int j = 0; j < NV; ++j) bk[j] = load(b + j * kWidth);
        b += NV * kWidth;
#pragma GCC unroll 16
        for (int i = 0; i < MR; ++i) {
          const Native x = broadcast(a[i][k]);
#pragma GCC unroll 2
          for (int j = 0; j < NV; ++j) acc[i][j] = fma(x, bk[j], acc[i][j]);
        }
      }
    }
  end.template write<MR, NV>(acc);
}

/// c (MR, NV * kWidth; rows ldc apart) = sum over `pixels` of the outer product of MR floats at a[offset[p]] and a row of b
/// (rows ldb apart); += with `add`. The product of the weight gradient, where k is a pixel and both operands are k-major.
template <int MR, int NV>
[[gnu::noinline]] void multiply_pixels(const float* a, const std::int64_t* offset, std::int64_t pixels, const float* b, std::int64_t ldb,
                                       float* c, std::int64_t ldc, bool add) {
  Native acc[MR][NV];
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i)
#pragma GCC unroll 2
    for (int j = 0; j < NV; ++j) acc[i][j] = add ? load(c + i * ldc + j * kWidth) : Native{};
  for (std::int64_t p = 0; p < pixels; ++p, b += ldb) {
    const float* ap = a + offset[p];
    Native bp[NV];
#pragma GCC unroll 2
    for (int j = 0; j < NV; ++j) bp[j] = load(b + j * kWidth);
#pragma GCC unroll 16
    for (int i = 0; i < MR; ++i) {
      const Native x = broadcast(ap[i]);
#pragma GCC unroll 2
      for (int j = 0; j < NV; ++j) acc[i][j] = fma(x, bp[j], acc[i][j]);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i)
#pragma GCC unroll 2
    for (int j = 0; j < NV; ++j) store(c + i * ldc + j * kWidth, acc[i][j]);
}

}   // namespace
}   // namespace fovea::kernels::FOVEA_ISA
