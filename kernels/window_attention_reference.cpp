// window_attention_reference.cpp: one head of one window after the other. Workspace, in double: P and dS of a head, the sums of dtable and
// dpadding, and a row of zeros.
#include <algorithm>

#include "kernels/attention_reference.h"
#include "kernels/window_attention.h"

namespace fovea::kernels {
namespace {

template <class T> struct Head {
  const T *qkv, *padding;   // of this image; both begin at q of this head
  const acc_t<T>* table;    // begins at this head
  const WindowAttentionShape& s;
  std::int64_t window, queries, keys, dim;
  double scale;

  Head(const T* qkv_, const T* padding_, const acc_t<T>* table_, const WindowAttentionShape& shape, std::int64_t image, std::int64_t w,
       std::int64_t head)
      : qkv(qkv_ + image * shape.h * shape.w * 3 * shape.channels() + head * shape.dim),
        padding(padding_ + head * shape.dim),
        table(table_ + head),
        s(shape),
        window(w),
        queries(s.tokens()),
        keys(s.tokens()),
        dim(s.dim),
        scale(s.scale) {}
  const T* row(std::int64_t token) const {
    const std::int64_t pixel = s.pixel(window, token);
    return pixel < 0 ? padding : qkv + pixel * 3 * s.channels();
  }
  const T* q(std::int64_t i) const { return row(i); }
  const T* k(std::int64_t j) const { return row(j) + s.channels(); }
  const T* v(std::int64_t j) const { return row(j) + 2 * s.channels(); }
  double added(std::int64_t i, std::int64_t j) const {
    const double mask = s.region(window, i) == s.region(window, j) ? 0. : double(kWindowMask);
    return double(table[s.relative_position(i, j) * s.heads]) + mask;
  }
};

/// f(image, window, head) for all
template <class F> void for_each_head(const WindowAttentionShape& s, F f) {
  for (std::int64_t image = 0; image < s.images; ++image)
    for (std::int64_t window = 0; window < s.windows(); ++window)
      for (std::int64_t head = 0; head < s.heads; ++head) f(image, window, head);
}

template <class T> void put(T* to, double value, bool accumulate) { *to = T(accumulate ? double(*to) + value : value); }

}   // namespace

template <class T> std::size_t window_attention_workspace_bytes(Reference, const WindowAttentionShape& s) {
  return sizeof(double) * std::size_t((2 * s.tokens() + 1) * s.tokens() + s.table_rows() * s.heads + 3 * s.channels() + s.dim);
}

template <class T>
void window_attention_forward(Reference, const T* qkv, const T* padding, const acc_t<T>* table, T* y, acc_t<T>* lse,
                              const WindowAttentionShape& s, void* workspace) {
  for_each_head(s, [&](std::int64_t image, std::int64_t window, std::int64_t head) {
    head_forward(
        Head<T>(qkv, padding, table, s, image, window, head), static_cast<double*>(workspace),
        [&](std::int64_t i, std::int64_t c, double value) {
          const std::int64_t pixel = s.pixel(window, i);   // padding has no place in y
          if (pixel >= 0) y[(image * s.h * s.w + pixel) * s.channels() + head * s.dim + c] = T(value);
        },
        [&](std::int64_t i, double value) { lse[((image * s.windows() + window) * s.heads + head) * s.tokens() + i] = acc_t<T>(value); });
  });
}

template <class T>
void window_attention_backward(Reference, const T* qkv, const T* padding, const acc_t<T>* table, const acc_t<T>* lse, const T* dy,
                               const WindowAttentionGradients<T>& g, const WindowAttentionShape& s, void* workspace) {
  const std::int64_t pairs = s.tokens() * s.tokens(), table_size = s.table_rows() * s.heads, channels = s.channels();
  double *p = static_cast<double*>(workspace), *ds = p + pairs, *table_sum = ds + pairs, *padding_sum = table_sum + table_size,
         *end = padding_sum + 3 * channels;
  T* zeros = reinterpret_cast<T*>(end);   // (dim): dL/dy of padding
  std::fill(table_sum, end, 0.);
  std::fill(zeros, zeros + s.dim, T(0));
  for_each_head(s, [&](std::int64_t image, std::int64_t window, std::int64_t head) {
    const acc_t<T>* head_lse = lse + ((image * s.windows() + window) * s.heads + head) * s.tokens();
    const auto add = [&](std::int64_t part, std::int64_t token, std::int64_t c, double d) {
      const std::int64_t pixel = s.pixel(window, token), at = part * channels + head * s.dim + c;
      if (pixel < 0)
        padding_sum[at] += d;
      else if (g.dqkv)
        put(g.dqkv + (image * s.h * s.w + pixel) * 3 * channels + at, d, g.accumulate_qkv);
    };
    head_backward(
        Head<T>(qkv, padding, table, s, image, window, head), p, ds, [&](std::int64_t i) { return double(head_lse[i]); },
        [&](std::int64_t i) {
          const std::int64_t pixel = s.pixel(window, i);
          return pixel < 0 ? static_cast<const T*>(zeros) : dy + (image * s.h * s.w + pixel) * channels + head * s.dim;
        },
        [&](std::int64_t i, std::int64_t c, double d) { add(0, i, c, d); },
        [&](std::int64_t j, std::int64_t c, double d) { add(1, j, c, d); },
        [&](std::int64_t j, std::int64_t c, double d) { add(2, j, c, d); },
        [&](std::int64_t i, std::int64_t j, double d) { table_sum[s.relative_position(i, j) * s.heads + head] += d; });
  });
  if (g.dtable)
    for (std::int64_t i = 0; i < table_size; ++i) put(g.dtable + i, table_sum[i], g.accumulate_table);
  if (g.dpadding)
    for (std::int64_t i = 0; i < 3 * channels; ++i) put(g.dpadding + i, padding_sum[i], g.accumulate_padding);
}

template <class T>
void window_attention_weights(Reference, const T* qkv, const T* padding, const acc_t<T>* table, T* p, const WindowAttentionShape& s,
                              void* workspace) {
  double* row = static_cast<double*>(workspace);
  for_each_head(s, [&](std::int64_t image, std::int64_t window, std::int64_t head) {
    for (std::int64_t i = 0; i < s.tokens(); ++i, p += s.tokens()) {
      softmax_row(Head<T>(qkv, padding, table, s, image, window, head), i, row);
      for (std::int64_t j = 0; j < s.tokens(); ++j) p[j] = T(s.pixel(window, i) < 0 ? 0. : row[j]);
    }
  });
}

#define FOVEA_INSTANTIATE(T)                                                                                                               \
  template std::size_t window_attention_workspace_bytes<T>(Reference, const WindowAttentionShape&);                                        \
  template void window_attention_forward(Reference, const T*, const T*, const T*, T*, T*, const WindowAttentionShape&, void*);             \
  template void window_attention_backward(Reference, const T*, const T*, const T*, const T*, const T*, const WindowAttentionGradients<T>&, \
                                          const WindowAttentionShape&, void*);                                                             \
  template void window_attention_weights(Reference, const T*, const T*, const T*, T*, const WindowAttentionShape&, void*);
FOVEA_INSTANTIATE(float)
FOVEA_INSTANTIATE(double)
#undef FOVEA_INSTANTIATE

}   // namespace fovea::kernels
