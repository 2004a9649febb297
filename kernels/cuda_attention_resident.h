// cuda_attention_resident.h: attention in bfloat16 where a block holds a whole head of a batch, or of a window: k and v come once, and what
// backward needs of all keys (<P, dP> of a query) or of all queries (dk, dv) never leaves the block. So it makes the 5 products that the
// mathematics asks for, each score is exponentiated once, and q, k, v, dy, dq, dk, dv cross global memory once each: 8 and 14 bytes an element.
//
// forward   A warp owns 16 queries at a time and meets the keys in steps, with the online softmax.
// backward  A warp owns keys: their dk and dv grow in its registers. Queries pass by in rounds: each warp makes S^T and dP^T of its keys,
//           <P, dP> is summed over the warps in order, and dv += P^T dy, dk += dS^T q. dS then lies in shared memory, and the warps share
//           the tiles of dq = dS k. Three barriers a round.
//
// A block takes several units of one head, one after the other, and its own sums over them (dS by pairs of tokens, rows of padding) stay in
// registers: one part of the ordered sum. What varies is a Form, all of it known to the compiler:
//   kWarps, kKeyTiles: warps, and of how many times 16 keys each;  kKeys = 16 kWarps kKeyTiles
//   kRound, kN: queries of a backward round, a multiple of 16, and the eights of them that hold any;  kRounds of them, 0: as many as it takes
//   kStep: keys of a forward step;  D: elements of a row, at most;  kTableRows: of the table of a window's biases, else 1
//   kPairRows, kPairs: what one round's pairs need, with rows of pairs 8 banks apart
#pragma once

#include "kernels/cuda_attention.h"

namespace fovea::kernels {

/// The units of block `part` of `parts`, and its head: blocks of one part lie beside each other, as their rows do.
template <class Place> struct ResidentShare {
  int head;
  std::int64_t part, first, last;
  __device__ __forceinline__ ResidentShare(const Place& place, std::int64_t parts)
      : head(static_cast<int>(blockIdx.x % static_cast<unsigned>(place.heads))), part(blockIdx.x / static_cast<unsigned>(place.heads)) {
    first = place.units * part / parts;
    last = place.units * (part + 1) / parts;
  }
};

template <class Form> struct ResidentForwardMemory {
  SharedTile<bfloat16, Form::kKeys, Form::D> k, v;
  SharedTile<bfloat16, Form::kWarps * 16, Form::D> q;   // 16 rows a warp
  float table[Form::kTableRows];
};

template <class Form, class Place>
__global__ void __launch_bounds__(Form::kWarps* kWarp)
    resident_forward_kernel(Place place, AttentionInputs<bfloat16> in, bfloat16* y, float* lse, std::int64_t parts) {
  constexpr int kThreads = Form::kWarps * kWarp, D = Form::D, kStep = Form::kStep;
  auto& smem = shared_memory<ResidentForwardMemory<Form>>();
  const ResidentShare<Place> share(place, parts);
  place.template load_table<kThreads>(smem.table, share.head);
  const int own = warp_index() * 16, keys = (place.keys + 15) / 16 * 16;
  for (std::int64_t unit = share.first; unit < share.last; ++unit) {
    place.select(unit, share.head);
    const auto fetch_queries = [&](int i0) {
      fetch_rows<kWarp>(smem.q, own, 16, place.dim, true, [&](int r) { return query_row(place, in.q, i0 + r); });
      copy_async_commit();
    };
    __syncthreads();   // the last unit's rows have been read
    fetch_rows<kThreads>(smem.k, 0, keys, place.dim, true, [&](int r) { return key_row(place, in.k, in.k_padding, r); });
    fetch_rows<kThreads>(smem.v, 0, keys, place.dim, true, [&](int r) { return key_row(place, in.v, in.v_padding, r); });
    fetch_queries(own);
    copy_async_wait<0>();
    __syncthreads();
    for (int i0 = own; i0 < place.queries; i0 += Form::kWarps * 16) {
      if (i0 > own) {
        __syncwarp();
        fetch_queries(i0);
        copy_async_wait<0>();
        __syncwarp();
      }
      const RowTokens query(place, i0, place.queries);
      WarpTile<D / 8> out{};
      OnlineSoftmax softmax;
      for (int j0 = 0; j0 < place.keys; j0 += kStep) {
        WarpTile<kStep / 8> s{};
        Corner<bfloat16, kStep / 8> corner;
        multiply_rows(s, smem.q, own, smem.k, j0, place.keys - j0, place.dim);
        finish_scores(place, s, query, j0);
        softmax.template step<bfloat16>(s, out);
        multiply_held(out, s, corner, smem.v, j0, place.keys - j0, place.dim);
      }
      store_attention(place, softmax, out, query, i0, y, lse);
    }
  }
}

template <class Form> struct ResidentBackwardMemory {
  static constexpr int kStages = Form::kRounds == 1 ? 1 : 2;
  SharedTile<bfloat16, Form::kKeys, Form::D> k, v;
  SharedTile<bfloat16, Form::kRound, Form::D> q[kStages], dy[kStages];
  union {
    SharedTile<bfloat16, Form::kKeys, 64> ds;     // rows are keys, columns the queries of a round
    float pairs[Form::kPairRows][Form::kPairs];   // in the end: dS of a round, summed over the units
    float padding[Form::kWarps][2][Form::D];      // after each unit with padding
  };
  float lse[kStages][Form::kRound], mean[Form::kWarps][Form::kRound];   // mean: each warp's part of <P, dP>
  float table[Form::kTableRows];
};

/// Where it all goes; null: not wanted.
struct ResidentGradients {
  bfloat16 *dq, *dk, *dv;
  bool accumulate_q, accumulate_k, accumulate_v;
  float* mean = nullptr;      // <P, dP> (units, heads, queries)
  float* table = nullptr;     // (parts, table_rows, heads)
  float* padding = nullptr;   // sums of dk and dv over rows of padding: (parts, 2, heads, dim)
};

/// c += a^T b: 16 columns of tile a from a_col on, by `width` columns of tile b from b_col on; `depth` rows of both.
template <int kN, int kRows, int kA, int kB>
__device__ __forceinline__ void multiply_columns(WarpTile<kN>& c, SharedTile<bfloat16, kRows, kA>& a, int a_col,
                                                 SharedTile<bfloat16, kRows, kB>& b, int b_col, int width, int depth) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  for (int k = 0; k < depth; k += 16) {
    std::uint32_t av[4], bv[4];
    load_matrix_x4_transposed(av, a.at(k + lane % 8 + lane / 16 * 8, a_col + lane / 8 % 2 * 8));
    FOVEA_UNROLL
    for (int n = 0; n < kN; n += 2) {
      if (8 * n >= width) break;
      load_matrix_x4_transposed(bv, b.at(k + lane % 16, b_col + 8 * n + lane / 16 * 8));
      mma_bf16(c.v[n], av, bv[0], bv[1]);
      mma_bf16(c.v[n + 1], av, bv[2], bv[3]);
    }
  }
}

