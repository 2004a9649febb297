// attention_cpu.cpp: rows at fixed strides; the bias in rows that are padded to whole vectors. The work is in cpu/attention.h.
#include "kernels/attention.h"

#include "kernels/cpu/attention.h"
#include "kernels/cpu/isa.h"

namespace fovea::kernels {

template <class T> struct AttentionFunctions {
  void (*forward)(const T*, const T*, const T*, const float*, T*, float*, const AttentionShape&, void*);
  void (*backward)(const T*, const T*, const T*, const float*, const float*, const T*, const AttentionGradients<T>&, const AttentionShape&,
                   void*);
  void (*weights)(const T*, const T*, const float*, T*, const AttentionShape&, void*);
};
struct AttentionTable {
  std::size_t (*workspace_bytes)(const AttentionShape&);
  AttentionFunctions<float> f32;
  AttentionFunctions<bfloat16> bf16;
};
FOVEA_ISA_TABLES(AttentionTable, attention_table)

namespace FOVEA_ISA {
namespace {

struct Strided {
  const AttentionShape& shape;
  std::int64_t gather(std::int64_t b, Scratch& s) const {
    for (std::int64_t i = 0; i < shape.queries; ++i) {
      s.q_at[i] = b * shape.q.batch + i * shape.q.token;
      s.y_at[i] = (b * shape.queries + i) * shape.heads * shape.dim;
      s.index[i] = i;
      s.mask[i] = s.no_mask;
    }
    for (std::int64_t j = 0; j < shape.keys; ++j) s.kv_at[j] = b * shape.kv.batch + j * shape.kv.token;
    return shape.queries;
  }
};

FOVEA_INLINE std::int64_t bias_rows(const AttentionShape& s) { return s.bias_groups * s.heads * s.queries; }
FOVEA_INLINE std::int64_t parts(const AttentionShape& s) { return batch_parts(s.batch, max_of(1, s.bias_groups), s.bias_groups > 0); }

/// The padded bias, the parts of its gradient, the threads' scratch.
std::size_t workspace_bytes(const AttentionShape& s) {
  const std::int64_t rows = bias_rows(s) * (1 + parts(s));
  return std::size_t(rows * scratch_row(s.keys)) * sizeof(float) +
         std::size_t(threads()) * std::size_t(Scratch::bytes(s.queries, s.keys, s.dim));
}

/// The heads, their bias padded in the workspace, and what is left of that.
template <class T> struct Call {
  Heads<T> heads;
  float* left;

  Call(const T* q, const T* k, const T* v, const float* bias, const AttentionShape& s, void* workspace)
      : heads{.batch = s.batch,
              .heads = s.heads,
              .queries = s.queries,
              .keys = s.keys,
              .dim = s.dim,
              .q_head = s.q.head,
              .kv_head = s.kv.head,
              .scale = float(s.scale),
              .q = q,
              .k = k,
              .v = v,
              .groups = max_of(1, s.bias_groups)},
        left(static_cast<float*>(workspace)) {
    if (!bias) return;
    heads.bias = left;
    left += bias_rows(s) * heads.row();
    parallel_for(bias_rows(s), [&](std::int64_t r) {
      float* row = left - bias_rows(s) * heads.row() + r * heads.row();
      for (std::int64_t j = 0; j < s.keys; j += 16) load_some(bias + r * s.keys + j, s.keys - j).store(row + j);
    });
  }
};

template <class T>
void forward(const T* q, const T* k, const T* v, const float* bias, T* y, float* lse, const AttentionShape& s, void* workspace) {
  const Call<T> call(q, k, v, bias, s, workspace);
  forward_heads(call.heads, Strided{s}, y, lse, reinterpret_cast<char*>(call.left));
}

template <class T>
void backward(const T* q, const T* k, const T* v, const float* bias, const float* lse, const T* dy, const AttentionGradients<T>& g,
              const AttentionShape& s, void* workspace) {
  Call<T> call(q, k, v, bias, s, workspace);
  const std::int64_t row = call.heads.row(), one_part = bias_rows(s) * row, n = parts(s);
  float* dbias = g.dbias ? call.left : nullptr;
  const HeadGradients<T> gradients{.dq = g.dq,
                                   .dk = g.dk,
                                   .dv = g.dv,
                                   .accumulate_q = g.accumulate_q,
                                   .accumulate_k = g.accumulate_k,
                                   .accumulate_v = g.accumulate_v,
                                   .parts = n,
                                   .dbias = dbias,
                                   .dk_pad = nullptr,
                                   .dv_pad = nullptr};
  backward_heads(call.heads, Strided{s}, lse, dy, gradients, reinterpret_cast<char*>(call.left + n * one_part));
  if (!dbias) return;
  parallel_for(bias_rows(s),
               [&](std::int64_t r) { join_parts(dbias + r * row, n, one_part, g.dbias + r * s.keys, s.keys, g.accumulate_bias); });
}

template <class T> void weights(const T* q, const T* k, const float* bias, T* p, const AttentionShape& s, void* workspace) {
  const Call<T> call(q, k, nullptr, bias, s, workspace);
  weights_of_heads(call.heads, Strided{s}, reinterpret_cast<char*>(call.left),
                   [&](std::int64_t b, std::int64_t h, std::int64_t i, const float* row, float factor) {
                     store_row(row, p + ((b * s.heads + h) * s.queries + i) * s.keys, s.keys, factor, false);
                   });
}

}   // namespace

const AttentionTable attention_table{
    workspace_bytes, {forward<float>, backward<float>, weights<float>}, {forward<bfloat16>, backward<bfloat16>, weights<bfloat16>}};

}   // namespace FOVEA_ISA

#ifdef FOVEA_BASELINE
template <class T> std::size_t attention_workspace_bytes(Cpu, const AttentionShape& s) { return attention_table().workspace_bytes(s); }
template <class T>
void attention_forward(Cpu, const T* q, const T* k, const T* v, const acc_t<T>* bias, T* y, acc_t<T>* lse, const AttentionShape& s,
                       void* workspace) {
  for_type<T>(attention_table()).forward(q, k, v, bias, y, lse, s, workspace);
}
template <class T>
void attention_backward(Cpu, const T* q, const T* k, const T* v, const acc_t<T>* bias, const acc_t<T>* lse, const T* dy,
                        const AttentionGradients<T>& g, const AttentionShape& s, void* workspace) {
  for_type<T>(attention_table()).backward(q, k, v, bias, lse, dy, g, s, workspace);
}
template <class T>
void attention_weights(Cpu, const T* q, const T* k, const acc_t<T>* bias, T* p, const AttentionShape& s, void* workspace) {
  for_type<T>(attention_table()).weights(q, k, bias, p, s, workspace);
}

#define FOVEA_INSTANTIATE(T)                                                                                                              \
  template std::size_t attention_workspace_bytes<T>(Cpu, const AttentionShape&);                                                          \
  template void attention_forward(Cpu, const T*, const T*, const T*, const float*, T*, float*, const AttentionShape&, void*);             \
  template void attention_backward(Cpu, const T*, const T*, const T*, const float*, const float*, const T*, const AttentionGradients<T>&, \
                                   const AttentionShape&, void*);                                                                         \
  template void attention_weights(Cpu, const T*, const T*, const float*, T*, const AttentionShape&, void*);
FOVEA_INSTANTIATE(float)
FOVEA_INSTANTIATE(bfloat16)
#undef FOVEA_INSTANTIATE
#endif

}   // namespace fovea::kernels
