// window_attention_cpu.cpp: a window is a gather of rows. Before the heads start, what depends on the shape alone is written down once: the
// pixel and region of every token of every window, and the bias matrix of every head from its table. The work is in cpu/attention.h.
#include "kernels/window_attention.h"

#include "kernels/cpu/attention.h"
#include "kernels/cpu/isa.h"

namespace fovea::kernels {

template <class T> struct WindowAttentionFunctions {
  void (*forward)(const T*, const T*, const float*, T*, float*, const WindowAttentionShape&, void*);
  void (*backward)(const T*, const T*, const float*, const float*, const T*, const WindowAttentionGradients<T>&,
                   const WindowAttentionShape&, void*);
  void (*weights)(const T*, const T*, const float*, T*, const WindowAttentionShape&, void*);
};
struct WindowAttentionTable {
  std::size_t (*workspace_bytes)(const WindowAttentionShape&);
  WindowAttentionFunctions<float> f32;
  WindowAttentionFunctions<bfloat16> bf16;
};
FOVEA_ISA_TABLES(WindowAttentionTable, window_attention_table)

namespace FOVEA_ISA {
namespace {

struct Token {
  std::int64_t pixel, region;
};

struct Windows {
  const WindowAttentionShape& shape;
  const Token* tokens;   // (windows, tokens)

  /// Queries are the pixels of the window, keys its tokens, padding among them: nobody asks for the output of padding.
  std::int64_t gather(std::int64_t b, Scratch& s) const {
    const std::int64_t windows = shape.windows(), window = b % windows, n = shape.tokens(), c = shape.channels();
    const std::int64_t image = b / windows * shape.h * shape.w;
    const Token* token = tokens + window * n;
    const bool masked = shape.masked(window);
    std::int64_t queries = 0;
    for (std::int64_t t = 0; t < n; ++t) {
      const std::int64_t pixel = image + token[t].pixel;
      s.kv_at[t] = token[t].pixel < 0 ? -1 : pixel * 3 * c;
      if (token[t].pixel < 0) continue;
      s.q_at[queries] = pixel * 3 * c;
      s.y_at[queries] = pixel * c;
      s.index[queries] = t;
      s.mask[queries++] = masked ? s.masks + token[t].region * s.ld_keys : s.no_mask;
    }
    for (std::int64_t region = 0; masked && region < 4; ++region)
      for (std::int64_t t = 0; t < s.ld_keys; ++t)
        s.masks[region * s.ld_keys + t] = t >= n ? -kInfinity : token[t].region == region ? 0.f : kWindowMask;
    return queries;
  }
};

FOVEA_INLINE std::int64_t parts(const WindowAttentionShape& s) { return batch_parts(s.images * s.windows(), 1, true); }
FOVEA_INLINE std::int64_t matrix(const WindowAttentionShape& s) { return s.tokens() * scratch_row(s.tokens()); }

/// All of a call's memory: one for counting, one for use.
struct Layout {
  Token* tokens;
  float *bias, *dbias, *dk_pad, *dv_pad;   // (heads, tokens, row); (parts, ...) of it; (parts, heads, dim) each
  double* table;                           // (heads, table_rows)
  char* scratch;