using FourBytes [[gnu::may_alias]] = std::uint32_t;

template <class Form, class Place>
__global__ void __launch_bounds__(Form::kWarps* kWarp)
    resident_backward_kernel(Place place, AttentionInputs<bfloat16> in, const float* lse, const bfloat16* dy, ResidentGradients g,
                             std::int64_t parts) {
  constexpr int kThreads = Form::kWarps * kWarp, D = Form::D, kM = Form::kKeyTiles, kN = Form::kN, kRound = Form::kRound;
  constexpr int kDq = kRound / 16 * (D / 32) >= Form::kWarps ? 4 : 2;   // eights of columns of dq that a warp makes at once
  auto& smem = shared_memory<ResidentBackwardMemory<Form>>();
  constexpr int kStages = ResidentBackwardMemory<Form>::kStages;
  const ResidentShare<Place> share(place, parts);
  const int warp = warp_index(), own = warp * 16 * kM, thread = static_cast<int>(threadIdx.x);
  const int keys = (place.keys + 15) / 16 * 16, rounds = Form::kRounds ? Form::kRounds : (place.queries + kRound - 1) / kRound;
  place.template load_table<kThreads>(smem.table, share.head);
  WarpTile<kN> total[Form::kRounds ? Form::kRounds : 1]{};   // dS^T, summed over the units
  float padding_sum = 0;                                     // of column `thread` of dk, then of dv

  for (std::int64_t unit = share.first; unit < share.last; ++unit) {
    place.select(unit, share.head);
    const auto fetch_queries = [&](int r) {
      if (r < rounds) {
        const int i0 = r * kRound;
        fetch_rows<kThreads>(smem.q[r % kStages], 0, kRound, place.dim, true, [&](int i) { return query_row(place, in.q, i0 + i); });
        fetch_rows<kThreads>(smem.dy[r % kStages], 0, kRound, place.dim, true, [&](int i) { return output_row(place, dy, i0 + i); });
        if (thread < kRound) smem.lse[r % kStages][thread] = lse_of(place, lse, i0 + thread);
      }
      copy_async_commit();
    };
    __syncthreads();   // the last unit's rows have been read
    fetch_rows<kThreads>(smem.k, 0, keys, place.dim, true, [&](int r) { return key_row(place, in.k, in.k_padding, r); });
    fetch_rows<kThreads>(smem.v, 0, keys, place.dim, true, [&](int r) { return key_row(place, in.v, in.v_padding, r); });
    fetch_queries(0);

    WarpTile<D / 8> dk[kM]{}, dv[kM]{};
    const auto round = [&](int r, WarpTile<kN>& sums) {
      const int stage = r % kStages, i0 = r * kRound, width = place.queries - i0;
      copy_async_wait<0>();
      __syncthreads();   // the queries are there, and dS, mean and the other stage have been read
      if constexpr (kStages > 1) fetch_queries(r + 1);
      Corner<bfloat16, kN> corner;
      WarpTile<kN> p[kM]{}, ds[kM]{};   // ds: dP^T at first
      FOVEA_UNROLL
      for (int m = 0; m < kM; ++m) {
        const int row = own + 16 * m;
        if (row >= place.keys) break;   // a warp without keys: its P and dS are 0
        multiply_rows(p[m], smem.k, row, smem.q[stage], 0, width, place.dim);
        multiply_rows(ds[m], smem.v, row, smem.dy[stage], 0, width, place.dim);
        transposed_probabilities<bfloat16>(place, p[m], RowTokens(place, row, place.keys), smem.lse[stage], i0);
        multiply_held(dv[m], p[m], corner, smem.dy[stage], 0, width, place.dim);
      }
      FOVEA_UNROLL
      for (int n = 0; n < kN; ++n) {
        FOVEA_UNROLL
        for (int e = 0; e < 2; ++e) {
          float mean = 0;
          FOVEA_UNROLL
          for (int m = 0; m < kM; ++m) mean = fmaf(p[m].v[n][e], ds[m].v[n][e], fmaf(p[m].v[n][2 + e], ds[m].v[n][2 + e], mean));
          for (int lanes = 4; lanes < kWarp; lanes *= 2) mean += __shfl_xor_sync(kFullWarp, mean, lanes);
          if (lane_row() == 0) smem.mean[warp][8 * n + 2 * lane_pair() + e] = mean;
        }
      }
      __syncthreads();   // every warp's part of <P, dP>
      FOVEA_UNROLL
      for (int n = 0; n < kN; ++n) {
        float mean[2] = {};
        for (int w = 0; w < Form::kWarps; ++w) {
          const float2 part = std::bit_cast<float2>(load8(&smem.mean[w][8 * n + 2 * lane_pair()]));
          mean[0] += part.x, mean[1] += part.y;
        }
        if (g.mean && warp == 0 && lane_row() == 0) {
          FOVEA_UNROLL
          for (int e = 0; e < 2; ++e) {
            const int i = i0 + 8 * n + 2 * lane_pair() + e;
            if (i < place.queries) g.mean[place.lse_at(i)] = mean[e];
          }
        }
        FOVEA_UNROLL
        for (int m = 0; m < kM; ++m) {
          FOVEA_UNROLL
          for (int e = 0; e < 4; ++e) {
            ds[m].v[n][e] = p[m].v[n][e] * (ds[m].v[n][e] - mean[e % 2]);
            if constexpr (Form::kRounds > 0) sums.v[n][e] += ds[m].v[n][e];
          }
          FOVEA_UNROLL
          for (int h = 0; h < 2; ++h)
            *reinterpret_cast<FourBytes*>(smem.ds.at(own + 16 * m + lane_row() + 8 * h, 8 * n + 2 * lane_pair())) =
                to_bf16_pair(ds[m].v[n][2 * h], ds[m].v[n][2 * h + 1]);
        }
      }
      FOVEA_UNROLL
      for (int n = kN; n < kRound / 8; ++n) {   // queries that never are, but that share a product with some that are
        FOVEA_UNROLL
        for (int h = 0; h < 2; ++h) *reinterpret_cast<FourBytes*>(smem.ds.at(own + lane_row() + 8 * h, 8 * n + 2 * lane_pair())) = 0;
      }
      FOVEA_UNROLL
      for (int m = 0; m < kM; ++m) {
        if (own + 16 * m >= place.keys) break;
        multiply_held(dk[m], ds[m], corner, smem.q[stage], 0, width, place.dim);
      }
      __syncthreads();   // all of dS
      for (int tile = warp; g.dq && tile < kRound / 16 * (D / 8 / kDq); tile += Form::kWarps) {
        const int row = tile % (kRound / 16) * 16, col = tile / (kRound / 16) * (8 * kDq);
        if (row >= width || col >= place.dim) continue;
        WarpTile<kDq> dq{};
        multiply_columns(dq, smem.ds, row, smem.k, col, place.dim - col, keys);
        FOVEA_UNROLL
        for (int h = 0; h < 2; ++h) {
          bfloat16* to = query_row(place, g.dq, i0 + row + lane_row() + 8 * h);
          store_tile_row(dq, h, to ? to + col : to, place.dim - col, place.scale, g.accumulate_q);
        }
      }
    };
    if constexpr (Form::kRounds > 0) {
      FOVEA_UNROLL
      for (int r = 0; r < Form::kRounds; ++r) round(r, total[r]);
    } else {
      for (int r = 0; r < rounds; ++r) round(r, total[0]);
    }
    __syncthreads();                  // dq has been written, for dk may be the same memory; and dS has been read
    bfloat16* const none = nullptr;   // rows of padding go nowhere
    FOVEA_UNROLL
    for (int m = 0; m < kM; ++m) {
      FOVEA_UNROLL
      for (int h = 0; h < 2; ++h) {
        const int j = own + 16 * m + lane_row() + 8 * h;
        if (g.dk) store_tile_row(dk[m], h, key_row(place, g.dk, none, j), place.dim, place.scale, g.accumulate_k);
        if (g.dv) store_tile_row(dv[m], h, key_row(place, g.dv, none, j), place.dim, 1.f, g.accumulate_v);
      }
    }
    if constexpr (Place::kPads) {
      if (!g.padding || !place.has_padding()) continue;
      static_assert(kM == 1 && 2 * D <= kThreads);
      const int j = own + lane_row();
      const bool counts[2] = {j < place.keys && place.row(j) < 0, j + 8 < place.keys && place.row(j + 8) < 0};
      sum_rows(dk[0], counts, place.scale, smem.padding[warp][0]);
      sum_rows(dv[0], counts, 1.f, smem.padding[warp][1]);
      __syncthreads();
      for (int w = 0; w < Form::kWarps && thread < 2 * D; ++w) padding_sum += smem.padding[w][thread / D][thread % D];
    }
  }

  if constexpr (Place::kPads) {
    if (g.padding && thread < 2 * D && thread % D < place.dim)
      g.padding[((share.part * 2 + thread / D) * place.heads + share.head) * place.dim + thread % D] = padding_sum;
    if (!g.table) return;
    constexpr int kMine = (Form::kTableRows + kThreads - 1) / kThreads;
    float sums[kMine] = {};
    FOVEA_UNROLL
    for (int r = 0; r < Form::kRounds; ++r) {
      __syncthreads();
      FOVEA_UNROLL
      for (int n = 0; n < kN; ++n) {
        FOVEA_UNROLL
        for (int h = 0; h < 2; ++h)
          store8(&smem.pairs[own + lane_row() + 8 * h][8 * n + 2 * lane_pair()], total[r].v[n][2 * h], total[r].v[n][2 * h + 1]);
      }
      __syncthreads();
      FOVEA_UNROLL
      for (int i = 0; i < kMine; ++i)
        if (thread + i * kThreads < Form::kTableRows)
          sums[i] += place.sum_at(thread + i * kThreads, r * kRound, kRound, [&](int q, int k) { return smem.pairs[k][q]; });
    }
    FOVEA_UNROLL
    for (int i = 0; i < kMine; ++i)
      if (thread + i * kThreads < Form::kTableRows)
        g.table[(share.part * Form::kTableRows + thread + i * kThreads) * place.heads + share.head] = sums[i];
  }
}

template <class Form, class Place>
void resident_forward(Cuda be, const Place& place, const AttentionInputs<bfloat16>& in, bfloat16* y, float* lse, std::int64_t parts) {
  launch(resident_forward_kernel<Form, Place>,
         {.grid = blocks(parts * place.heads, 1),
          .block = Form::kWarps * kWarp,
          .smem = sizeof(ResidentForwardMemory<Form>),
          .stream = be.stream},
         place, in, y, lse, parts);
}
template <class Form, class Place>
void resident_backward(Cuda be, const Place& place, const AttentionInputs<bfloat16>& in, const float* lse, const bfloat16* dy,
                       const ResidentGradients& g, std::int64_t parts) {
  launch(resident_backward_kernel<Form, Place>,
         {.grid = blocks(parts * place.heads, 1),
          .block = Form::kWarps * kWarp,
          .smem = sizeof(ResidentBackwardMemory<Form>),
          .stream = be.stream},
         place, in, lse, dy, g, parts);
}

}   // namespace fovea::kernels
