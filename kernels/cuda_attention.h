// cuda_attention.h: the pieces that attention kernels are made of, wherever their rows lie: rows of a head in shared memory, products of
// which a warp holds 16 rows, the softmax of those rows, and rows on their way back.
//
// A product lies in registers as mma.sync leaves it, and that is how mma.sync wants the left factor of the next one: so P and dS, rounded
// to bfloat16, go from product to product without leaving the registers (as in Dao 2023, "FlashAttention-2", arXiv:2307.08691). Float has
// no tensor core: lanes hold the same elements, each a chain of fmaf, and P and dS pass through a corner of shared memory that is the warp's.
//
// Where rows lie, a Place says (StridedPlace in attention_cuda.cu, WindowPlace in window_attention_cuda.cu): a HeadPlace with
//   void select(int unit, int head)      from then on it speaks of this head
//   int row(int token)                            which row of memory a token is; -1: padding
//   bool adds();  int code(int token);  float added(int query_code, int key_code)      whether, and what, is added to a score
//   bool masks();  int region(int token)          if so, scores of different regions get kMask, too
#pragma once

#include <cfloat>

#include "kernels/attention.h"
#include "kernels/cuda_join.h"
#include "kernels/cuda_lanes.h"
#include "kernels/cuda_rows.h"
#include "kernels/cuda_tiles.h"