  Layout(Pieces& from, const WindowAttentionShape& s)
      : tokens(from.take<Token>(s.windows() * s.tokens())),
        bias(from.take<float>(s.heads * matrix(s))),
        dbias(from.take<float>(parts(s) * s.heads * matrix(s))),
        dk_pad(from.take<float>(round_up(parts(s) * s.channels(), 16) + 16)),
        dv_pad(from.take<float>(round_up(parts(s) * s.channels(), 16) + 16)),
        table(from.take<double>(s.heads * s.table_rows())),
        scratch(from.take<char>(threads() * Scratch::bytes(s.tokens(), s.tokens(), s.dim))) {}
};

std::size_t workspace_bytes(const WindowAttentionShape& s) {
  Pieces count{0};
  const Layout layout(count, s);
  return std::size_t(count.at);
}

template <class T> struct Call {
  Layout layout;
  Heads<T> heads;

  Call(const T* qkv, const T* padding, const float* table, const WindowAttentionShape& s, Pieces memory)
      : layout(memory, s),
        heads{.batch = s.images * s.windows(),
              .heads = s.heads,
              .queries = s.tokens(),
              .keys = s.tokens(),
              .dim = s.dim,
              .q_head = s.dim,
              .kv_head = s.dim,
              .scale = float(s.scale),
              .q = qkv,
              .k = qkv + s.channels(),
              .v = qkv + 2 * s.channels(),
              .k_padding = padding + s.channels(),
              .v_padding = padding + 2 * s.channels(),
              .bias = layout.bias} {
    const std::int64_t n = s.tokens(), row = heads.row();
    parallel_for(s.windows() + n, [&](std::int64_t task) {
      if (task < s.windows()) {
        for (std::int64_t t = 0; t < n; ++t) layout.tokens[task * n + t] = {s.pixel(task, t), s.region(task, t)};
        return;
      }
      const std::int64_t i = task - s.windows();   // a query: its row of every head's bias
      for (std::int64_t j = 0; j < row; ++j) {
        const float* from = j < n ? table + s.relative_position(i, j) * s.heads : nullptr;
        for (std::int64_t h = 0; h < s.heads; ++h) layout.bias[(h * n + i) * row + j] = from ? from[h] : 0.f;
      }
    });
  }
};

template <class T>
void forward(const T* qkv, const T* padding, const float* table, T* y, float* lse, const WindowAttentionShape& s, void* workspace) {
  const Call<T> call(qkv, padding, table, s, {reinterpret_cast<std::uintptr_t>(workspace)});
  forward_heads(call.heads, Windows{s, call.layout.tokens}, y, lse, call.layout.scratch);
}

/// The pairs of tokens at one relative position share a number of the table: their gradients are added in order of the pairs.
void reduce_table(const Layout& layout, float* dtable, const WindowAttentionShape& s, bool accumulate) {
  const std::int64_t n = s.tokens(), row = scratch_row(n);
  parallel_for(s.heads, [&](std::int64_t h) {
    double* total = layout.table + h * s.table_rows();
    for (std::int64_t r = 0; r < s.table_rows(); ++r) total[r] = 0;
    for (std::int64_t i = 0; i < n; ++i)
      for (std::int64_t j = 0; j < n; j += 16) {
        float pair[16];
        sum_parts(layout.dbias + (h * n + i) * row + j, parts(s), s.heads * matrix(s)).store(pair);
        for (std::int64_t l = 0; l < min_of(16, n - j); ++l) total[s.relative_position(i, j + l)] += double(pair[l]);
      }
    for (std::int64_t r = 0; r < s.table_rows(); ++r) {
      float& to = dtable[r * s.heads + h];
      to = accumulate ? to + float(total[r]) : float(total[r]);
    }
  });
}

template <class T>
void backward(const T* qkv, const T* padding, const float* table, const float* lse, const T* dy, const WindowAttentionGradients<T>& g,
              const WindowAttentionShape& s, void* workspace) {
  const Call<T> call(qkv, padding, table, s, {reinterpret_cast<std::uintptr_t>(workspace)});
  const Layout& layout = call.layout;
  const std::int64_t channels = s.channels();
  const HeadGradients<T> gradients{.dq = g.dqkv,
                                   .dk = g.dqkv ? g.dqkv + channels : nullptr,
                                   .dv = g.dqkv ? g.dqkv + 2 * channels : nullptr,
                                   .accumulate_q = g.accumulate_qkv,
                                   .accumulate_k = g.accumulate_qkv,
                                   .accumulate_v = g.accumulate_qkv,
                                   .parts = parts(s),
                                   .dbias = g.dtable ? layout.dbias : nullptr,
                                   .dk_pad = g.dpadding ? layout.dk_pad : nullptr,
                                   .dv_pad = g.dpadding ? layout.dv_pad : nullptr};
  backward_heads(call.heads, Windows{s, layout.tokens}, lse, dy, gradients, layout.scratch);
  if (g.dtable) reduce_table(layout, g.dtable, s, g.accumulate_table);
  if (!g.dpadding) return;
  if (!g.accumulate_padding) zero_floats(g.dpadding, channels);   // no output depends on the q of padding
  join_parts(layout.dk_pad, parts(s), channels, g.dpadding + channels, channels, g.accumulate_padding);
  join_parts(layout.dv_pad, parts(s), channels, g.dpadding + 2 * channels, channels, g.accumulate_padding);
}

template <class T> void weights(const T* qkv, const T* padding, const float* table, T* p, const WindowAttentionShape& s, void* workspace) {
  const Call<T> call(qkv, padding, table, s, {reinterpret_cast<std::uintptr_t>(workspace)});
  const std::int64_t n = s.tokens();
  parallel_for(s.images * s.windows() * s.heads * n, [&](std::int64_t row) {   // queries that are padding stay 0
    for (std::int64_t j = 0; j < n; ++j) p[row * n + j] = T(0.f);
  });
  weights_of_heads(call.heads, Windows{s, call.layout.tokens}, call.layout.scratch,
                   [&](std::int64_t b, std::int64_t h, std::int64_t i, const float* row, float factor) {
                     store_row(row, p + ((b * s.heads + h) * n + i) * n, n, factor, false);
                   });
}

}   // namespace

const WindowAttentionTable window_attention_table{
    workspace_bytes, {forward<float>, backward<float>, weights<float>}, {forward<bfloat16>, backward<bfloat16>, weights<bfloat16>}};

}   // namespace FOVEA_ISA

#ifdef FOVEA_BASELINE
template <class T> std::size_t window_attention_workspace_bytes(Cpu, const WindowAttentionShape& s) {
  return window_attention_table().workspace_bytes(s);
}
template <class T>
void window_attention_forward(Cpu, const T* qkv, const T* padding, const acc_t<T>* table, T* y, acc_t<T>* lse,
                              const WindowAttentionShape& s, void* workspace) {
  for_type<T>(window_attention_table()).forward(qkv, padding, table, y, lse, s, workspace);
}
template <class T>
void window_attention_backward(Cpu, const T* qkv, const T* padding, const acc_t<T>* table, const acc_t<T>* lse, const T* dy,
                               const WindowAttentionGradients<T>& g, const WindowAttentionShape& s, void* workspace) {
  for_type<T>(window_attention_table()).backward(qkv, padding, table, lse, dy, g, s, workspace);
}
template <class T>
void window_attention_weights(Cpu, const T* qkv, const T* padding, const acc_t<T>* table, T* p, const WindowAttentionShape& s,
                              void* workspace) {
  for_type<T>(window_attention_table()).weights(qkv, padding, table, p, s, workspace);
}

#define FOVEA_INSTANTIATE(T)                                                                                                     \
  template std::size_t window_attention_workspace_bytes<T>(Cpu, const WindowAttentionShape&);                                    \
  template void window_attention_forward(Cpu, const T*, const T*, const float*, T*, float*, const WindowAttentionShape&, void*); \
  template void window_attention_backward(Cpu, const T*, const T*, const float*, const float*, const T*,                         \
                                          const WindowAttentionGradients<T>&, const WindowAttentionShape&, void*);               \
  template void window_attention_weights(Cpu, const T*, const T*, const float*, T*, const WindowAttentionShape&, void*);
FOVEA_INSTANTIATE(float)
FOVEA_INSTANTIATE(bfloat16)
#undef FOVEA_INSTANTIATE
#endif

}   // namespace fovea::kernels
