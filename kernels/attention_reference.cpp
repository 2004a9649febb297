// attention_reference.cpp: one head of one batch after the other. Workspace: P and dS of a head, and the sum of dbias, in double.
#include "kernels/attention_reference.h"

#include <algorithm>

#include "kernels/attention.h"

namespace fovea::kernels {
namespace {

template <class T> struct Head {
  const T *queries_at, *keys_at, *values_at;   // this batch's and head's
  const acc_t<T>* bias;                        // (queries, keys) or null
  std::int64_t q_step, kv_step, queries, keys, dim;
  double scale;

  Head(const T* q_, const T* k_, const T* v_, const acc_t<T>* b, const AttentionShape& s, std::int64_t batch, std::int64_t head)
      : queries_at(q_ + batch * s.q.batch + head * s.q.head),
        keys_at(k_ + batch * s.kv.batch + head * s.kv.head),
        values_at(v_ ? v_ + batch * s.kv.batch + head * s.kv.head : nullptr),
        bias(b ? b + (batch % s.bias_groups * s.heads + head) * s.queries * s.keys : nullptr),
        q_step(s.q.token),
        kv_step(s.kv.token),
        queries(s.queries),
        keys(s.keys),
        dim(s.dim),
        scale(s.scale) {}
  const T* q(std::int64_t i) const { return queries_at + i * q_step; }
  const T* k(std::int64_t j) const { return keys_at + j * kv_step; }
  const T* v(std::int64_t j) const { return values_at + j * kv_step; }
  double added(std::int64_t i, std::int64_t j) const { return bias ? double(bias[i * keys + j]) : 0.; }
};

template <class T> void put(T* to, double value, bool accumulate) { *to = T(accumulate ? double(*to) + value : value); }

}   // namespace

template <class T> std::size_t attention_workspace_bytes(Reference, const AttentionShape& s) {
  return sizeof(double) * std::size_t((2 + s.bias_groups * s.heads) * s.queries * s.keys + s.keys);
}

template <class T>
void attention_forward(Reference, const T* q, const T* k, const T* v, const acc_t<T>* bias, T* y, acc_t<T>* lse, const AttentionShape& s,
                       void* workspace) {
  for (std::int64_t b = 0; b < s.batch; ++b)
    for (std::int64_t h = 0; h < s.heads; ++h)
      head_forward(
          Head<T>(q, k, v, bias, s, b, h), static_cast<double*>(workspace),
          [&](std::int64_t i, std::int64_t c, double value) { y[((b * s.queries + i) * s.heads + h) * s.dim + c] = T(value); },
          [&](std::int64_t i, double value) { lse[(b * s.heads + h) * s.queries + i] = acc_t<T>(value); });
}

template <class T>
void attention_backward(Reference, const T* q, const T* k, const T* v, const acc_t<T>* bias, const acc_t<T>* lse, const T* dy,
                        const AttentionGradients<T>& g, const AttentionShape& s, void* workspace) {
  const std::int64_t pairs = s.queries * s.keys, biases = s.bias_groups * s.heads * pairs;
  double *p = static_cast<double*>(workspace), *ds = p + pairs, *bias_sum = ds + pairs;
  std::fill(bias_sum, bias_sum + biases, 0.);
  for (std::int64_t b = 0; b < s.batch; ++b)
    for (std::int64_t h = 0; h < s.heads; ++h) {
      double* group_sum = bias ? bias_sum + (b % s.bias_groups * s.heads + h) * pairs : nullptr;
      const std::int64_t at_q = b * s.q.batch + h * s.q.head, at_kv = b * s.kv.batch + h * s.kv.head;
      head_backward(
          Head<T>(q, k, v, bias, s, b, h), p, ds, [&](std::int64_t i) { return double(lse[(b * s.heads + h) * s.queries + i]); },
          [&](std::int64_t i) { return dy + ((b * s.queries + i) * s.heads + h) * s.dim; },
          [&](std::int64_t i, std::int64_t c, double d) {
            if (g.dq) put(g.dq + at_q + i * s.q.token + c, d, g.accumulate_q);
          },
          [&](std::int64_t j, std::int64_t c, double d) {
            if (g.dk) put(g.dk + at_kv + j * s.kv.token + c, d, g.accumulate_k);
          },
          [&](std::int64_t j, std::int64_t c, double d) {
            if (g.dv) put(g.dv + at_kv + j * s.kv.token + c, d, g.accumulate_v);
          },
          [&](std::int64_t i, std::int64_t j, double d) {
            if (group_sum) group_sum[i * s.keys + j] += d;
          });
    }
  if (g.dbias)
    for (std::int64_t i = 0; i < biases; ++i) put(g.dbias + i, bias_sum[i], g.accumulate_bias);
}

template <class T>
void attention_weights(Reference, const T* q, const T* k, const acc_t<T>* bias, T* p, const AttentionShape& s, void* workspace) {
  double* row = static_cast<double*>(workspace);
  for (std::int64_t b = 0; b < s.batch; ++b)
    for (std::int64_t h = 0; h < s.heads; ++h)
      for (std::int64_t i = 0; i < s.queries; ++i, p += s.keys) {
        softmax_row(Head<T>(q, k, nullptr, bias, s, b, h), i, row);
        for (std::int64_t j = 0; j < s.keys; ++j) p[j] = T(row[j]);
      }
}

#define FOVEA_INSTANTIATE(T)                                                                                                            \
  template std::size_t attention_workspace_bytes<T>(Reference, const AttentionShape&);                                                  \
  template void attention_forward(Reference, const T*, const T*, const T*, const T*, T*, T*, const AttentionShape&, void*);             \
  template void attention_backward(Reference, const T*, const T*, const T*, const T*, const T*, const T*, const AttentionGradients<T>&, \
                                   const AttentionShape&, void*);                                                                       \
  template void attention_weights(Reference, const T*, const T*, const T*, T*, const AttentionShape&, void*);
FOVEA_INSTANTIATE(float)
FOVEA_INSTANTIATE(double)
#undef FOVEA_INSTANTIATE

}   // namespace fovea::kernels
