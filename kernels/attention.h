// attention.h: multi-head scaled dot-product attention. Vaswani et al. 2017, "Attention Is All You Need" (arXiv:1706.03762), Eq. (1):
//
//   S = scale * q k^T + bias      (queries, keys), for every batch and head
//   P = softmax(S), row by row    y = P v
//
// and with dP = dy v^T, the gradient of the softmax being dS = P * (dP - <P, dP>_row):
//
//   dv = P^T dy     dq = scale * dS k     dk = scale * dS^T q     dbias = sum of dS over the batches that share it
//
// Neither S nor P is kept: forward leaves one number a row, lse = log sum_j exp(S_j), and backward computes P = exp(S - lse) again. Rabe &
// Staats 2021, "Self-attention Does Not Need O(n^2) Memory" (arXiv:2112.05682); Dao et al. 2022, "FlashAttention" (arXiv:2205.14135),
// Algorithms 1 and 4; lse as the one number: Dao 2023, "FlashAttention-2" (arXiv:2307.08691), Algorithm 1. Forward is two products of
// queries * keys * dim multiply-adds a head, backward five.
#pragma once

#include "kernels/backend.h"
#include "kernels/bfloat16.h"

namespace fovea::kernels {

/// Where the dim adjacent elements of batch b, token t, head h begin: b * batch + t * token + h * head. So q, k and v can be read in
/// place from a fused projection (batch, tokens, 3, heads, dim), and their gradients written there.
struct RowStrides {
  std::int64_t batch, token, head;
};

struct AttentionShape {
  std::int64_t batch, heads, queries, keys, dim;   // dim: of one head; keys >= 1
  RowStrides q, kv;                                // of q and dq; of k, v, dk and dv
  double scale;                                    // 1 / sqrt(dim) in the paper
  std::int64_t bias_groups = 0;                    // bias (bias_groups, heads, queries, keys): batch b takes b % bias_groups. 0: no bias
  FOVEA_INLINE std::int64_t multiply_adds() const { return 2 * batch * heads * queries * keys * dim; }   // q k^T and p v
};

template <class T> std::size_t attention_workspace_bytes(Reference, const AttentionShape& s);
template <class T> std::size_t attention_workspace_bytes(Cpu, const AttentionShape& s);   // grows with threads()
template <class T> std::size_t attention_workspace_bytes(Cuda, const AttentionShape& s);

/// y (batch, queries, heads, dim); lse (batch, heads, queries). bias null exactly when bias_groups is 0. An entry -inf of the bias gives
/// weight 0; a row without a finite score gives NaN.
template <class T>
void attention_forward(Reference, const T* q, const T* k, const T* v, const acc_t<T>* bias, T* y, acc_t<T>* lse, const AttentionShape& s,
                       void* workspace);
template <class T>
void attention_forward(Cpu, const T* q, const T* k, const T* v, const acc_t<T>* bias, T* y, acc_t<T>* lse, const AttentionShape& s,
                       void* workspace);
template <class T>   // Cuda, here and below: dim at most 256
void attention_forward(Cuda, const T* q, const T* k, const T* v, const acc_t<T>* bias, T* y, acc_t<T>* lse, const AttentionShape& s,
                       void* workspace);

/// Where gradients go; null: not wanted. They alias none of the inputs. When q, k and v are one tensor, so may dq, dk and dv be, with
/// accumulate_k and accumulate_v: of each element dq is written first, then dk, then dv.
template <class T> struct AttentionGradients {
  T *dq = nullptr, *dk = nullptr, *dv = nullptr;   // strides as those of q and of k, v
  acc_t<T>* dbias = nullptr;
  bool accumulate_q = false, accumulate_k = false, accumulate_v = false, accumulate_bias = false;
};
/// From the inputs, lse and dy (batch, queries, heads, dim); y is not needed, as <P, dP> is at hand. Cpu and Cuda: dbias is summed over
/// a fixed number of parts of the batch, which are then added in order.
template <class T>
void attention_backward(Reference, const T* q, const T* k, const T* v, const acc_t<T>* bias, const acc_t<T>* lse, const T* dy,
                        const AttentionGradients<T>& g, const AttentionShape& s, void* workspace);
template <class T>
void attention_backward(Cpu, const T* q, const T* k, const T* v, const acc_t<T>* bias, const acc_t<T>* lse, const T* dy,
                        const AttentionGradients<T>& g, const AttentionShape& s, void* workspace);
template <class T>
void attention_backward(Cuda, const T* q, const T* k, const T* v, const acc_t<T>* bias, const acc_t<T>* lse, const T* dy,
                        const AttentionGradients<T>& g, const AttentionShape& s, void* workspace);

/// P (batch, heads, queries, keys), for pictures.
template <class T>
void attention_weights(Reference, const T* q, const T* k, const acc_t<T>* bias, T* p, const AttentionShape& s, void* workspace);
template <class T>
void attention_weights(Cpu, const T* q, const T* k, const acc_t<T>* bias, T* p, const AttentionShape& s, void* workspace);
template <class T>
void attention_weights(Cuda, const T* q, const T* k, const acc_t<T>* bias, T* p, const AttentionShape& s, void* workspace);

}   // namespace fovea::kernels
