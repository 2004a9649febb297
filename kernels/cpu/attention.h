// attention.h: attention of one head in one thread's scratch, and how heads are dealt out to threads: what attention_cpu.cpp and
// window_attention_cpu.cpp share. They differ in where rows lie, which a Place tells: it gathers offsets, and rows are copied from there.
//
// A head's keys and values are copied once, as floats: keys * dim numbers beside queries * keys * dim multiply-adds. Then, for kQueryRows
// queries at a time, the scores of all keys lie in the second-level cache: the maximum of a row is known before anything is exponentiated,
// so that nothing needs rescaling (for the few hundred tokens of an image the online normaliser of Milakov & Gimelshein 2018,
// arXiv:1805.02867, would save no traffic). Softmax is about 30 vector operations for 16 scores, the two products 8 dim.
//
// Backward (Dao et al. 2022, Algorithm 4) makes P again from lse and needs five products:
//   S = q k^T,  dP = dy v^T,  dv += P^T dy,  dk += dS^T q,  dq = dS k
// One task owns a head of a batch, so dk and dv grow in its scratch, in order of the queries, without anybody else adding.
#pragma once

#include "kernels/cpu/math.h"
#include "kernels/cpu/scratch_product.h"
#include "kernels/parallel.h"

namespace fovea::kernels::FOVEA_ISA {
namespace {

constexpr std::int64_t kQueryRows = 48;     // queries whose scores are in the cache together: a multiple of every kMr
constexpr std::int64_t kQueryBlock = 768;   // queries of a forward task: more than that, and other threads may help with the head
constexpr std::int64_t kParts = 64;         // of a batch in a backward pass that sums over it
constexpr std::int64_t kUnits = 32;         // enough tasks for the threads there are
constexpr float kInfinity = __builtin_inff();

/// Everything about one call but where the rows of a batch lie.
template <class T> struct Heads {
  std::int64_t batch, heads, queries, keys, dim;
  std::int64_t q_head, kv_head;   // elements from one head of a row to the next
  float scale;
  const T *q, *k, *v;
  const T *k_padding = nullptr, *v_padding = nullptr;   // (heads, dim): the rows whose offset is -1
  std::int64_t groups = 1;                              // batch b takes bias b % groups
  const float* bias = nullptr;                          // (groups, heads, queries, row()): padded rows, 0 behind the last key

  FOVEA_INLINE std::int64_t row() const { return scratch_row(keys); }
  FOVEA_INLINE const float* bias_of(std::int64_t b, std::int64_t h) const {
    return bias ? bias + (b % groups * heads + h) * queries * row() : nullptr;
  }
};

/// Takes pieces off a block of memory, each on its own cache lines; from address 0 it only counts.
struct Pieces {
  std::uintptr_t at;
  template <class P> P* take(std::int64_t n) {
    P* piece = reinterpret_cast<P*>(at);
    at += (std::uintptr_t(n) * sizeof(P) + 63) / 64 * 64;
    return piece;
  }
};

/// What one thread works in. Rows of dim elements are ld_dim floats apart, rows of scores ld_keys.
struct Scratch {
  std::int64_t ld_dim, ld_keys;
  // What a Place writes, for queries i < its result and all keys j, as offsets to head 0:
  std::int64_t *q_at, *y_at, *kv_at;   // rows of q (and dq), y (and dy), k and v (and dk, dv); kv_at -1: padding
  std::int64_t* index;                 // of query i among `queries`: for bias and lse
  const float** mask;                  // row to add to query i's scores, -inf behind the last key: no_mask or one of masks
  float *no_mask, *masks;              // (ld_keys), (4, ld_keys)

  float *q, *k, *k_t, *v, *s, *y;   // (kQueryRows, dim), (keys, dim), (dim, keys), (keys, dim), (kQueryRows, keys), (kQueryRows, dim)
  float *row_max, *row_sum;         // (kQueryRows)
  float *v_t, *dy, *dp, *dk, *dv;   // backward; v_t and dp as k_t and s

