// attention_cuda.cu: rows at fixed strides, a bias that is read from memory. The work is in cuda_attention_resident.h for heads of up to 64
// elements and 256 tokens in bfloat16 (a ViT at 224 pixels has 197), and in cuda_attention_streamed.h for all others.
#include "kernels/attention.h"

#include "kernels/cuda_attention_pairs.h"
#include "kernels/cuda_attention_resident.h"

namespace fovea::kernels {
namespace {

struct StridedPlace : HeadPlace {
  static constexpr bool kPads = false;
  static constexpr float kMask = 0;
  std::int64_t q_batch, q_head, kv_batch, kv_head;
  int groups;
  const float* bias;   // (groups, heads, queries, keys), then of the head that was selected; null: none

  StridedPlace(const AttentionShape& s, const float* all)
      : HeadPlace{.units = static_cast<int>(s.batch),
                  .heads = static_cast<int>(s.heads),
                  .queries = static_cast<int>(s.queries),
                  .keys = static_cast<int>(s.keys),
                  .dim = static_cast<int>(s.dim),
                  .scale = static_cast<float>(s.scale),
                  .q_step = s.q.token,
                  .kv_step = s.kv.token,
                  .y_step = s.heads * s.dim},
        q_batch(s.q.batch),
        q_head(s.q.head),
        kv_batch(s.kv.batch),
        kv_head(s.kv.head),
        groups(static_cast<int>(s.bias_groups)),
        bias(all),
        biases(all) {}
  __device__ __forceinline__ void select(int b, int h) {
    unit = b, head = h;
    q_at = b * q_batch + h * q_head;
    kv_at = b * kv_batch + h * kv_head;
    y_at = (std::int64_t{b} * queries * heads + h) * dim;
    if (biases) bias = biases + (std::int64_t{b % groups} * heads + h) * queries * keys;
  }
  __device__ __forceinline__ int row(int token) const { return token; }
  __device__ __forceinline__ int code(int token) const { return token; }
  __device__ __forceinline__ bool adds() const { return bias != nullptr; }
  __device__ __forceinline__ float added(int i, int j) const { return bias[std::int64_t{i} * keys + j]; }
  __device__ __forceinline__ static constexpr bool masks() { return false; }
  __device__ __forceinline__ static constexpr int region(int) { return 0; }
  template <int kThreads> __device__ __forceinline__ void load_table(float*, int) {}