namespace fovea::kernels {

/// What attention reads. A key that is padding has the rows of k_padding and v_padding (heads, dim).
template <class T> struct AttentionInputs {
  const T *q, *k, *v;
  const T *k_padding = nullptr, *v_padding = nullptr;
  bool wide;   // rows begin at multiples of 16 bytes
};

/// What every Place has. A unit is a batch, or a window of an image.
struct HeadPlace {
  int units, heads, queries, keys, dim;
  float scale;
  std::int64_t q_step, kv_step, y_step;   // elements from row to row of q and dq; of k, v, dk and dv; of y and dy
  // Of the head that was selected, and where its rows begin:
  int unit = 0, head = 0;
  std::int64_t q_at = 0, kv_at = 0, y_at = 0;
  /// Query i's place in lse (units, heads, queries).
  __device__ __forceinline__ std::int64_t lse_at(int i) const { return (std::int64_t{unit} * heads + head) * queries + i; }
};

__device__ __forceinline__ int lane_row() { return static_cast<int>(threadIdx.x) % kWarp / 4; }
__device__ __forceinline__ int lane_pair() { return static_cast<int>(threadIdx.x) % 4; }
__device__ __forceinline__ int warp_index() { return static_cast<int>(threadIdx.x) / kWarp; }

/// 16 rows of a product, 8 kN columns of it, in a warp: v[n][2 h + e] of lane 4 g + t is element (g + 8 h, 8 n + 2 t + e).
template <int kN> struct WarpTile { float v[kN][4]; };

// ---- rows ----------------------------------------------------------------------------------------------------------------------------------

/// This token's row of q (or dq) and of y (or dy); null: padding, or beyond the last.
template <class T, class Place> __device__ __forceinline__ T* query_row(const Place& p, T* q, int i) {
  const int row = i < p.queries ? p.row(i) : -1;
  return row < 0 ? nullptr : q + p.q_at + row * p.q_step;
}
template <class T, class Place> __device__ __forceinline__ T* output_row(const Place& p, T* y, int i) {
  const int row = i < p.queries ? p.row(i) : -1;
  return row < 0 ? nullptr : y + p.y_at + row * p.y_step;
}
/// Of k or v (or their gradients); padding has a row elsewhere, or none.
template <class T, class Place> __device__ __forceinline__ T* key_row(const Place& p, T* k, T* padding, int j) {
  if (j >= p.keys) return nullptr;
  const int row = p.row(j);
  if constexpr (Place::kPads)
    if (row < 0) return padding ? padding + opaque(p.head) * p.dim : nullptr;   // opaque: no register for that until then
  return k + p.kv_at + row * p.kv_step;
}

/// Rows first, first + 1, ... of a tile become the `dim` elements at row(r), and zeros where that is null or dim ends before a multiple of 32.
/// Threads of the block, or of a warp, share the work; to be waited for as a group of cp.async, and by a barrier.
template <int kThreads, class T, int kRows, int kCols, class Row>
__device__ __forceinline__ void fetch_rows(SharedTile<T, kRows, kCols>& tile, int first, int count, int dim, bool wide, const Row& row) {
  constexpr int kPiece = Wide<T>::kSize, kPieces = kCols / kPiece;
  const int end = (dim + 31) / 32 * 32;
  for (int i = opaque(static_cast<int>(threadIdx.x) % kThreads); i < count * kPieces; i += kThreads) {
    const int r = i / kPieces, c = i % kPieces * kPiece;
    if (c >= end) continue;
    const T* p = row(r);
    const int left = p ? static_cast<int>(min_of(max_of(0, dim - c), kPiece)) : 0;
    if (wide)
      copy_async<16>(tile.at(first + r, c), left > 0 ? p + c : nullptr, left * static_cast<int>(sizeof(T)));
    else
      store16(tile.at(first + r, c), load_up_to(p + c, left));
  }
}

/// Row h of the tile (g + 8 h), times factor, to memory; nothing where it is null. All lanes must come, for they collect neighbours first: those
/// of a row write 64 bytes together, or 32.
template <int kN, class T>
__device__ __forceinline__ void store_tile_row(const WarpTile<kN>& tile, int h, T* row, int dim, float factor, bool accumulate) {
  constexpr int kTiles = sizeof(T) == 4 || kN % 4 != 0 ? 2 : 4, kRun = 2 * kTiles;
  static_assert(kN % kTiles == 0);
  FOVEA_UNROLL
  for (int n = 0; n < kN; n += kTiles) {
    if (8 * n >= dim) break;
    float pairs[kTiles][2];
    FOVEA_UNROLL
    for (int j = 0; j < kTiles; ++j) {
      pairs[j][0] = factor * tile.v[n + j][2 * h];
      pairs[j][1] = factor * tile.v[n + j][2 * h + 1];
    }
    transpose_pairs(pairs, lane_pair());
    const int col = 8 * n + first_of_run<kTiles>(lane_pair());
    if (!row || col >= dim) continue;
    const auto finish = [&](auto old) {
      FOVEA_UNROLL
      for (int j = 0; j < kRun; ++j) old[j] = T((accumulate ? float(old[j]) : 0.f) + pairs[j / 2][j % 2]);
      return old;
    };
    if constexpr (kRun == 4)
      store_four(row + col, finish(accumulate ? load_four(row + col, dim - col) : Four<T>{}), dim - col);
    else
      store_up_to(row + col, finish(accumulate ? load_up_to(row + col, dim - col) : Wide<T>{}), dim - col);
  }
}

// ---- products ------------------------------------------------------------------------------------------------------------------------------

// Their inner dimension, or their columns, are counted in whole 32s of the head's elements; tiles hold zeros there.

/// c += a b^T: 16 rows of tile a from a_row on, by 8 kN rows of tile b from b_row on.
template <int kN, class T, int kA, int kB, int kD>
__device__ __forceinline__ void multiply_rows(WarpTile<kN>& c, SharedTile<T, kA, kD>& a, int a_row, SharedTile<T, kB, kD>& b, int b_row,
                                              int dim) {
  if constexpr (std::is_same_v<T, bfloat16>) {
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
    for (int k0 = 0; k0 < dim; k0 += 32) {
      FOVEA_UNROLL
      for (int half = 0; half < 2; ++half) {
        const int k = k0 + 16 * half;
        std::uint32_t av[4], bv[4];
        load_matrix_x4(av, a.at(a_row + lane % 16, k + lane / 16 * 8));
        FOVEA_UNROLL
        for (int n = 0; n < kN; n += 2) {
          load_matrix_x4(bv, b.at(b_row + 8 * n + lane % 8 + lane / 16 * 8, k + lane / 8 % 2 * 8));
          mma_bf16(c.v[n], av, bv[0], bv[1]);
          if (n + 1 < kN) mma_bf16(c.v[n + 1 < kN ? n + 1 : n], av, bv[2], bv[3]);
        }
      }
    }
  } else {
    const int g = lane_row(), t = lane_pair();
    for (int k = 0; k < dim; k += 4) {
      const Wide<float> a0 = load16(a.at(a_row + g, k)), a1 = load16(a.at(a_row + g + 8, k));
      FOVEA_UNROLL
      for (int n = 0; n < kN; ++n) {
        FOVEA_UNROLL
        for (int e = 0; e < 2; ++e) {
          const Wide<float> bv = load16(b.at(b_row + 8 * n + 2 * t + e, k));
          FOVEA_UNROLL
          for (int i = 0; i < 4; ++i) {
            c.v[n][e] = fmaf(a0[i], bv[i], c.v[n][e]);
            c.v[n][2 + e] = fmaf(a1[i], bv[i], c.v[n][2 + e]);
          }
        }
      }
    }
  }
}

/// Where a warp leaves a left factor of float for its lanes. Rows are 8 banks apart, so that 4 of them are stored without a conflict.
template <class T, int kN> struct Corner {};
template <int kN> struct Corner<float, kN> { alignas(16) float v[16][8 * kN + 8]; };

/// c += p b: by 8 kN rows of tile b from b_row on.
template <int kC, int kN, class T, int kB, int kD>
__device__ __forceinline__ void multiply_held(WarpTile<kC>& c, const WarpTile<kN>& p, Corner<T, kN>& corner, SharedTile<T, kB, kD>& b,
                                              int b_row, int dim) {
  if constexpr (std::is_same_v<T, bfloat16>) {
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
    std::uint32_t av[(kN + 1) / 2][4];
    FOVEA_UNROLL
    for (int n = 0; n < kN; ++n) {
      av[n / 2][n % 2 * 2] = to_bf16_pair(p.v[n][0], p.v[n][1]);
      av[n / 2][n % 2 * 2 + 1] = to_bf16_pair(p.v[n][2], p.v[n][3]);
    }
    if constexpr (kN % 2 == 1) av[kN / 2][2] = av[kN / 2][3] = 0;
    FOVEA_UNROLL
    for (int n0 = 0; n0 < kC; n0 += 4) {
      if (8 * n0 >= dim) break;
      FOVEA_UNROLL
      for (int k = 0; k < (kN + 1) / 2; ++k) {
        FOVEA_UNROLL
        for (int n = n0; n < n0 + 4; n += 2) {
          std::uint32_t bv[4];
          load_matrix_x4_transposed(bv, b.at(b_row + 16 * k + lane % 16, 8 * n + lane / 16 * 8));
          mma_bf16(c.v[n], av[k], bv[0], bv[1]);
          mma_bf16(c.v[n + 1], av[k], bv[2], bv[3]);
        }
      }
    }
  } else {
    const int g = lane_row(), t = lane_pair();
    __syncwarp();   // the lanes have read what lay there
    FOVEA_UNROLL
    for (int n = 0; n < kN; ++n) {
      store8(&corner.v[g][8 * n + 2 * t], p.v[n][0], p.v[n][1]);
      store8(&corner.v[g + 8][8 * n + 2 * t], p.v[n][2], p.v[n][3]);
    }
    __syncwarp();
    for (int k = 0; k < 8 * kN; k += 4) {
      const Wide<float> a0 = load16(&corner.v[g][k]), a1 = load16(&corner.v[g + 8][k]);
      FOVEA_UNROLL
      for (int i = 0; i < 4; ++i) {
        FOVEA_UNROLL
        for (int n0 = 0; n0 < kC; n0 += 4) {
          if (8 * n0 >= dim) break;
          FOVEA_UNROLL
          for (int n = n0; n < n0 + 4; ++n) {
            const float2 bv = std::bit_cast<float2>(load8(b.at(b_row + k + i, 8 * n + 2 * t)));
            c.v[n][0] = fmaf(a0[i], bv.x, c.v[n][0]);
            c.v[n][1] = fmaf(a0[i], bv.y, c.v[n][1]);
            c.v[n][2] = fmaf(a1[i], bv.x, c.v[n][2]);
            c.v[n][3] = fmaf(a1[i], bv.y, c.v[n][3]);
          }
        }
      }
    }
  }
}

// ---- scores and their softmax ----------------------------------------------------------------------------------------------------------

/// e^x. The fast one is wrong by a few units of 2^-24 times 1 + |x|: nothing beside the rounding of P to bfloat16.
template <class T> __device__ __forceinline__ float exponential(float x) {
  if constexpr (std::is_same_v<T, bfloat16>)
    return __expf(x);
  else
    return expf(x);
}

/// v of the four lanes of a row combined.
template <class Op> __device__ __forceinline__ float row_all_reduce(float v, Op op) {
  v = op(v, __shfl_xor_sync(kFullWarp, v, 1));
  return op(v, __shfl_xor_sync(kFullWarp, v, 2));
}

/// The queries, or keys, of a lane's two rows, from `first` on: their codes, and whether they are there.
struct RowTokens {
  int token[2], code[2];   // of token 0 where there is none
  bool exists[2];
  template <class Place> __device__ __forceinline__ RowTokens(const Place& place, int first, int count) {
    FOVEA_UNROLL
    for (int h = 0; h < 2; ++h) {
      token[h] = first + lane_row() + 8 * h;
      exists[h] = token[h] < count;
      if (!exists[h]) token[h] = 0;
      code[h] = place.code(token[h]);
    }
  }
};

/// Products times scale, plus what is added. Rows are queries and columns keys from j0 on; or, transposed, the other way round.
template <bool transposed, int kN, class Place>
__device__ __forceinline__ void scale_and_add(const Place& place, WarpTile<kN>& s, const RowTokens& row, int first, int count) {
  // In three loops, so that what all lanes decide alike is decided once.
  const int pair = opaque(lane_pair());
  const auto column = [&](int n, int e) {
    const int token = first + 8 * n + 2 * pair + e;
    return token < count ? token : 0;
  };
  FOVEA_UNROLL
  for (int n = 0; n < kN; ++n) {
    FOVEA_UNROLL
    for (int i = 0; i < 4; ++i) s.v[n][i] *= place.scale;
  }
  if (place.adds()) {
    FOVEA_UNROLL
    for (int n = 0; n < kN; ++n) {
      FOVEA_UNROLL
      for (int e = 0; e < 2; ++e) {
        const int code = place.code(column(n, e));
        FOVEA_UNROLL
        for (int h = 0; h < 2; ++h) s.v[n][2 * h + e] += transposed ? place.added(code, row.code[h]) : place.added(row.code[h], code);
      }
    }
  }
  if (place.masks()) {
    const int region[2] = {place.region(row.token[0]), place.region(row.token[1])};
    FOVEA_UNROLL
    for (int n = 0; n < kN; ++n) {
      FOVEA_UNROLL
      for (int e = 0; e < 2; ++e) {
        const int other = place.region(column(n, e));
        FOVEA_UNROLL
        for (int h = 0; h < 2; ++h)
          if (region[h] != other) s.v[n][2 * h + e] += Place::kMask;
      }
    }
  }
}

/// S from the products of queries (rows) and keys (columns, from j0 on): -inf for keys that do not exist.
template <int kN, class Place>
__device__ __forceinline__ void finish_scores(const Place& place, WarpTile<kN>& s, const RowTokens& query, int j0) {
  scale_and_add<false>(place, s, query, j0, place.keys);
  if (j0 + 8 * kN > place.keys) {
    FOVEA_UNROLL
    for (int n = 0; n < kN; ++n) {
      FOVEA_UNROLL
      for (int i = 0; i < 4; ++i)
        if (j0 + 8 * n + 2 * lane_pair() + i % 2 >= place.keys) s.v[n][i] = -INFINITY;
    }
  }
}

/// Milakov & Gimelshein 2018, "Online normalizer calculation for softmax" (arXiv:1805.02867), Algorithm 3, of a lane's two rows. The sums
/// are of the lane's own columns until finish() joins them.
struct OnlineSoftmax {
  float max[2] = {-FLT_MAX, -FLT_MAX}, sum[2] = {};   // not -inf: (-inf) - (-inf) is NaN when an entry is masked