  Scratch(Pieces& from, std::int64_t queries, std::int64_t keys, std::int64_t dim) : ld_dim(scratch_row(dim)), ld_keys(scratch_row(keys)) {
    const auto floats = [&from](std::int64_t n) { return from.take<float>(n); };
    q_at = from.take<std::int64_t>(queries), y_at = from.take<std::int64_t>(queries), index = from.take<std::int64_t>(queries);
    kv_at = from.take<std::int64_t>(keys);
    mask = from.take<const float*>(queries);
    no_mask = floats(ld_keys), masks = floats(4 * ld_keys);
    row_max = floats(kQueryRows), row_sum = floats(kQueryRows);
    q = floats(kQueryRows * ld_dim), y = floats(kQueryRows * ld_dim), dy = floats(kQueryRows * ld_dim);
    s = floats(kQueryRows * ld_keys), dp = floats(kQueryRows * ld_keys);
    k = floats(keys * ld_dim), v = floats(keys * ld_dim), dk = floats(keys * ld_dim), dv = floats(keys * ld_dim);
    k_t = floats(dim * ld_keys), v_t = floats(dim * ld_keys);
  }
  static std::int64_t bytes(std::int64_t queries, std::int64_t keys, std::int64_t dim) {
    Pieces count{0};
    const Scratch scratch(count, queries, keys, dim);
    return std::int64_t(count.at);
  }
};

/// This thread's scratch, out of one for each thread at `memory`.
template <class T> FOVEA_INLINE Scratch scratch_of_thread(const Heads<T>& a, std::int64_t queries, char* memory) {
  Pieces pieces{reinterpret_cast<std::uintptr_t>(memory + thread_index() * Scratch::bytes(queries, a.keys, a.dim))};
  Scratch s(pieces, queries, a.keys, a.dim);
  for (std::int64_t j = 0; j < s.ld_keys; ++j) s.no_mask[j] = j < a.keys ? 0.f : -kInfinity;
  return s;
}
template <class T> FOVEA_INLINE std::int64_t scratch_bytes(const Heads<T>& a, std::int64_t queries) {
  return threads() * Scratch::bytes(queries, a.keys, a.dim);
}

/// A row of n elements into scratch, times factor, zeros up to a multiple of 16. The next head's row, which lies behind it, is on its way then:
/// rows are too short and too far apart for the processor to foresee.
template <class T> FOVEA_INLINE void load_row(const T* from, float* to, std::int64_t n, float factor) {
  for (std::int64_t c = 0; c < n; c += 16) {
    __builtin_prefetch(from + n + c);
    (F16(factor) * load_some(from + c, n - c)).store(to + c);
  }
}
/// A row of n elements out of scratch, times factor.
template <class T> FOVEA_INLINE void store_row(const float* from, T* to, std::int64_t n, float factor, bool accumulate) {
  for (std::int64_t c = 0; c < n; c += 16) {
    F16 x = F16(factor) * F16::load(from + c);
    if (accumulate) x = load_some(to + c, n - c) + x;
    store_some(to + c, x, n - c);
  }
}
/// Rows of k or v of head h: (keys, ld_dim), and if `transposed` is not null (dim, ld_keys) too.
template <class T>
void load_keys(const Heads<T>& a, const Scratch& s, const T* from, const T* padding, std::int64_t h, float* rows, float* transposed) {
  for (std::int64_t j = 0; j < a.keys; ++j)
    load_row(s.kv_at[j] < 0 ? padding + h * a.dim : from + s.kv_at[j] + h * a.kv_head, rows + j * s.ld_dim, a.dim, 1.f);
  if (!transposed) return;
  for (std::int64_t c = 0; c < a.dim && a.keys % 16; ++c) F16().store(transposed + c * s.ld_keys + a.keys / 16 * 16);
  transpose(rows, s.ld_dim, a.keys, a.dim, transposed, s.ld_keys);
}

/// s.s (n, keys) = scale * q k^T of queries i0 .. i0 + n - 1; leaves scale * q in s.q.
template <class T> void scores(const Heads<T>& a, const Scratch& s, std::int64_t h, std::int64_t i0, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) load_row(a.q + s.q_at[i0 + i] + h * a.q_head, s.q + i * s.ld_dim, a.dim, a.scale);
  scratch_product<false>(n, a.keys, a.dim, s.q, s.ld_dim, s.k_t, s.ld_keys, s.s, s.ld_keys, false);
}

/// 16 scores of a row from c on, with what is added to them.
FOVEA_INLINE F16 biased(const float* s, const float* bias, const float* mask, std::int64_t c) {
  F16 x = F16::load(s + c);
  if (bias) x = x + F16::load(bias + c);
  return x + F16::load(mask + c);
}

/// s.s (n, keys) = e^(score - row_max); row_max and row_sum (n).
template <class T> void exponentiate(const Heads<T>& a, const Scratch& s, const float* bias, std::int64_t i0, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) {
    float* row = s.s + i * s.ld_keys;
    const float *b = bias ? bias + s.index[i0 + i] * s.ld_keys : nullptr, *mask = s.mask[i0 + i];
    F16 largest(-kInfinity);
    for (std::int64_t c = 0; c < a.keys; c += 16) {
      const F16 x = biased(row, b, mask, c);
      x.store(row + c);
      largest = max(x, largest);
    }
    s.row_max[i] = max_lane(largest);
  }
  for (std::int64_t i = 0; i < n; ++i) {   // a loop of its own: so the rows of both loops overlap, and no horizontal step is waited for
    float* row = s.s + i * s.ld_keys;
    const F16 largest(s.row_max[i]);
    F16 total;
    for (std::int64_t c = 0; c < a.keys; c += 16) {
      const F16 e = exp_below_88(F16::load(row + c) - largest);
      e.store(row + c);
      total = total + e;
    }
    s.row_sum[i] = sum(total);
  }
}

