// cuda_attention_pairs.h: what attention has for each pair of tokens, and writes only on request: the gradient of the bias, and P for pictures.
//
// A block of the bias gradient owns a tile of pairs, and the batches that share the bias pass by: so dS is summed in registers, in order of
// the batches. It makes S and dP once more, 2 products of queries * keys * dim, after a backward pass that left <P, dP>.
#pragma once

#include "kernels/cuda_attention_streamed.h"

namespace fovea::kernels {

template <class T, int D> struct BiasGradientMemory {
  using C = Cut<T, D>;
  SharedTile<T, C::kOwned, D> q, dy;
  SharedTile<T, C::kTile, D> k, v;
};

/// A tile of dS, summed over one of `parts` parts of the units that share a bias: unit i * groups + group for each i. To partials (parts,
/// groups, heads, queries, keys).
template <class T, int D, class Place>
__global__ void __launch_bounds__(Cut<T, D>::kThreads)
    attention_bias_gradient_kernel(AttentionBackward<T, Place> a, float* partials, int groups, int parts, int query_tiles, int key_tiles) {
  using C = Cut<T, D>;
  Place& place = a.place;
  auto& smem = shared_memory<BiasGradientMemory<T, D>>();
  const int tiles = query_tiles * key_tiles, tile = static_cast<int>(blockIdx.x) % tiles, row = static_cast<int>(blockIdx.x) / tiles;
  const int i0 = tile / key_tiles * C::kOwned, j0 = tile % key_tiles * C::kTile;
  const int head = row % place.heads, sum = row / place.heads;   // of (parts, groups)
  const int own = warp_index() * 16;
  const std::int64_t shared = place.units / groups, part = sum / groups;
  WarpTile<C::kN> total{};
  for (std::int64_t i = shared * part / parts; i < shared * (part + 1) / parts; ++i) {
    place.select(static_cast<int>(i * groups + sum % groups), head);
    __syncthreads();   // the last one's tiles have been read
    fetch_rows<C::kThreads>(smem.q, 0, C::kOwned, place.dim, a.in.wide, [&](int r) { return query_row(place, a.in.q, i0 + r); });
    fetch_rows<C::kThreads>(smem.dy, 0, C::kOwned, place.dim, a.in.wide, [&](int r) { return output_row(place, a.dy, i0 + r); });
    fetch_rows<C::kThreads>(smem.k, 0, C::kTile, place.dim, a.in.wide,
                            [&](int r) { return key_row(place, a.in.k, a.in.k_padding, j0 + r); });
    fetch_rows<C::kThreads>(smem.v, 0, C::kTile, place.dim, a.in.wide,
                            [&](int r) { return key_row(place, a.in.v, a.in.v_padding, j0 + r); });
    copy_async_commit();
    copy_async_wait<0>();
    __syncthreads();
    const RowTokens query(place, i0 + own, place.queries);
    float lse[2], mean[2];
    FOVEA_UNROLL
    for (int h = 0; h < 2; ++h) {
      const int q = i0 + own + lane_row() + 8 * h;
      lse[h] = lse_of(place, a.lse, q);
      mean[h] = query.exists[h] ? a.mean[place.lse_at(q)] : 0.f;
    }
    WarpTile<C::kN> p{}, dp{};
    multiply_rows(p, smem.q, own, smem.k, 0, place.dim);
    multiply_rows(dp, smem.dy, own, smem.v, 0, place.dim);
    probabilities<float>(place, p, query, lse, j0);   // these are not rounded
    FOVEA_UNROLL
    for (int n = 0; n < C::kN; ++n) {
      FOVEA_UNROLL
      for (int e = 0; e < 4; ++e) total.v[n][e] = fmaf(p.v[n][e], dp.v[n][e] - mean[e / 2], total.v[n][e]);
    }
  }
  float* to = partials + (std::int64_t{sum} * place.heads + head) * place.queries * place.keys;
  FOVEA_UNROLL
  for (int n = 0; n < C::kN; ++n) {
    FOVEA_UNROLL
    for (int e = 0; e < 4; ++e) {
      const int i = i0 + own + lane_row() + 8 * (e / 2), j = j0 + 8 * n + 2 * lane_pair() + e % 2;
      if (i < place.queries && j < place.keys) to[std::int64_t{i} * place.keys + j] = total.v[n][e];
    }
  }
}

constexpr std::int64_t kBiasParts = 64;   // of the units, together for all groups
inline int bias_parts(std::int64_t units, std::int64_t groups) {
  return static_cast<int>(max_of(1, min_of(units / groups, ceil_div(kBiasParts, groups))));
}
/// partials (bias_parts, groups, heads, queries, keys) of dS, after a backward pass that left a.mean.
template <class T, class Place> void bias_gradient(Cuda be, const AttentionBackward<T, Place>& a, float* partials, int groups) {
  const Place& place = a.place;
  with_capacity(place.dim, [&](auto d) {
    constexpr int D = decltype(d)::value;
    using C = Cut<T, D>;
    const int query_tiles = tiles_of(place.queries, C::kOwned), key_tiles = tiles_of(place.keys, C::kTile);
    const int parts = bias_parts(place.units, groups);
    launch(attention_bias_gradient_kernel<T, D, Place>,
           {.grid = blocks(std::int64_t{query_tiles} * key_tiles * parts * groups * place.heads, 1),
            .block = C::kThreads,
            .smem = sizeof(BiasGradientMemory<T, D>),
            .stream = be.stream},
           a, partials, groups, parts, query_tiles, key_tiles);
  });
}

constexpr int kWeightWarps = 4;
/// P (units, heads, queries, keys), a warp for each row: for pictures, so each score is simply computed twice.
template <class T, class Place>
__global__ void __launch_bounds__(kWeightWarps* kWarp) attention_weights_kernel(Place place, AttentionInputs<T> in, T* p) {
  const std::int64_t row = blockIdx.x * std::int64_t{kWeightWarps} + warp_index(), head = row / place.queries;
  if (head >= std::int64_t{place.units} * place.heads) return;   // the whole warp leaves together, so the shuffles stay full
  place.select(static_cast<int>(head / place.heads), static_cast<int>(head % place.heads));
  const int i = static_cast<int>(row % place.queries), lane = static_cast<int>(threadIdx.x) % kWarp, code = place.code(i);
  const T* q = query_row(place, in.q, i);
  p += row * place.keys;
  const auto score = [&](int j) {
    const T* k = key_row(place, in.k, in.k_padding, j);
    float sum = 0;
    for (int c = 0; c < place.dim; ++c) sum = fmaf(float(q[c]), float(k[c]), sum);
    sum *= place.scale;
    if (place.adds()) sum += place.added(code, place.code(j));
    if (place.masks() && place.region(i) != place.region(j)) sum += Place::kMask;
    return sum;
  };
  float max = -FLT_MAX, sum = 0;
  for (int j = lane; j < place.keys && q; j += kWarp) {
    const float s = score(j), larger = fmaxf(s, max);
    sum = sum * exponential<T>(max - larger) + exponential<T>(s - larger);
    max = larger;
  }
  const float row_max = warp_all_reduce(max, Max{}), row_sum = warp_all_reduce(sum * exponential<T>(max - row_max), Sum{});
  for (int j = lane; j < place.keys; j += kWarp) p[j] = T(q ? exponential<T>(score(j) - row_max) / row_sum : 0.f);
}

template <class T, class Place> void write_weights(Cuda be, const Place& place, const AttentionInputs<T>& in, T* p) {
  launch(attention_weights_kernel<T, Place>,
         {.grid = blocks(std::int64_t{place.units} * place.heads * place.queries, kWeightWarps),
          .block = kWeightWarps * kWarp,
          .stream = be.stream},
         place, in, p);
}

}   // namespace fovea::kernels
