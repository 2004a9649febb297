// cuda_attention_resident.h: attention in bfloat16 where a block holds a whole head of a batch, or of a window: k and v come once, and what
// backward needs of all keys (<P, dP> of a query) or of all queries (dk, dv) never leaves the block. So it makes the 5 products that the
// mathematics asks for, each score is exponentiated once, and q, k, v, dy, dq, dk, dv cross global memory once each: 8 and 14 bytes an element.
//
// forward   A warp owns 16 queries at a time and meets the keys in steps, with the online softmax.
// backward  A warp owns keys: their dk and dv grow in its registers. Queries pass by in rounds: each warp makes S^T and dP^T of its keys,
//           <P, dP> is summed over the warps in order, and dv += P^T dy, dk += dS^T q. dS then lies in shared memory, and the warps share
//           the tiles of dq = dS k. Three barriers a round.
//
// A block takes several units of one head, one after the other, while cp.async brings the next; its sums over them (dS by pairs of tokens,
// rows of padding) are one part of the ordered sum. What varies is a Form, all of it known to the compiler:
//   kUnitStages: 2, or 1 where a block has one unit only
//   kWarps, kKeyTiles: warps, and of how many times 16 keys each;  kKeys = 16 kWarps kKeyTiles
//   kStep, kTail: keys of a forward step, and of a step over what is left
//   kRound, kN: queries of a backward round, a multiple of 16, and the eights of them that hold any;  kRounds of them, 0: as many as it takes
//   D: elements of a row, at most;  kTableRows: of the table of a window's biases, else 1
//   kPairRows, kPairs: pairs (key, query) of tokens, in rows that begin 8 or 24 banks apart; where dS is not summed, 1
//   kPairsHeld: dS is summed in registers, and comes to shared memory in the end
//   kForwardBlocks, kBackwardBlocks: that a multiprocessor shall hold
#pragma once

#include "kernels/cuda_attention.h"
#include "kernels/cuda_divide.h"

