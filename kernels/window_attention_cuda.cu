// window_attention_cuda.cu: a window is a unit whose rows lie where padding, roll and partition put them: address arithmetic, as is the mask.
// Swin's windows, squares of 7, 8 or 12, with heads of up to 32 elements in bfloat16 go to cuda_attention_resident.h: a block takes some
// windows of one head, and sums dS over them in registers before it adds the pairs of each relative position. All others go to
// cuda_attention_streamed.h.
//
// A window of 49 tokens is multiplied as 64 x 56: 120 products of 16 x 8 x 16 forward and 304 backward (64 tokens have 128 and 320). That are
// 24.5 operations a byte of q, k, v and y forward, 35 a byte of all that backward reads and writes: memory is the limit.
#include "kernels/window_attention.h"

#include "kernels/cuda_attention_pairs.h"
#include "kernels/cuda_attention_resident.h"
#include "kernels/cuda_divide.h"

namespace fovea::kernels {
namespace {

/// A code is a token's place on the grid of the table: the place of a pair there is the difference of two.
/// kWindow: windows are squares of that size, and the compiler knows; 0: they are of any form.
template <int kWindow> struct WindowPlace : HeadPlace {
  static constexpr bool kPads = true;
  static constexpr float kMask = kWindowMask;
  int h, w, any_h, any_w, down, roll_h, roll_w;
  FastDivide windows, across;   // by those of an image, and of a row of them
  const float* table;           // (table_rows, heads); or the column of one head, in shared memory
  // Of the window that was selected:
  int top = 0, left = 0;                              // in the rolled image
  bool last_of_column = false, last_of_row = false;   // there pixels from the other edge join

  WindowPlace(const WindowAttentionShape& s, const float* all)
      : HeadPlace{.units = static_cast<int>(s.images * s.windows()),
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
        any_h(static_cast<int>(s.window_h)),
        any_w(static_cast<int>(s.window_w)),
        down(static_cast<int>(s.down())),
        roll_h(static_cast<int>(s.roll_h())),
        roll_w(static_cast<int>(s.roll_w())),
        windows(s.windows()),
        across(s.across()),
        table(all) {}
  __device__ __forceinline__ int window_h() const { return kWindow ? kWindow : any_h; }
  __device__ __forceinline__ int window_w() const { return kWindow ? kWindow : any_w; }
  __device__ __forceinline__ void select(int u, int which) {
    const int image = windows(u), window = u - image * windows.divisor(), y = across(window), x = window - y * across.divisor();
    unit = u, head = which;
    q_at = kv_at = std::int64_t{image} * h * w * q_step + which * dim;
    y_at = std::int64_t{image} * h * w * y_step + which * dim;
    top = y * window_h() + roll_h, left = x * window_w() + roll_w;
    last_of_column = y == down - 1, last_of_row = x == across.divisor() - 1;
  }
  __device__ __forceinline__ int row(int token) const {
    int y = top + token / window_w(), x = left + token % window_w();
    if (y >= down * window_h()) y -= down * window_h();   // around the edge
    if (x >= across.divisor() * window_w()) x -= across.divisor() * window_w();
    return y < h && x < w ? y * w + x : -1;
  }
  __device__ __forceinline__ static constexpr bool adds() { return true; }
  __device__ __forceinline__ int code(int token) const { return token / window_w() * (2 * window_w() - 1) + token % window_w(); }
  __device__ __forceinline__ float added(int i, int j) const {
    const int relative = i - j + (window_h() - 1) * (2 * window_w() - 1) + window_w() - 1;
    return table[kWindow ? relative : relative * heads + head];
  }
  __device__ __forceinline__ bool masks() const { return (roll_h > 0 && last_of_column) || (roll_w > 0 && last_of_row); }
  __device__ __forceinline__ int region(int token) const {
    const int y = token / window_w(), x = token % window_w();
    return 2 * (last_of_column && y >= window_h() - roll_h) + (last_of_row && x >= window_w() - roll_w);
  }
  /// Does the window hold a row or column of padding?
  __device__ __forceinline__ bool has_padding() const { return top + window_h() > h || left + window_w() > w; }

  // Of squares only:
  template <int kThreads> __device__ __forceinline__ void load_table(float* shared, int which) {
    for (int r = static_cast<int>(threadIdx.x); r < (2 * kWindow - 1) * (2 * kWindow - 1); r += kThreads)
      shared[r] = table[r * heads + which];
    table = shared;
  }
  /// The sum of pair(query, key) over the pairs at the relative position of that row of the table. Threads of neighbouring rows read neighbours.
  template <class Pair> __device__ __forceinline__ float sum_at(int row, const Pair& pair) const {
    const int y = row / (2 * kWindow - 1) - (kWindow - 1), x = row % (2 * kWindow - 1) - (kWindow - 1);
    float sum = 0;
    for (int i = 0; i < kWindow - (y < 0 ? -y : y); ++i) {
      for (int j = 0; j < kWindow - (x < 0 ? -x : x); ++j) {
        const int key_y = y < 0 ? i - y : i, key_x = x < 0 ? kWindow - 1 - j : j;
        sum += pair((key_y + y) * kWindow + key_x + x, key_y * kWindow + key_x);
      }
    }
    return sum;
  }
};

/// A warp for 16 tokens; backward, all queries of a window in one round, or of 12 x 12 in three.
template <int kWindow> struct WindowForm {
  static constexpr bool kSmall = kWindow <= 8;
  static constexpr int kTokens = kWindow * kWindow, kUnitStages = 2, kWarps = (kTokens + 15) / 16, kKeyTiles = 1, kKeys = 16 * kWarps;
  static constexpr int kRound = kSmall ? 64 : 48, kRounds = kKeys / kRound, kN = kSmall ? (kTokens + 7) / 8 : 6;
  static constexpr int kStep = 8 * kN, kTail = kStep, D = 32;
  static constexpr int kTableRows = (2 * kWindow - 1) * (2 * kWindow - 1), kPairRows = kKeys, kPairs = kSmall ? 72 : 152;
  static constexpr bool kPairsHeld = kSmall;
  static constexpr int kForwardBlocks = kSmall ? 4 : 1, kBackwardBlocks = kSmall ? 3 : 1;
};
/// f(window) if its form is for bfloat16 and rows like these.
template <class T, class F> bool with_resident_window(const WindowAttentionShape& s, bool wide, const F& f) {
  if constexpr (std::is_same_v<T, bfloat16>) {
    if (!wide || s.dim > 32 || s.window_h != s.window_w) return false;
    if (s.window_h == 7) return f(std::integral_constant<int, 7>{}), true;
    if (s.window_h == 8) return f(std::integral_constant<int, 8>{}), true;
    if (s.window_h == 12) return f(std::integral_constant<int, 12>{}), true;
  }
  return false;
}
/// Parts of the units: for 1024 blocks or a few more, but of two windows at least, so that the second comes while the first is computed.
int window_parts(const WindowAttentionShape& s) {
  return static_cast<int>(max_of(1, min_of(ceil_div(s.images * s.windows(), 2), ceil_div(1024, s.heads))));
}

/// dtable from dS, partials (parts, heads, tokens, tokens): a warp for each of (table_rows, heads) takes the pairs of tokens at that relative
/// position, part after part.
constexpr int kTableWarps = 8;
__global__ void __launch_bounds__(kTableWarps* kWarp)
    table_gradient_kernel(const float* partials, int parts, float* dtable, WindowAttentionShape s, bool accumulate) {
  // In 32 bits: a division of 64 is a subroutine.
  const int window_h = static_cast<int>(s.window_h), window_w = static_cast<int>(s.window_w), heads = static_cast<int>(s.heads);
  const int at = static_cast<int>(blockIdx.x) * kTableWarps + warp_index(), row = at / heads, head = at - row * heads;
  if (row >= (2 * window_h - 1) * (2 * window_w - 1)) return;   // the whole warp
  const int y = row / (2 * window_w - 1) - (window_h - 1), x = row % (2 * window_w - 1) - (window_w - 1);
  const int pairs_w = window_w - (x < 0 ? -x : x), pairs = (window_h - (y < 0 ? -y : y)) * pairs_w;
  double sum = 0;
  int part = 0, pair = static_cast<int>(threadIdx.x) % kWarp;
  while (true) {
    for (; pair >= pairs; pair -= pairs) ++part;
    if (part >= parts) break;
    const int key_y = pair / pairs_w + (y < 0 ? -y : 0), key_x = pair % pairs_w + (x < 0 ? -x : 0);
    const int i = (key_y + y) * window_w + key_x + x, j = key_y * window_w + key_x;
    sum += double(partials[((std::int64_t{part} * heads + head) * s.tokens() + i) * s.tokens() + j]);
    pair += kWarp;
  }
  sum = warp_all_reduce(sum, Sum{});
  if (threadIdx.x % kWarp == 0) dtable[at] = float((accumulate ? double(dtable[at]) : 0.) + sum);
}

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

/// Backward's memory, in floats. Streamed: <P, dP> (units, heads, tokens), parts of dS, sums over rows of padding. Resident: parts of dtable,
/// and of the sums over rows of padding.
template <class T> struct Workspace {
  std::int64_t mean, bias, padding, resident_table, resident_padding;
  explicit Workspace(const WindowAttentionShape& s) {
    const WindowPlace<0> place(s, nullptr);
    mean = place.units * s.heads * s.tokens();
    bias = bias_parts(place.units, 1) * s.heads * s.tokens() * s.tokens();
    padding = has_padding(s) ? padding_rows<T>(place) * 2 * s.channels() : 0;
    resident_table = window_parts(s) * s.table_rows() * s.heads;
    resident_padding = has_padding(s) ? window_parts(s) * 2 * s.channels() : 0;
  }
  std::int64_t floats() const { return max_of(mean + bias + padding, resident_table + resident_padding); }
};

/// dpadding (3, channels) from sums of dk and dv, partials (parts, 2, channels), if there are any: no output depends on the q of padding.
void finish_padding(Cuda be, const float* partials, std::int64_t parts, std::int64_t channels, float* dpadding, bool accumulate) {
  if (!accumulate)
    check_cuda(cudaMemsetAsync(dpadding, 0, sizeof(float) * static_cast<std::size_t>(partials ? channels : 3 * channels), be.stream),
               "dpadding");
  if (partials) join_tiles(be, partials, {1, parts, 2 * channels}, StoreSum<float>{dpadding + channels, accumulate});
}

}   // namespace

template <class T> std::size_t window_attention_workspace_bytes(Cuda, const WindowAttentionShape& s) {
  return sizeof(float) * static_cast<std::size_t>(Workspace<T>(s).floats());
}

template <class T>
void window_attention_forward(Cuda be, const T* qkv, const T* padding, const acc_t<T>* table, T* y, acc_t<T>* lse,
                              const WindowAttentionShape& s, void*) {
  check(s);
  if (s.images * s.windows() * s.heads == 0) return;
  const AttentionInputs<T> in = inputs(qkv, padding, s);
  if (with_resident_window<T>(s, in.wide, [&](auto window) {
        constexpr int kWindow = decltype(window)::value;
        resident_forward<WindowForm<kWindow>>(be, WindowPlace<kWindow>(s, table), in, y, lse, window_parts(s));
      }))
    return;
  streamed_forward<T>(be, WindowPlace<0>(s, table), in, y, lse);
}

template <class T>
void window_attention_backward(Cuda be, const T* qkv, const T* padding, const acc_t<T>* table, const acc_t<T>* lse, const T* dy,
                               const WindowAttentionGradients<T>& g, const WindowAttentionShape& s, void* workspace) {
  check(s);
  const std::int64_t c = s.channels(), units = s.images * s.windows();
  if (c == 0) return;
  const Workspace<T> w(s);
  float* const memory = static_cast<float*>(workspace);
  AttentionInputs<T> in = inputs(qkv, padding, s);
  in.wide = in.wide && aligned16(dy);
  T *dk = g.dqkv ? g.dqkv + c : nullptr, *dv = g.dqkv ? g.dqkv + 2 * c : nullptr;
  const bool pads = g.dpadding && has_padding(s) && units > 0;
  if (units > 0 && with_resident_window<T>(s, in.wide, [&](auto window) {
        constexpr int kWindow = decltype(window)::value;
        float *sums = memory, *padding_sums = sums + w.resident_table;
        resident_backward<WindowForm<kWindow>>(be, WindowPlace<kWindow>(s, table), in, lse, dy,
                                               {.dq = g.dqkv,
                                                .dk = dk,
                                                .dv = dv,
                                                .accumulate_q = g.accumulate_qkv,
                                                .accumulate_k = g.accumulate_qkv,
                                                .accumulate_v = g.accumulate_qkv,
                                                .table = g.dtable ? sums : nullptr,
                                                .padding = pads ? padding_sums : nullptr},
                                               window_parts(s));
        if (g.dtable) join_tiles(be, sums, {1, window_parts(s), s.table_rows() * s.heads}, StoreSum<float>{g.dtable, g.accumulate_table});
        if (g.dpadding) finish_padding(be, pads ? padding_sums : nullptr, window_parts(s), c, g.dpadding, g.accumulate_padding);
      }))
    return;

  float *mean = memory, *dbias = mean + w.mean, *padding_sums = dbias + w.bias;
  const AttentionBackward<T, WindowPlace<0>> a{
      .place = WindowPlace<0>(s, table), .in = in, .lse = lse, .dy = dy, .mean = mean, .padding = pads ? padding_sums : nullptr};
  if (units > 0) streamed_backward<T>(be, a, g.dqkv, g.accumulate_qkv, {dk, dv, g.accumulate_qkv, g.accumulate_qkv});
  if (g.dtable) {
    bias_gradient<T>(be, a, dbias, 1);
    launch(table_gradient_kernel,
           {.grid = blocks(s.table_rows() * s.heads, kTableWarps), .block = kTableWarps * kWarp, .stream = be.stream}, dbias,
           bias_parts(units, 1), g.dtable, s, g.accumulate_table);
  }
  if (g.dpadding) finish_padding(be, pads ? padding_sums : nullptr, padding_rows<T>(a.place), c, g.dpadding, g.accumulate_padding);
}

template <class T>
void window_attention_weights(Cuda be, const T* qkv, const T* padding, const acc_t<T>* table, T* p, const WindowAttentionShape& s, void*) {
  const WindowPlace<0> place(s, table);
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
