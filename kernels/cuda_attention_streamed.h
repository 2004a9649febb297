// cuda_attention_streamed.h: attention of any number of tokens, for both types: a block owns some rows, and what they have to meet passes by
// in tiles, two in shared memory: one is used while cp.async brings the next. Dao 2023, "FlashAttention-2" (arXiv:2307.08691), Algorithms 1
// and 2, with one difference: no block adds to what another wrote, so that sums have one order.
//
//                                     owns         passes by   products, each queries * keys * dim
//   attention_forward_kernel          queries      k, v        S = q k^T, y += P v                                       2
//   attention_query_gradient_kernel   queries      k, v        S, dP = dy v^T for <P, dP>; once more for dq += dS k      2 + 3
//   attention_key_gradient_kernel     keys         q, dy       S^T, dP^T, dv += P^T dy, dk += dS^T q                     4
//
// So backward makes 9 products, where 5 would do if a block could hold a whole head: cuda_attention_resident.h. (At head sizes above 128
// the sums of dk and dv do not fit the registers together: 10.) Reads of the second-level cache: forward, k and v once for every 64 queries.
#pragma once

#include "kernels/cuda_attention.h"

namespace fovea::kernels {

/// How a block is cut, for rows of up to D elements: what it owns, and what passes by, in rows.
template <class T, int D> struct Cut {
  static constexpr int kRowBytes = D * static_cast<int>(sizeof(T));
  static constexpr int kWarps = kRowBytes <= 512 ? 4 : 2, kThreads = kWarps * kWarp, kOwned = 16 * kWarps;
  static constexpr int kTile = kRowBytes <= 128 ? 64 : kRowBytes <= 512 ? 32 : 16, kN = kTile / 8;
};

/// Selects this block's head; its tile of `tiles`.
template <class Place> __device__ __forceinline__ int select_head(Place& place, int tiles) {
  const unsigned head = blockIdx.x / static_cast<unsigned>(tiles), heads = static_cast<unsigned>(place.heads);
  place.select(static_cast<int>(head / heads), static_cast<int>(head % heads));
  return static_cast<int>(blockIdx.x % static_cast<unsigned>(tiles));
}
inline int tiles_of(std::int64_t n, int size) { return static_cast<int>(ceil_div(n, size)); }

template <class T, int D> struct ForwardMemory {
  using C = Cut<T, D>;
  SharedTile<T, C::kOwned, D> q;
  SharedTile<T, C::kTile, D> k[2], v[2];
  Corner<T, C::kN> corner[C::kWarps];
};

template <class T, int D, class Place>
__global__ void __launch_bounds__(Cut<T, D>::kThreads)
    attention_forward_kernel(Place place, AttentionInputs<T> in, T* y, float* lse, int query_tiles) {
  using C = Cut<T, D>;
  auto& smem = shared_memory<ForwardMemory<T, D>>();
  const int i0 = select_head(place, query_tiles) * C::kOwned, own = warp_index() * 16, tiles = (place.keys + C::kTile - 1) / C::kTile;
  const auto fetch = [&](int j) {
    if (j < tiles) {
      const auto row = [&](const T* p, const T* padding) {
        return [&place, p, padding, j](int r) { return key_row(place, p, padding, j * C::kTile + r); };
      };
      fetch_rows<C::kThreads>(smem.k[j % 2], 0, C::kTile, place.dim, in.wide, row(in.k, in.k_padding));
      fetch_rows<C::kThreads>(smem.v[j % 2], 0, C::kTile, place.dim, in.wide, row(in.v, in.v_padding));
    }
    copy_async_commit();
  };
  fetch_rows<C::kThreads>(smem.q, 0, C::kOwned, place.dim, in.wide, [&](int r) { return query_row(place, in.q, i0 + r); });
  fetch(0);

  const RowTokens query(place, i0 + own, place.queries);
  WarpTile<D / 8> out{};
  OnlineSoftmax softmax;
  for (int j = 0; j < tiles; ++j) {
    copy_async_wait<0>();
    __syncthreads();   // tile j is there, and nobody reads the place of tile j + 1 any more
    fetch(j + 1);
    const int j0 = j * C::kTile;
    WarpTile<C::kN> s{};
    multiply_rows(s, smem.q, own, smem.k[j % 2], 0, place.dim);
    finish_scores(place, s, query, j0);
    softmax.step<T>(s, out);
    multiply_held(out, s, smem.corner[warp_index()], smem.v[j % 2], 0, place.dim);
  }
  store_attention(place, softmax, out, i0 + own, y, lse);
}

template <class T, class Place> struct AttentionBackward {
  Place place;
  AttentionInputs<T> in;
  const float* lse;
  const T* dy;
  float* mean;                // <P, dP> (units, heads, queries): workspace
  float* padding = nullptr;   // sums of dk and dv over rows of padding, for each unit and key tile: (.., 2, heads, dim); or null
};

/// S to P, rows being queries; those that do not exist have lse = infinity, and so P = 0.
template <class T, int kN, class Place>
__device__ __forceinline__ void probabilities(const Place& place, WarpTile<kN>& s, const RowTokens& query, const float (&lse)[2], int j0) {
  finish_scores(place, s, query, j0);
  FOVEA_UNROLL
  for (int n = 0; n < kN; ++n) {
    FOVEA_UNROLL
    for (int i = 0; i < 4; ++i) s.v[n][i] = exponential<T>(s.v[n][i] - lse[i / 2]);
  }
}
template <class T, int D> struct QueryGradientMemory {
  using C = Cut<T, D>;
  SharedTile<T, C::kOwned, D> q, dy;
  SharedTile<T, C::kTile, D> k[2], v[2];
  Corner<T, C::kN> corner[C::kWarps];
};

/// mean = <P, dP> of every query, and dq unless it is null: the keys pass by twice then.
template <class T, int D, class Place>
__global__ void __launch_bounds__(Cut<T, D>::kThreads)
    attention_query_gradient_kernel(AttentionBackward<T, Place> a, T* dq, bool accumulate, int query_tiles) {
  using C = Cut<T, D>;
  Place& place = a.place;
  auto& smem = shared_memory<QueryGradientMemory<T, D>>();
  const int i0 = select_head(place, query_tiles) * C::kOwned, own = warp_index() * 16;
  const int tiles = (place.keys + C::kTile - 1) / C::kTile, passes = dq ? 2 : 1;
  const auto fetch = [&](int step) {
    if (step < passes * tiles) {
      const int j0 = step % tiles * C::kTile;
      fetch_rows<C::kThreads>(smem.k[step % 2], 0, C::kTile, place.dim, a.in.wide,
                              [&](int r) { return key_row(place, a.in.k, a.in.k_padding, j0 + r); });
      fetch_rows<C::kThreads>(smem.v[step % 2], 0, C::kTile, place.dim, a.in.wide,
                              [&](int r) { return key_row(place, a.in.v, a.in.v_padding, j0 + r); });
    }
    copy_async_commit();
  };
  fetch_rows<C::kThreads>(smem.q, 0, C::kOwned, place.dim, a.in.wide, [&](int r) { return query_row(place, a.in.q, i0 + r); });
  fetch_rows<C::kThreads>(smem.dy, 0, C::kOwned, place.dim, a.in.wide, [&](int r) { return output_row(place, a.dy, i0 + r); });
  fetch(0);

  const RowTokens query(place, i0 + own, place.queries);
  const int mine[2] = {i0 + own + lane_row(), i0 + own + lane_row() + 8};
  const float lse[2] = {lse_of(place, a.lse, mine[0]), lse_of(place, a.lse, mine[1])};
  float mean[2] = {};
  WarpTile<D / 8> out{};
  for (int step = 0; step < passes * tiles; ++step) {
    copy_async_wait<0>();
    __syncthreads();
    fetch(step + 1);
    const int j0 = step % tiles * C::kTile;
    WarpTile<C::kN> p{}, ds{};   // ds: dP at first
    multiply_rows(p, smem.q, own, smem.k[step % 2], 0, place.dim);
    multiply_rows(ds, smem.dy, own, smem.v[step % 2], 0, place.dim);
    probabilities<T>(place, p, query, lse, j0);
    if (step < tiles) {
      FOVEA_UNROLL
      for (int n = 0; n < C::kN; ++n) {
        FOVEA_UNROLL
        for (int i = 0; i < 4; ++i) mean[i / 2] = fmaf(p.v[n][i], ds.v[n][i], mean[i / 2]);
      }
      if (step < tiles - 1) continue;
      FOVEA_UNROLL
      for (int h = 0; h < 2; ++h) {
        mean[h] = row_all_reduce(mean[h], Sum{});
        if (query.exists[h] && lane_pair() == 0) a.mean[place.lse_at(mine[h])] = mean[h];
      }
      continue;
    }
    FOVEA_UNROLL
    for (int n = 0; n < C::kN; ++n) {
      FOVEA_UNROLL
      for (int i = 0; i < 4; ++i) ds.v[n][i] = p.v[n][i] * (ds.v[n][i] - mean[i / 2]);
    }
    multiply_held(out, ds, smem.corner[warp_index()], smem.k[step % 2], 0, place.dim);
  }
  if (!dq) return;
  FOVEA_UNROLL
  for (int h = 0; h < 2; ++h) store_tile_row(out, h, query_row(place, dq, mine[h]), place.dim, place.scale, accumulate);
}

/// Where the gradients of keys and values go; null: not wanted.
template <class T> struct KeyGradients {
  T *dk, *dv;
  bool accumulate_k, accumulate_v;
};

template <class T, int D> struct KeyGradientMemory {
  using C = Cut<T, D>;
  SharedTile<T, C::kOwned, D> k, v;
  SharedTile<T, C::kTile, D> q[2], dy[2];
  float lse[2][C::kTile], mean[2][C::kTile];
  Corner<T, C::kN> corner[C::kWarps];
  float padding[C::kWarps][D];
};

template <class T, int D, bool wants_k, bool wants_v, class Place>
__global__ void __launch_bounds__(Cut<T, D>::kThreads)
    attention_key_gradient_kernel(AttentionBackward<T, Place> a, KeyGradients<T> g, int key_tiles) {
  using C = Cut<T, D>;
  Place& place = a.place;
  auto& smem = shared_memory<KeyGradientMemory<T, D>>();
  const int tile = select_head(place, key_tiles), j0 = tile * C::kOwned, own = warp_index() * 16;
  const int tiles = (place.queries + C::kTile - 1) / C::kTile;
  const auto fetch = [&](int i) {
    if (i < tiles) {
      const int i0 = i * C::kTile;
      fetch_rows<C::kThreads>(smem.q[i % 2], 0, C::kTile, place.dim, a.in.wide, [&](int r) { return query_row(place, a.in.q, i0 + r); });
      fetch_rows<C::kThreads>(smem.dy[i % 2], 0, C::kTile, place.dim, a.in.wide, [&](int r) { return output_row(place, a.dy, i0 + r); });
      const int query = i0 + static_cast<int>(threadIdx.x);
      if (threadIdx.x < C::kTile) {
        smem.lse[i % 2][threadIdx.x] = lse_of(place, a.lse, query);
        smem.mean[i % 2][threadIdx.x] = query < place.queries ? a.mean[place.lse_at(query)] : 0.f;
      }
    }
    copy_async_commit();
  };
  fetch_rows<C::kThreads>(smem.k, 0, C::kOwned, place.dim, a.in.wide,
                          [&](int r) { return key_row(place, a.in.k, a.in.k_padding, j0 + r); });
  fetch_rows<C::kThreads>(smem.v, 0, C::kOwned, place.dim, a.in.wide,
                          [&](int r) { return key_row(place, a.in.v, a.in.v_padding, j0 + r); });
  fetch(0);

  const RowTokens key(place, j0 + own, place.keys);
  WarpTile<wants_k ? D / 8 : 1> dk{};
  WarpTile<wants_v ? D / 8 : 1> dv{};
  for (int i = 0; i < tiles; ++i) {
    copy_async_wait<0>();
    __syncthreads();
    fetch(i + 1);
    const int i0 = i * C::kTile;
    WarpTile<C::kN> p{};
    multiply_rows(p, smem.k, own, smem.q[i % 2], 0, place.dim);
    transposed_probabilities<T>(place, p, key, smem.lse[i % 2], i0);
    if constexpr (wants_v) multiply_held(dv, p, smem.corner[warp_index()], smem.dy[i % 2], 0, place.dim);
    if constexpr (wants_k) {
      WarpTile<C::kN> ds{};
      multiply_rows(ds, smem.v, own, smem.dy[i % 2], 0, place.dim);
      FOVEA_UNROLL
      for (int n = 0; n < C::kN; ++n) {
        FOVEA_UNROLL
        for (int e = 0; e < 4; ++e) ds.v[n][e] = p.v[n][e] * (ds.v[n][e] - smem.mean[i % 2][8 * n + 2 * lane_pair() + e % 2]);
      }
      multiply_held(dk, ds, smem.corner[warp_index()], smem.q[i % 2], 0, place.dim);
    }
  }
  T* const none = nullptr;   // rows of padding go nowhere
  FOVEA_UNROLL
  for (int h = 0; h < 2; ++h) {
    const int j = j0 + own + lane_row() + 8 * h;
    if constexpr (wants_k)   // dv after dk: they may be one
      if (g.dk) store_tile_row(dk, h, key_row(place, g.dk, none, j), place.dim, place.scale, g.accumulate_k);
    if constexpr (wants_v)
      if (g.dv) store_tile_row(dv, h, key_row(place, g.dv, none, j), place.dim, 1.f, g.accumulate_v);
  }
  if constexpr (Place::kPads) {
    if (!a.padding) return;
    const bool padding[2] = {key.exists[0] && place.row(j0 + own + lane_row()) < 0,
                             key.exists[1] && place.row(j0 + own + lane_row() + 8) < 0};
    const auto join = [&](int which) {   // the warps, in order
      __syncthreads();
      float* to = a.padding + (((std::int64_t{place.unit} * key_tiles + tile) * 2 + which) * place.heads + place.head) * place.dim;
      for (int c = static_cast<int>(threadIdx.x); c < place.dim; c += C::kThreads) {
        float sum = 0;
        for (int w = 0; w < C::kWarps; ++w) sum += smem.padding[w][c];
        to[c] = sum;
      }
      __syncthreads();
    };
    if constexpr (wants_k) {
      sum_rows(dk, padding, place.scale, smem.padding[warp_index()]);
      join(0);
    }
    if constexpr (wants_v) {
      sum_rows(dv, padding, 1.f, smem.padding[warp_index()]);
      join(1);
    }
  }
}

// ---- launches ------------------------------------------------------------------------------------------------------------------------------

constexpr int kMaxHeadSize = 256;
/// f(D) for the smallest capacity that holds `dim`.
template <class F> void with_capacity(std::int64_t dim, const F& f) {
  if (dim <= 64) return f(std::integral_constant<int, 64>{});
  if (dim <= 128) return f(std::integral_constant<int, 128>{});
  f(std::integral_constant<int, kMaxHeadSize>{});
}
/// A block for each of `tiles` tiles of each head.
template <class C, class Memory, class Place> LaunchShape block_for_each_tile(Cuda be, const Place& place, int tiles) {
  return {.grid = blocks(std::int64_t{place.units} * place.heads * tiles, 1),
          .block = C::kThreads,
          .smem = sizeof(Memory),
          .stream = be.stream};
}

template <class T, class Place> void streamed_forward(Cuda be, const Place& place, const AttentionInputs<T>& in, T* y, float* lse) {
  with_capacity(place.dim, [&](auto d) {
    constexpr int D = decltype(d)::value;
    using C = Cut<T, D>;
    const int tiles = tiles_of(place.queries, C::kOwned);
    launch(attention_forward_kernel<T, D, Place>, block_for_each_tile<C, ForwardMemory<T, D>>(be, place, tiles), place, in, y, lse, tiles);
  });
}

/// dq first, then dk, then dv. Leaves <P, dP> in a.mean.
template <class T, class Place>
void streamed_backward(Cuda be, const AttentionBackward<T, Place>& a, T* dq, bool accumulate_q, const KeyGradients<T>& g) {
  const Place& place = a.place;
  with_capacity(place.dim, [&](auto d) {
    constexpr int D = decltype(d)::value;
    using C = Cut<T, D>;
    const int query_tiles = tiles_of(place.queries, C::kOwned), key_tiles = tiles_of(place.keys, C::kOwned);
    if (place.queries > 0)
      launch(attention_query_gradient_kernel<T, D, Place>, block_for_each_tile<C, QueryGradientMemory<T, D>>(be, place, query_tiles), a, dq,
             accumulate_q, query_tiles);
    if (!g.dk && !g.dv && !a.padding) return;
    const LaunchShape shape = block_for_each_tile<C, KeyGradientMemory<T, D>>(be, place, key_tiles);
    if constexpr (D <= 128) {
      launch(attention_key_gradient_kernel<T, D, true, true, Place>, shape, a, g, key_tiles);
    } else {
      launch(attention_key_gradient_kernel<T, D, true, false, Place>, shape, a, g, key_tiles);
      launch(attention_key_gradient_kernel<T, D, false, true, Place>, shape, a, g, key_tiles);
    }
  });
}
/// Rows of a.padding.
template <class T, class Place> std::int64_t padding_rows(const Place& place) {
  std::int64_t rows = 0;
  with_capacity(place.dim, [&](auto d) { rows = std::int64_t{place.units} * tiles_of(place.keys, Cut<T, decltype(d)::value>::kOwned); });
  return rows;
}

}   // namespace fovea::kernels