namespace fovea::kernels {

/// warp_index(), computed where it is needed rather than kept in a register from the start.
__device__ __forceinline__ int warp_index_again() { return opaque(static_cast<int>(threadIdx.x)) / kWarp; }

/// The blocks of a launch: `parts` of the units for each head, the first `longer` of which have one unit more than `base`. Blocks of one part
/// lie beside each other, as their rows do.
struct ResidentParts {
  int base, longer;
  FastDivide heads;
  ResidentParts(const HeadPlace& place, int parts) : base(place.units / parts), longer(place.units % parts), heads(place.heads) {}
};
/// This block's head, and its units.
struct ResidentShare {
  int head, part, first, last;
  __device__ __forceinline__ explicit ResidentShare(const ResidentParts& of) : part(of.heads(static_cast<int>(blockIdx.x))) {
    head = static_cast<int>(blockIdx.x) - part * of.heads.divisor();
    first = part * of.base + (part < of.longer ? part : of.longer);
    last = first + of.base + (part < of.longer);
  }
};

template <class Form> struct ResidentForwardMemory {
  SharedTile<bfloat16, Form::kKeys, Form::D> k[Form::kUnitStages], v[Form::kUnitStages];
  SharedTile<bfloat16, Form::kWarps * 16, Form::D> q[Form::kUnitStages];   // 16 rows a warp
  float table[Form::kTableRows];
};

template <class Form, class Place>
__global__ void __launch_bounds__(Form::kWarps* kWarp, Form::kForwardBlocks)
    resident_forward_kernel(Place place, AttentionInputs<bfloat16> in, bfloat16* y, float* lse, ResidentParts parts) {
  constexpr int kThreads = Form::kWarps * kWarp, D = Form::D, kStep = Form::kStep, kTail = Form::kTail;
  auto& smem = shared_memory<ResidentForwardMemory<Form>>();
  const ResidentShare share(parts);
  place.template load_table<kThreads>(smem.table, share.head);
  const auto own = [] { return warp_index_again() * 16; };
  const int keys = (place.keys + 15) / 16 * 16;
  const auto fetch_queries = [&](const Place& from, int stage, int i0) {
    fetch_rows<kWarp>(smem.q[stage], own(), 16, place.dim, true, [&](int r) { return query_row(from, in.q, i0 + r); });
    copy_async_commit();
  };
  const auto fetch = [&](int unit) {
    if (unit >= share.last) return;
    const int stage = (unit - share.first) % Form::kUnitStages;
    Place next = place;
    next.select(unit, share.head);
    fetch_rows<kThreads>(smem.k[stage], 0, keys, place.dim, true, [&](int r) { return key_row(next, in.k, in.k_padding, r); });
    fetch_rows<kThreads>(smem.v[stage], 0, keys, place.dim, true, [&](int r) { return key_row(next, in.v, in.v_padding, r); });
    fetch_queries(next, stage, own());
  };
  fetch(share.first);
  for (int unit = share.first; unit < share.last; ++unit) {
    copy_async_wait<0>();
    __syncthreads();   // the unit is there, and the last one's rows have been read
    if constexpr (Form::kUnitStages > 1) fetch(unit + 1);
    place.select(unit, share.head);
    const int stage = (unit - share.first) % Form::kUnitStages;
    const int mine = own();
    for (int i0 = mine; i0 < place.queries;) {
      WarpTile<D / 8> out{};
      OnlineSoftmax softmax;
      const auto meet = [&](int j0, auto step) {
        constexpr int kN = decltype(step)::value / 8;
        WarpTile<kN> s{};
        Corner<bfloat16, kN> corner;
        multiply_rows(s, smem.q[stage], mine, smem.k[stage], j0, place.dim);
        finish_scores(place, s, RowTokens(place, i0, place.queries), j0);
        softmax.template step<bfloat16>(s, out);
        multiply_held(out, s, corner, smem.v[stage], j0, place.dim);
      };
      int j0 = 0;
      if constexpr (kStep != kTail)
        for (; j0 + kStep <= place.keys; j0 += kStep) meet(j0, std::integral_constant<int, kStep>{});
      for (; j0 < place.keys; j0 += kTail) meet(j0, std::integral_constant<int, kTail>{});
      place.select(opaque(unit), share.head);   // again, rather than keep it in registers while they are short
      store_attention(place, softmax, out, i0, y, lse);

      i0 += Form::kWarps * 16;
      if (Form::kUnitStages > 1 || i0 >= place.queries) break;   // windows are all done then
      __syncwarp();                                              // the warp's queries have been read
      fetch_queries(place, stage, i0);
      copy_async_wait<0>();
      __syncwarp();
    }
  }
}

template <class Form> struct ResidentBackwardMemory {
  SharedTile<bfloat16, Form::kKeys, Form::D> k[Form::kUnitStages], v[Form::kUnitStages];
  SharedTile<bfloat16, Form::kRound, Form::D> q[2], dy[2];
  union {
    SharedTile<bfloat16, Form::kKeys, 64> ds;   // rows are keys, columns the queries of a round
    float padding[Form::kWarps][2][Form::D];    // after a unit with padding
    float late_pairs[Form::kPairsHeld ? Form::kPairRows : 1][Form::kPairsHeld ? Form::kPairs : 2];
  };
  float early_pairs[Form::kPairsHeld ? 1 : Form::kPairRows][Form::kPairsHeld ? 2 : Form::kPairs];
  float lse[2][Form::kRound], mean[Form::kWarps][Form::kRound];   // mean: each warp's part of <P, dP>
  float table[Form::kTableRows];
  /// dS, summed over the units.
  __device__ __forceinline__ float* pairs(int key, int query) {
    if constexpr (Form::kPairsHeld)
      return &late_pairs[key][query];
    else
      return &early_pairs[key][query];
  }
};

/// Where it all goes; null: not wanted.
struct ResidentGradients {
  bfloat16 *dq, *dk, *dv;
  bool accumulate_q, accumulate_k, accumulate_v;
  float* mean = nullptr;      // <P, dP> (units, heads, queries)
  float* table = nullptr;     // (parts, table_rows, heads)
  float* padding = nullptr;   // sums of dk and dv over rows of padding: (parts, 2, heads, dim)
};

/// c += a^T b: 16 columns of tile a from a_col on, by 8 kN columns of tile b from b_col on; `depth` rows of both.
template <int kN, int kRows, int kA, int kB>
__device__ __forceinline__ void multiply_columns(WarpTile<kN>& c, SharedTile<bfloat16, kRows, kA>& a, int a_col,
                                                 SharedTile<bfloat16, kRows, kB>& b, int b_col, int depth) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  for (int k = 0; k < depth; k += 16) {
    std::uint32_t av[4], bv[4];
    load_matrix_x4_transposed(av, a.at(k + lane % 8 + lane / 16 * 8, a_col + lane / 8 % 2 * 8));
    FOVEA_UNROLL
    for (int n = 0; n < kN; n += 2) {
      load_matrix_x4_transposed(bv, b.at(k + lane % 16, b_col + 8 * n + lane / 16 * 8));
      mma_bf16(c.v[n], av, bv[0], bv[1]);
      mma_bf16(c.v[n + 1], av, bv[2], bv[3]);
    }
  }
}