  /// s becomes e^(s - max); y, what the earlier ones were multiplied to, is put under the new maximum.
  template <class T, int kN, int kC> __device__ __forceinline__ void step(WarpTile<kN>& s, WarpTile<kC>& y) {
    FOVEA_UNROLL
    for (int h = 0; h < 2; ++h) {
      float m = max[h];
      FOVEA_UNROLL
      for (int n = 0; n < kN; ++n) m = fmaxf(m, fmaxf(s.v[n][2 * h], s.v[n][2 * h + 1]));   // a NaN comes back by its exponential
      m = row_all_reduce(m, Max{});
      const float factor = exponential<T>(max[h] - m);
      max[h] = m;
      sum[h] *= factor;
      FOVEA_UNROLL
      for (int n = 0; n < kN; ++n) {
        FOVEA_UNROLL
        for (int e = 0; e < 2; ++e) {
          float& v = s.v[n][2 * h + e];
          v = exponential<T>(v - m);
          sum[h] += v;
        }
      }
      FOVEA_UNROLL
      for (int n = 0; n < kC; ++n) {
        y.v[n][2 * h] *= factor;
        y.v[n][2 * h + 1] *= factor;
      }
    }
  }
  /// Row h's sum; 0 where no score was finite.
  __device__ __forceinline__ float finish(int h) const { return row_all_reduce(sum[h], Sum{}); }
};

/// y = the sum of P v under the softmax's normaliser, and lse: NaN where no score was finite. Rows are queries from i0 on.
template <int kC, class T, class Place>
__device__ __forceinline__ void store_attention(const Place& place, const OnlineSoftmax& softmax, const WarpTile<kC>& sum, int i0, T* y,
                                                float* lse) {
  FOVEA_UNROLL
  for (int h = 0; h < 2; ++h) {
    const int i = i0 + lane_row() + 8 * h;
    const float z = softmax.finish(h);
    if (i < place.queries && lane_pair() == 0) lse[place.lse_at(i)] = z > 0 ? softmax.max[h] + logf(z) : NAN;
    store_tile_row(sum, h, output_row(place, y, i), place.dim, 1 / z, false);
  }
}

// ---- gradients -----------------------------------------------------------------------------------------------------------------------------

/// lse of query i, which may not exist.
template <class Place> __device__ __forceinline__ float lse_of(const Place& place, const float* lse, int i) {
  return i < place.queries && place.row(i) >= 0 ? lse[place.lse_at(i)] : INFINITY;
}

/// P^T from the products of keys (rows) and queries (columns, from i0 on), whose lse lie in shared memory: 0 for keys that do not exist.
template <class T, int kN, class Place>
__device__ __forceinline__ void transposed_probabilities(const Place& place, WarpTile<kN>& s, const RowTokens& key, const float* lse,
                                                         int i0) {
  scale_and_add<true>(place, s, key, i0, place.queries);
  FOVEA_UNROLL
  for (int n = 0; n < kN; ++n) {
    const float2 of = std::bit_cast<float2>(load8(lse + 8 * n + 2 * lane_pair()));
    FOVEA_UNROLL
    for (int i = 0; i < 4; ++i) {
      const float p = exponential<T>(s.v[n][i] - (i % 2 ? of.y : of.x));
      s.v[n][i] = key.exists[i / 2] ? p : 0.f;
    }
  }
}

/// smem[c] = the sum of column c, times factor, over those of the warp's rows that `counts` names.
template <int kN> __device__ __forceinline__ void sum_rows(const WarpTile<kN>& tile, const bool (&counts)[2], float factor, float* smem) {
  FOVEA_UNROLL
  for (int n = 0; n < kN; ++n) {
    FOVEA_UNROLL
    for (int e = 0; e < 2; ++e) {
      float sum = (counts[0] ? tile.v[n][e] : 0.f) + (counts[1] ? tile.v[n][2 + e] : 0.f);
      for (int lanes = 4; lanes < kWarp; lanes *= 2) sum += __shfl_xor_sync(kFullWarp, sum, lanes);
      if (lane_row() == 0) smem[8 * n + 2 * lane_pair() + e] = factor * sum;
    }
  }
}

}   // namespace fovea::kernels