/// How the queries of a head are cut into forward tasks.
FOVEA_INLINE std::int64_t query_blocks(std::int64_t queries) { return max_of(1, ceil_div(queries, kQueryBlock)); }
/// Heads of one task, out of `units` batches or parts of the batch: all, for they share cache lines and a gather, unless there are few units.
FOVEA_INLINE std::int64_t heads_of_task(std::int64_t heads, std::int64_t units) { return units >= kUnits ? heads : 1; }

/// y and lse of head h and queries [first, last), whose offsets have been gathered.
template <class T>
void forward_head(const Heads<T>& a, const Scratch& s, std::int64_t b, std::int64_t h, std::int64_t first, std::int64_t last, T* y,
                  float* lse) {
  load_keys(a, s, a.k, a.k_padding, h, s.k, s.k_t);
  load_keys(a, s, a.v, a.v_padding, h, s.v, nullptr);
  for (std::int64_t i0 = first; i0 < last; i0 += kQueryRows) {
    const std::int64_t n = min_of(kQueryRows, last - i0);
    scores(a, s, h, i0, n);
    exponentiate(a, s, a.bias_of(b, h), i0, n);
    scratch_product<false>(n, a.dim, a.keys, s.s, s.ld_keys, s.v, s.ld_dim, s.y, s.ld_dim, false);
    for (std::int64_t i = 0; i < n; ++i) store_row(s.y + i * s.ld_dim, y + s.y_at[i0 + i] + h * a.dim, a.dim, 1 / s.row_sum[i], false);
    for (std::int64_t i = 0; i < n; i += 16) {
      float row_lse[16];
      (F16::load(s.row_max + i) + log(F16::load(s.row_sum + i))).store(row_lse);
      for (std::int64_t l = 0; l < min_of(16, n - i); ++l) lse[(b * a.heads + h) * a.queries + s.index[i0 + i + l]] = row_lse[l];
    }
  }
}

/// y and lse (batch, heads, queries) of every head. memory: scratch_bytes().
template <class T, class Place> void forward_heads(const Heads<T>& a, const Place& place, T* y, float* lse, char* memory) {
  const std::int64_t blocks = query_blocks(a.queries), block = round_up(ceil_div(a.queries, blocks), kQueryRows);
  const std::int64_t together = heads_of_task(a.heads, a.batch * blocks), tasks_of_block = a.heads / together;
  parallel_for(a.batch * blocks * tasks_of_block, [&](std::int64_t task) {
    const std::int64_t b = task / (tasks_of_block * blocks), first = task / tasks_of_block % blocks * block;
    Scratch s = scratch_of_thread(a, a.queries, memory);
    const std::int64_t last = min_of(place.gather(b, s), first + block);
    for (std::int64_t i = 0; i < together; ++i) forward_head(a, s, b, task % tasks_of_block * together + i, first, last, y, lse);
  });
}