using FourBytes [[gnu::may_alias]] = std::uint32_t;
template <int kRows, int kCols>
__device__ __forceinline__ void store_pair(SharedTile<bfloat16, kRows, kCols>& tile, int row, int col, std::uint32_t pair) {
  *reinterpret_cast<FourBytes*>(tile.at(row, col)) = pair;
}

template <class Form, class Place>
__global__ void __launch_bounds__(Form::kWarps* kWarp, Form::kBackwardBlocks)
    resident_backward_kernel(Place place, AttentionInputs<bfloat16> in, const float* lse, const bfloat16* dy, ResidentGradients g,
                             ResidentParts parts) {
  constexpr int kThreads = Form::kWarps * kWarp, D = Form::D, kM = Form::kKeyTiles, kN = Form::kN, kRound = Form::kRound;
  constexpr int kDq = kRound / 16 * (D / 32) >= Form::kWarps ? 4 : 2;   // eights of columns of dq that a warp makes at once
  auto& smem = shared_memory<ResidentBackwardMemory<Form>>();
  const ResidentShare share(parts);
  const int warp = warp_index(), thread = static_cast<int>(threadIdx.x);
  const auto own = [] { return warp_index_again() * 16 * kM; };
  const int keys = (place.keys + 15) / 16 * 16, rounds = Form::kRounds ? Form::kRounds : (place.queries + kRound - 1) / kRound;
  place.template load_table<kThreads>(smem.table, share.head);
  const auto unit_stage = [&](int unit) { return (unit - share.first) % Form::kUnitStages; };
  const auto stage_of = [&](int unit, int r) { return ((unit - share.first) * rounds + r) % 2; };
  const auto fetch = [&](int unit, int r) {   // a round's queries, and with the first one the keys
    Place from = place;
    from.select(unit, share.head);
    const int i0 = r * kRound, stage = stage_of(unit, r);
    if (r == 0) {
      auto &k = smem.k[unit_stage(unit)], &v = smem.v[unit_stage(unit)];
      fetch_rows<kThreads>(k, 0, keys, place.dim, true, [&](int j) { return key_row(from, in.k, in.k_padding, j); });
      fetch_rows<kThreads>(v, 0, keys, place.dim, true, [&](int j) { return key_row(from, in.v, in.v_padding, j); });
    }
    fetch_rows<kThreads>(smem.q[stage], 0, kRound, place.dim, true, [&](int i) { return query_row(from, in.q, i0 + i); });
    fetch_rows<kThreads>(smem.dy[stage], 0, kRound, place.dim, true, [&](int i) { return output_row(from, dy, i0 + i); });
    if (thread < kRound) smem.lse[stage][thread] = lse_of(from, lse, i0 + opaque(thread));
    copy_async_commit();
  };
  WarpTile<kN> total[Form::kPairsHeld ? Form::kRounds : 1]{};   // dS^T, summed over the units
  float padding_sum = 0;                                        // of column `thread` of dk, then of dv

  fetch(share.first, 0);
  for (int unit = share.first; unit < share.last; ++unit) {
    place.select(unit, share.head);
    auto &k = smem.k[unit_stage(unit)], &v = smem.v[unit_stage(unit)];
    WarpTile<D / 8> dk[kM]{}, dv[kM]{};
    const auto round = [&](int r, WarpTile<kN>& sums) {
      const int stage = stage_of(unit, r), i0 = r * kRound;
      auto &q = smem.q[stage], &dys = smem.dy[stage];
      copy_async_wait<0>();
      __syncthreads();   // the round is there, and the last one's rows, dS and mean have been read
      if (r + 1 < rounds)
        fetch(unit, r + 1);
      else if (Form::kUnitStages > 1 && unit + 1 < share.last)
        fetch(unit + 1, 0);
      Corner<bfloat16, kN> corner;
      const int mine = own();
      WarpTile<kN> p[kM]{}, ds[kM]{};   // ds: dP^T at first
      FOVEA_UNROLL
      for (int m = 0; m < kM; ++m) {
        const int key = mine + 16 * m;
        if (key >= place.keys) break;   // a warp without keys: its P and dS are 0
        multiply_rows(p[m], k, key, q, 0, place.dim);
        transposed_probabilities<bfloat16>(place, p[m], RowTokens(place, key, place.keys), smem.lse[stage], i0);
        multiply_rows(ds[m], v, key, dys, 0, place.dim);   // now: biases have been looked up, which takes as many registers
        multiply_held(dv[m], p[m], corner, dys, 0, place.dim);
      }
      FOVEA_UNROLL
      for (int n = 0; n < kN; ++n) {
        FOVEA_UNROLL
        for (int e = 0; e < 2; ++e) {
          float mean = 0;
          FOVEA_UNROLL
          for (int m = 0; m < kM; ++m) mean = fmaf(p[m].v[n][e], ds[m].v[n][e], fmaf(p[m].v[n][2 + e], ds[m].v[n][2 + e], mean));
          FOVEA_UNROLL
          for (int lanes = 4; lanes < kWarp; lanes *= 2) mean += __shfl_xor_sync(kFullWarp, mean, lanes);
          if (lane_row() == 0) smem.mean[warp][8 * n + 2 * lane_pair() + e] = mean;
        }
      }
      __syncthreads();   // every warp's part of <P, dP>
      const int row = own() + opaque(lane_row()), pair = opaque(2 * lane_pair());
      FOVEA_UNROLL
      for (int n = 0; n < kN; ++n) {
        const int col = 8 * n + pair;
        float mean[2] = {};
        for (int w = 0; w < Form::kWarps; ++w) {
          const float2 part = std::bit_cast<float2>(load8(&smem.mean[w][col]));
          mean[0] += part.x, mean[1] += part.y;
        }
        if (!Place::kPads && g.mean && row == 0) {   // windows never want it: said to the compiler, which is short of registers
          FOVEA_UNROLL
          for (int e = 0; e < 2; ++e)
            if (i0 + col + e < place.queries) g.mean[place.lse_at(i0 + col + e)] = mean[e];
        }
        FOVEA_UNROLL
        for (int m = 0; m < kM; ++m) {
          float(&d)[4] = ds[m].v[n];
          FOVEA_UNROLL
          for (int e = 0; e < 4; ++e) d[e] = p[m].v[n][e] * (d[e] - mean[e % 2]);
          FOVEA_UNROLL
          for (int h = 0; h < 2; ++h) {
            const int key = row + 16 * m + 8 * h;
            store_pair(smem.ds, key, col, to_bf16_pair(d[2 * h], d[2 * h + 1]));
            if constexpr (Form::kPairsHeld) {
              sums.v[n][2 * h] += d[2 * h], sums.v[n][2 * h + 1] += d[2 * h + 1];
            } else if constexpr (Form::kPairRows > 1) {
              float* sum = smem.pairs(key, i0 + col);
              const float2 old = unit > share.first ? std::bit_cast<float2>(load8(sum)) : float2{0, 0};
              store8(sum, old.x + d[2 * h], old.y + d[2 * h + 1]);
            }
          }
        }
      }
      FOVEA_UNROLL
      for (int n = kN; n < kRound / 8; ++n) {   // queries that never are, but that share a product with some that are
        FOVEA_UNROLL
        for (int h = 0; h < 2; ++h) store_pair(smem.ds, row + 8 * h, 8 * n + pair, 0);
      }
      FOVEA_UNROLL
      for (int m = 0; m < kM; ++m) {
        if (mine + 16 * m >= place.keys) break;
        multiply_held(dk[m], ds[m], corner, q, 0, place.dim);
      }
      __syncthreads();   // all of dS
      place.select(opaque(unit), share.head);
      for (int tile = warp; g.dq && tile < kRound / 16 * (D / 8 / kDq); tile += Form::kWarps) {
        const int query = tile % (kRound / 16) * 16, col = tile / (kRound / 16) * (8 * kDq);
        if (i0 + query >= place.queries || col >= place.dim) continue;
        WarpTile<kDq> dq{};
        multiply_columns(dq, smem.ds, query, k, col, keys);
        FOVEA_UNROLL
        for (int h = 0; h < 2; ++h) {
          bfloat16* to = query_row(place, g.dq, i0 + query + lane_row() + 8 * h);
          store_tile_row(dq, h, to ? to + col : to, place.dim - col, place.scale, g.accumulate_q);
        }
      }
    };
    if constexpr (Form::kPairsHeld) {
      FOVEA_UNROLL
      for (int r = 0; r < Form::kRounds; ++r) round(r, total[r]);
    } else {
      for (int r = 0; r < rounds; ++r) round(r, total[0]);
    }
    __syncthreads();                  // dq has been written, for dk may be the same memory; and dS has been read
    bfloat16* const none = nullptr;   // rows of padding go nowhere
    const int first = own();
    FOVEA_UNROLL
    for (int m = 0; m < kM; ++m) {
      FOVEA_UNROLL
      for (int h = 0; h < 2; ++h) {
        const int j = first + 16 * m + lane_row() + 8 * h;
        if (g.dk) store_tile_row(dk[m], h, key_row(place, g.dk, none, j), place.dim, place.scale, g.accumulate_k);
        if (g.dv) store_tile_row(dv[m], h, key_row(place, g.dv, none, j), place.dim, 1.f, g.accumulate_v);
      }
    }
    if constexpr (Place::kPads) {
      if (!g.padding || !place.has_padding()) continue;
      static_assert(kM == 1 && 2 * D <= kThreads);
      const int j = first + lane_row();
      const bool counts[2] = {j < place.keys && place.row(j) < 0, j + 8 < place.keys && place.row(j + 8) < 0};
      sum_rows(dk[0], counts, place.scale, smem.padding[warp][0]);
      sum_rows(dv[0], counts, 1.f, smem.padding[warp][1]);
      __syncthreads();
      for (int w = 0; w < Form::kWarps && thread < 2 * D; ++w) padding_sum += smem.padding[w][thread / D][thread % D];
    }
  }

  if constexpr (Place::kPads) {
    const ResidentShare at(parts);   // once more, as for the place of a unit
    const int column = opaque(static_cast<int>(threadIdx.x)), first = own();
    if (g.padding && column < 2 * D && column % D < place.dim)
      g.padding[((std::int64_t{at.part} * 2 + column / D) * place.heads + at.head) * place.dim + column % D] = padding_sum;
    if (!g.table) return;
    __syncthreads();   // what lies where the pairs come has been read
    FOVEA_UNROLL
    for (int r = 0; r < (Form::kPairsHeld ? Form::kRounds : 0); ++r) {
      FOVEA_UNROLL
      for (int n = 0; n < kN; ++n) {
        FOVEA_UNROLL
        for (int h = 0; h < 2; ++h)
          store8(smem.pairs(first + lane_row() + 8 * h, r * kRound + 8 * n + 2 * lane_pair()), total[r].v[n][2 * h],
                 total[r].v[n][2 * h + 1]);
      }
    }
    __syncthreads();
    for (int row = column; row < Form::kTableRows; row += kThreads)
      g.table[(std::int64_t{at.part} * Form::kTableRows + row) * place.heads + at.head] =
          place.sum_at(row, [&](int query, int key) { return *smem.pairs(key, query); });
  }
}

template <class Form, class Place>
void resident_forward(Cuda be, const Place& place, const AttentionInputs<bfloat16>& in, bfloat16* y, float* lse, int parts) {
  launch(resident_forward_kernel<Form, Place>,
         {.grid = blocks(std::int64_t{parts} * place.heads, 1),
          .block = Form::kWarps * kWarp,
          .smem = sizeof(ResidentForwardMemory<Form>),
          .stream = be.stream},
         place, in, y, lse, ResidentParts(place, parts));
}
template <class Form, class Place>
void resident_backward(Cuda be, const Place& place, const AttentionInputs<bfloat16>& in, const float* lse, const bfloat16* dy,
                       const ResidentGradients& g, int parts) {
  launch(resident_backward_kernel<Form, Place>,
         {.grid = blocks(std::int64_t{parts} * place.heads, 1),
          .block = Form::kWarps * kWarp,
          .smem = sizeof(ResidentBackwardMemory<Form>),
          .stream = be.stream},
         place, in, lse, dy, g, ResidentParts(place, parts));
}

}   // namespace fovea::kernels
