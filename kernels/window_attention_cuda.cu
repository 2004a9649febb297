// window_attention_cuda.cu: a window is a unit whose rows lie where padding, roll and partition put them: address arithmetic, as is the mask.
#include "kernels/window_attention.h"

#include "kernels/cuda_attention_pairs.h"

namespace fovea::kernels {
namespace {

/// A code is 4 times a token's place in a row of the table, plus its region: the place of a pair is the difference of two.
struct WindowPlace : HeadPlace {
  static constexpr bool kPads = true;
  int h, w, window_h, window_w, down, across, roll_h, roll_w;
  const float* table;   // (table_rows, heads)
  // Of the window that was selected:
  int top = 0, left = 0;                              // in the rolled image
  bool last_of_column = false, last_of_row = false;   // there pixels from the other edge join

  WindowPlace(const WindowAttentionShape& s, const float* all)
      : HeadPlace{.units = s.images * s.windows(),
                  .heads = static_cast<int>(s.heads),
                  .queries = static_cast<int>(s.tokens()),
                  .keys = static_cast<int>(s.tokens()),
                  .dim = static_cast<int>(s.dim),
                  .scale = static_cast<float>(s.scale),
                  .q_step = 3 * s.channels(),
                  .kv_step = 3 * s.channels(),
                  .y_step = s.channels()},
        h(static_cast<int>(s.h)),
        w(static_cast<int>(s.w)),
        window_h(static_cast<int>(s.window_h)),
        window_w(static_cast<int>(s.window_w)),
        down(static_cast<int>(s.down())),
        across(static_cast<int>(s.across())),
        roll_h(static_cast<int>(s.roll_h())),
        roll_w(static_cast<int>(s.roll_w())),
        table(all) {}
  __device__ __forceinline__ void select(std::int64_t u, int which) {
    const std::int64_t image = u / (down * across);
    const int window = static_cast<int>(u - image * (down * across)), y = window / across, x = window - y * across;
    unit = u, head = which;
    q_at = kv_at = image * h * w * q_step + which * dim;
    y_at = image * h * w * y_step + which * dim;
    top = y * window_h + roll_h, left = x * window_w + roll_w;
    last_of_column = y == down - 1, last_of_row = x == across - 1;
  }
  __device__ __forceinline__ int row(int token) const {
    int y = top + token / window_w, x = left + token % window_w;
    if (y >= down * window_h) y -= down * window_h;   // around the edge
    if (x >= across * window_w) x -= across * window_w;
    return y < h && x < w ? y * w + x : -1;
  }
  __device__ __forceinline__ int code(int token) const {
    const int y = token / window_w, x = token % window_w;
    const int region = 2 * (last_of_column && y >= window_h - roll_h) + (last_of_row && x >= window_w - roll_w);
    return 4 * (y * (2 * window_w - 1) + x) + region;
  }
  __device__ __forceinline__ float added(int i, int j) const {
    const int relative = i / 4 - j / 4 + (window_h - 1) * (2 * window_w - 1) + window_w - 1;
    return table[std::int64_t{relative} * heads + head] + ((i ^ j) & 3 ? kWindowMask : 0.f);
  }
};

/// dtable from dS, partials (parts, heads, tokens, tokens): a warp for each of (table_rows, heads) takes the pairs of tokens at that relative
/// position, part after part.
constexpr int kTableWarps = 8;
__global__ void __launch_bounds__(kTableWarps* kWarp)
    table_gradient_kernel(const float* partials, int parts, float* dtable, WindowAttentionShape s, bool accumulate) {
  const std::int64_t at = blockIdx.x * std::int64_t{kTableWarps} + warp_index(), row = at / s.heads, head = at - row * s.heads;
  if (row >= s.table_rows()) return;   // the whole warp
  const std::int64_t y = row / (2 * s.window_w - 1) - (s.window_h - 1), x = row % (2 * s.window_w - 1) - (s.window_w - 1);
  const std::int64_t pairs_h = s.window_h - (y < 0 ? -y : y), pairs_w = s.window_w - (x < 0 ? -x : x), pairs = pairs_h * pairs_w;
  double sum = 0;
  for (std::int64_t n = static_cast<int>(threadIdx.x) % kWarp; n < parts * pairs; n += kWarp) {
    const std::int64_t part = n / pairs, pair = n - part * pairs;
    const std::int64_t key_y = pair / pairs_w + max_of(0, -y), key_x = pair % pairs_w + max_of(0, -x);
    const std::int64_t i = (key_y + y) * s.window_w + key_x + x, j = key_y * s.window_w + key_x;
    sum += double(partials[((part * s.heads + head) * s.tokens() + i) * s.tokens() + j]);
  }
  sum = warp_all_reduce(sum, Sum{});
  if (threadIdx.x % kWarp == 0) dtable[at] = float((accumulate ? double(dtable[at]) : 0.) + sum);
}

/// dpadding (3, channels) from sums of dk and dv (rows, 2, channels): no output depends on the q of padding.
struct FinishPadding {
  float* dpadding;
  std::int64_t channels;
  bool accumulate;
  __device__ void operator()(std::int64_t c, double sum) const {
    float& to = dpadding[channels + c];
    to = float((accumulate ? double(to) : 0.) + sum);
  }
};

void check(const WindowAttentionShape& s) {
  if (s.dim > kMaxHeadSize)
    throw std::invalid_argument("window attention on CUDA: expected heads of at most " + std::to_string(kMaxHeadSize) + " elements, got " +
                                std::to_string(s.dim));
}
bool has_padding(const WindowAttentionShape& s) { return s.h % s.window_h != 0 || s.w % s.window_w != 0; }

template <class T> AttentionInputs<T> inputs(const T* qkv, const T* padding, const WindowAttentionShape& s) {
  const std::int64_t c = s.channels();
  return {.q = qkv,
          .k = qkv + c,
          .v = qkv + 2 * c,
          .k_padding = padding + c,
          .v_padding = padding + 2 * c,
          .wide = s.dim % Wide<T>::kSize == 0 && aligned16(qkv) && aligned16(padding)};
}

/// Backward's memory, in floats: <P, dP> (units, heads, tokens); parts of dS; sums over rows of padding.
template <class T> struct Workspace {
  std::int64_t mean, bias, padding;
  int parts;
  explicit Workspace(const WindowAttentionShape& s) {
    const WindowPlace place(s, nullptr);
    parts = bias_parts(place.units, 1);
    mean = place.units * s.heads * s.tokens();
    bias = parts * s.heads * s.tokens() * s.tokens();
    padding = has_padding(s) ? padding_rows<T>(place) * 2 * s.channels() : 0;
  }
};

}   // namespace

template <class T> std::size_t window_attention_workspace_bytes(Cuda, const WindowAttentionShape& s) {
  const Workspace<T> w(s);
  return sizeof(float) * static_cast<std::size_t>(w.mean + w.bias + w.padding);
}

template <class T>
void window_attention_forward(Cuda be, const T* qkv, const T* padding, const acc_t<T>* table, T* y, acc_t<T>* lse,
                              const WindowAttentionShape& s, void*) {
  check(s);
  const WindowPlace place(s, table);
  if (place.units * s.heads == 0) return;
  streamed_forward<T>(be, place, inputs(qkv, padding, s), y, lse);
}

template <class T>
void window_attention_backward(Cuda be, const T* qkv, const T* padding, const acc_t<T>* table, const acc_t<T>* lse, const T* dy,
                               const WindowAttentionGradients<T>& g, const WindowAttentionShape& s, void* workspace) {
  check(s);
  const std::int64_t c = s.channels();
  const Workspace<T> w(s);
  float *mean = static_cast<float*>(workspace), *dbias = mean + w.mean, *sums = dbias + w.bias;
  const bool pads = g.dpadding && w.padding > 0;
  AttentionBackward<T, WindowPlace> a{.place = WindowPlace(s, table), .in = inputs(qkv, padding, s), .lse = lse, .dy = dy, .mean = mean};
  a.in.wide = a.in.wide && aligned16(dy);
  if (pads) a.padding = sums;
  if (a.place.units * s.heads > 0)
    streamed_backward<T>(be, a, g.dqkv, g.accumulate_qkv,
                         {g.dqkv ? g.dqkv + c : nullptr, g.dqkv ? g.dqkv + 2 * c : nullptr, g.accumulate_qkv, g.accumulate_qkv});
  if (g.dtable && s.heads > 0) {
    bias_gradient<T>(be, a, dbias, 1);
    launch(table_gradient_kernel,
           {.grid = blocks(s.table_rows() * s.heads, kTableWarps), .block = kTableWarps * kWarp, .stream = be.stream}, dbias, w.parts,
           g.dtable, s, g.accumulate_table);
  }
  if (!g.dpadding || c == 0) return;
  if (!g.accumulate_padding)
    check_cuda(cudaMemsetAsync(g.dpadding, 0, sizeof(float) * static_cast<std::size_t>(pads ? c : 3 * c), be.stream), "dpadding");
  if (pads) join_tiles(be, sums, {1, padding_rows<T>(a.place), 2 * c}, FinishPadding{g.dpadding, c, g.accumulate_padding});
}

template <class T>
void window_attention_weights(Cuda be, const T* qkv, const T* padding, const acc_t<T>* table, T* p, const WindowAttentionShape& s, void*) {
  const WindowPlace place(s, table);
  if (place.units * s.heads == 0) return;
  write_weights<T>(be, place, inputs(qkv, padding, s), p);
}

#define FOVEA_INSTANTIATE(T)                                                                                                      \
  template std::size_t window_attention_workspace_bytes<T>(Cuda, const WindowAttentionShape&);                                    \
  template void window_attention_forward(Cuda, const T*, const T*, const float*, T*, float*, const WindowAttentionShape&, void*); \
  template void window_attention_backward(Cuda, const T*, const T*, const float*, const float*, const T*,                         \
                                          const WindowAttentionGradients<T>&, const WindowAttentionShape&, void*);                \
  template void window_attention_weights(Cuda, const T*, const T*, const float*, T*, const WindowAttentionShape&, void*);
FOVEA_INSTANTIATE(float)
FOVEA_INSTANTIATE(bfloat16)
#undef FOVEA_INSTANTIATE

}   // namespace fovea::kernels