/// p(b, h, index of the query, row of its probabilities) for every query.
template <class T, class Place, class P> void weights_of_heads(const Heads<T>& a, const Place& place, char* memory, const P& p) {
  parallel_for(a.batch * a.heads, [&](std::int64_t task) {
    const std::int64_t h = task % a.heads, b = task / a.heads;
    Scratch s = scratch_of_thread(a, a.queries, memory);
    const std::int64_t queries = place.gather(b, s);
    load_keys(a, s, a.k, a.k_padding, h, s.k, s.k_t);
    for (std::int64_t i0 = 0; i0 < queries; i0 += kQueryRows) {
      const std::int64_t n = min_of(kQueryRows, queries - i0);
      scores(a, s, h, i0, n);
      exponentiate(a, s, a.bias_of(b, h), i0, n);
      for (std::int64_t i = 0; i < n; ++i) p(b, h, s.index[i0 + i], s.s + i * s.ld_keys, 1 / s.row_sum[i]);
    }
  });
}

/// Where the gradients of a call go; null: not wanted.
template <class T> struct HeadGradients {
  T *dq, *dk, *dv;
  bool accumulate_q, accumulate_k, accumulate_v;
  // Sums over the batch, one for each part of it, written whole:
  std::int64_t parts;
  float* dbias;             // (parts, groups, heads, queries, row()), padded rows
  float *dk_pad, *dv_pad;   // (parts, heads, dim) each: of the rows whose offset is -1
};

/// Parts of the batches that share a bias. Without sums over the batch every batch is a part.
FOVEA_INLINE std::int64_t batch_parts(std::int64_t batch, std::int64_t groups, bool sums) {
  const std::int64_t shared = batch / groups;
  return sums ? max_of(1, min_of(shared, ceil_div(kParts, groups))) : shared;
}

/// s.s = P and s.dp = dS of n queries, from s.s = scores and s.dp = dP.
template <class T>
void softmax_gradient(const Heads<T>& a, const Scratch& s, const float* bias, const float* lse, float* dbias, std::int64_t i0,
                      std::int64_t n) {
  float* mean = s.row_sum;   // <P, dP>
  for (std::int64_t i = 0; i < n; ++i) {
    float* row = s.s + i * s.ld_keys;
    const float *dp = s.dp + i * s.ld_keys, *b = bias ? bias + s.index[i0 + i] * s.ld_keys : nullptr, *mask = s.mask[i0 + i];
    const F16 row_lse(lse[s.index[i0 + i]]);
    F16 total;
    for (std::int64_t c = 0; c < a.keys; c += 16) {
      const F16 p = exp_below_88(biased(row, b, mask, c) - row_lse);
      p.store(row + c);
      total = fma(p, F16::load(dp + c), total);
    }
    mean[i] = sum(total);
  }
  for (std::int64_t i = 0; i < n; ++i) {
    const float* p = s.s + i * s.ld_keys;
    float *ds = s.dp + i * s.ld_keys, *db = dbias ? dbias + s.index[i0 + i] * s.ld_keys : nullptr;
    const F16 row_mean(mean[i]);
    for (std::int64_t c = 0; c < a.keys; c += 16) {
      const F16 d = F16::load(p + c) * (F16::load(ds + c) - row_mean);
      d.store(ds + c);
      if (db) (F16::load(db + c) + d).store(db + c);
    }
  }
}