 private:
  const float* biases;
};

/// Throws what no kernel takes.
void check(const AttentionShape& s) {
  if (s.dim > kMaxHeadSize)
    throw std::invalid_argument("attention on CUDA: expected heads of at most " + std::to_string(kMaxHeadSize) + " elements, got " +
                                std::to_string(s.dim));
}

template <class T> bool rows_aligned(const T* p, const RowStrides& s) {
  return aligned16(p) && (s.batch | s.token | s.head) % Wide<T>::kSize == 0;
}

/// A block for each head of each batch: 32 keys a warp, whose dk and dv take 128 registers of each lane, and queries in rounds of 32.
template <int kTokens> struct StridedForm {
  static constexpr int kUnitStages = 1, kWarps = kTokens / 32, kKeyTiles = 2, kKeys = kTokens, kStep = 48, kTail = 16;
  static constexpr int kRound = 32, kN = 4, kRounds = 0, D = 64, kTableRows = 1, kPairRows = 1, kPairs = 2;
  static constexpr bool kPairsHeld = false;
  static constexpr int kForwardBlocks = 512 / kTokens, kBackwardBlocks = 256 / kTokens;
};
/// f(form) if one fits.
template <class T, class F> bool with_resident_form(const AttentionShape& s, bool wide, const F& f) {
  if constexpr (std::is_same_v<T, bfloat16>) {
    const std::int64_t tokens = max_of(s.queries, s.keys);
    if (!wide || s.dim > 64 || tokens > 256) return false;
    if (tokens > 128)
      f(StridedForm<256>{});
    else
      f(StridedForm<128>{});
    return true;
  }
  return false;
}

std::int64_t bias_size(const AttentionShape& s) { return s.bias_groups * s.heads * s.queries * s.keys; }

}   // namespace

/// Backward: <P, dP> (batch, heads, queries), parts of dbias.
template <class T> std::size_t attention_workspace_bytes(Cuda, const AttentionShape& s) {
  const std::int64_t parts = s.bias_groups > 0 ? bias_parts(s.batch, s.bias_groups) : 0;
  return sizeof(float) * static_cast<std::size_t>(s.batch * s.heads * s.queries + parts * bias_size(s));
}

template <class T>
void attention_forward(Cuda be, const T* q, const T* k, const T* v, const acc_t<T>* bias, T* y, acc_t<T>* lse, const AttentionShape& s,
                       void*) {
  check(s);
  if (s.batch * s.heads * s.queries == 0) return;
  const bool wide = rows_aligned(q, s.q) && rows_aligned(k, s.kv) && rows_aligned(v, s.kv);
  const StridedPlace place(s, bias);
  const AttentionInputs<T> in{.q = q, .k = k, .v = v, .wide = wide};
  if (with_resident_form<T>(s, wide, [&](auto form) { resident_forward<decltype(form)>(be, place, in, y, lse, place.units); })) return;
  streamed_forward<T>(be, place, in, y, lse);
}

template <class T>
void attention_backward(Cuda be, const T* q, const T* k, const T* v, const acc_t<T>* bias, const acc_t<T>* lse, const T* dy,
                        const AttentionGradients<T>& g, const AttentionShape& s, void* workspace) {
  check(s);
  float* mean = static_cast<float*>(workspace);
  float* partials = mean + s.batch * s.heads * s.queries;
  const bool wide = rows_aligned(q, s.q) && rows_aligned(k, s.kv) && rows_aligned(v, s.kv) &&
                    rows_aligned(dy, {s.queries * s.heads * s.dim, s.heads * s.dim, s.dim});
  const AttentionBackward<T, StridedPlace> a{
      .place = StridedPlace(s, bias), .in = {.q = q, .k = k, .v = v, .wide = wide}, .lse = lse, .dy = dy, .mean = mean};
  const auto resident = [&](auto form) {
    resident_backward<decltype(form)>(be, a.place, a.in, lse, dy,
                                      {.dq = g.dq,
                                       .dk = g.dk,
                                       .dv = g.dv,
                                       .accumulate_q = g.accumulate_q,
                                       .accumulate_k = g.accumulate_k,
                                       .accumulate_v = g.accumulate_v,
                                       .mean = g.dbias ? mean : nullptr},
                                      a.place.units);
  };
  if (s.batch * s.heads > 0 && !(s.queries > 0 && with_resident_form<T>(s, wide, resident)))
    streamed_backward<T>(be, a, g.dq, g.accumulate_q, {g.dk, g.dv, g.accumulate_k, g.accumulate_v});
  if (!g.dbias || bias_size(s) == 0) return;
  const int parts = bias_parts(s.batch, s.bias_groups);
  bias_gradient<T>(be, a, partials, static_cast<int>(s.bias_groups));
  join_tiles(be, partials, {1, parts, bias_size(s)}, StoreSum<float>{g.dbias, g.accumulate_bias});
}

template <class T> void attention_weights(Cuda be, const T* q, const T* k, const acc_t<T>* bias, T* p, const AttentionShape& s, void*) {
  if (s.batch * s.heads * s.queries == 0) return;
  write_weights<T>(be, StridedPlace(s, bias), {.q = q, .k = k, .v = nullptr, .wide = false}, p);
}

#define FOVEA_INSTANTIATE(T)                                                                                                               \
  template std::size_t attention_workspace_bytes<T>(Cuda, const AttentionShape&);                                                          \
  template void attention_forward(Cuda, const T*, const T*, const T*, const float*, T*, float*, const AttentionShape&, void*);             \
  template void attention_backward(Cuda, const T*, const T*, const T*, const float*, const float*, const T*, const AttentionGradients<T>&, \
                                   const AttentionShape&, void*);                                                                          \
  template void attention_weights(Cuda, const T*, const T*, const float*, T*, const AttentionShape&, void*);
FOVEA_INSTANTIATE(float)
FOVEA_INSTANTIATE(bfloat16)
#undef FOVEA_INSTANTIATE

}   // namespace fovea::kernels