/// The gradients of head h of batch b, of whose offsets `queries` have been gathered. dbias: (queries, ld_keys) to add to; dk_pad, dv_pad:
/// (dim) to add to; or null.
template <class T>
void backward_head(const Heads<T>& a, std::int64_t queries, std::int64_t b, std::int64_t h, const float* lse, const T* dy,
                   const HeadGradients<T>& g, float* dbias, float* dk_pad, float* dv_pad, const Scratch& s) {
  load_keys(a, s, a.k, a.k_padding, h, s.k, s.k_t);
  load_keys(a, s, a.v, a.v_padding, h, s.v, s.v_t);
  if (queries == 0) zero_floats(s.dk, a.keys * s.ld_dim), zero_floats(s.dv, a.keys * s.ld_dim);
  for (std::int64_t i0 = 0; i0 < queries; i0 += kQueryRows) {
    const std::int64_t n = min_of(kQueryRows, queries - i0);
    scores(a, s, h, i0, n);
    for (std::int64_t i = 0; i < n; ++i) load_row(dy + s.y_at[i0 + i] + h * a.dim, s.dy + i * s.ld_dim, a.dim, 1.f);
    scratch_product<false>(n, a.keys, a.dim, s.dy, s.ld_dim, s.v_t, s.ld_keys, s.dp, s.ld_keys, false);
    softmax_gradient(a, s, a.bias_of(b, h), lse + (b * a.heads + h) * a.queries, dbias, i0, n);
    scratch_product<true>(a.keys, a.dim, n, s.s, s.ld_keys, s.dy, s.ld_dim, s.dv, s.ld_dim, i0 > 0);
    scratch_product<true>(a.keys, a.dim, n, s.dp, s.ld_keys, s.q, s.ld_dim, s.dk, s.ld_dim, i0 > 0);
    if (!g.dq) continue;
    scratch_product<false>(n, a.dim, a.keys, s.dp, s.ld_keys, s.k, s.ld_dim, s.y, s.ld_dim, false);
    for (std::int64_t i = 0; i < n; ++i)
      store_row(s.y + i * s.ld_dim, g.dq + s.q_at[i0 + i] + h * a.q_head, a.dim, a.scale, g.accumulate_q);
  }
  for (std::int64_t j = 0; j < a.keys; ++j) {
    const float *dk = s.dk + j * s.ld_dim, *dv = s.dv + j * s.ld_dim;
    const std::int64_t at = s.kv_at[j] + h * a.kv_head;
    if (s.kv_at[j] < 0) {
      if (dk_pad) store_row(dk, dk_pad, a.dim, 1.f, true), store_row(dv, dv_pad, a.dim, 1.f, true);
      continue;
    }
    if (g.dk) store_row(dk, g.dk + at, a.dim, 1.f, g.accumulate_k);   // s.q was scaled already
    if (g.dv) store_row(dv, g.dv + at, a.dim, 1.f, g.accumulate_v);
  }
}

/// All gradients. A task owns one part of one group of batches, some heads of it, and walks over its batches in order.
template <class T, class Place>
void backward_heads(const Heads<T>& a, const Place& place, const float* lse, const T* dy, const HeadGradients<T>& g, char* memory) {
  const std::int64_t shared = a.batch / a.groups, matrix = a.queries * a.row();
  const std::int64_t together = heads_of_task(a.heads, g.parts * a.groups), tasks_of_unit = a.heads / together;
  parallel_for(g.parts * a.groups * tasks_of_unit, [&](std::int64_t task) {
    const std::int64_t unit = task / tasks_of_unit, group = unit % a.groups, part = unit / a.groups, h0 = task % tasks_of_unit * together;
    const std::int64_t at_pad = (part * a.heads + h0) * a.dim;
    Scratch s = scratch_of_thread(a, a.queries, memory);
    float* dbias = g.dbias ? g.dbias + (unit * a.heads + h0) * matrix : nullptr;
    if (dbias) zero_floats(dbias, together * matrix);
    if (g.dk_pad) zero_floats(g.dk_pad + at_pad, together * a.dim), zero_floats(g.dv_pad + at_pad, together * a.dim);
    for (std::int64_t i = shared * part / g.parts; i < shared * (part + 1) / g.parts; ++i) {
      const std::int64_t b = i * a.groups + group, queries = place.gather(b, s);
      for (std::int64_t h = 0; h < together; ++h)
        backward_head(a, queries, b, h0 + h, lse, dy, g, dbias ? dbias + h * matrix : nullptr,
                      g.dk_pad ? g.dk_pad + at_pad + h * a.dim : nullptr, g.dk_pad ? g.dv_pad + at_pad + h * a.dim : nullptr, s);
    }
  });
}

/// The sum over parts, in order, of 16 neighbours at `first` of each; parts are `apart` floats apart.
FOVEA_INLINE F16 sum_parts(const float* first, std::int64_t parts, std::int64_t apart) {
  F16 total = F16::load(first);
  for (std::int64_t part = 1; part < parts; ++part) total = total + F16::load(first + part * apart);
  return total;
}
/// to (n) = the sum over parts, or +=. Behind the last part there is room for a vector.
FOVEA_INLINE void join_parts(const float* from, std::int64_t parts, std::int64_t apart, float* to, std::int64_t n, bool accumulate) {
  for (std::int64_t c = 0; c < n; c += 16) {
    F16 total = sum_parts(from + c, parts, apart);
    if (accumulate) total = load_some(to + c, n - c) + total;
    store_some(to + c, total, n - c);
  }
}

}   // namespace
}   // namespace fovea::kernels::FOVEA_ISA
