// window_attention.h: self-attention within windows of an image. Liu et al. 2021, "Swin Transformer" (arXiv:2103.14030), section 3.2:
//
//   y = softmax(q k^T / sqrt(d) + B) v      Eq. (4), in every window of h x w pixels and for every head,
//
// B_ij = table[row(i) - row(j) + h - 1, column(i) - column(j) + w - 1, head]: one number for each relative position. Between two such layers
// the windows are shifted by half their size: the image is rolled by (-shift_h, -shift_w) and what the roll brings together from opposite
// edges must not attend to each other (Fig. 4): their scores get -100, as in the authors' and torchvision's code.
//
// An image that the windows do not tile is padded with zeros before the projection to q, k, v. A padded pixel then has the
// projection's bias as q, k and v; it is not masked, so others attend to it, and its gradient reaches that bias.
//
// Padding, roll, partition and their reverses are the address arithmetic of WindowAttentionShape; nothing is copied. Gradients as in
// attention.h, with dtable[row] = the sum of dS_ij over all windows and pairs i, j whose relative position is that row. For M x M tokens a
// window, forward is 2 M^2 h w C multiply-adds an image (the second term of Eq. (2)), backward 5 M^2 h w C.
#pragma once

#include "kernels/attention.h"

namespace fovea::kernels {

struct WindowAttentionShape {
  std::int64_t images, h, w, heads, dim;   // qkv (images, h, w, 3, heads, dim)
  std::int64_t window_h, window_w;         // >= 1
  std::int64_t shift_h = 0, shift_w = 0;   // 0 .. window - 1
  double scale;                            // 1 / sqrt(dim) in the paper

  FOVEA_INLINE std::int64_t channels() const { return heads * dim; }
  FOVEA_INLINE std::int64_t down() const { return (h + window_h - 1) / window_h; }     // windows from top to bottom
  FOVEA_INLINE std::int64_t across() const { return (w + window_w - 1) / window_w; }   // from left to right
  FOVEA_INLINE std::int64_t windows() const { return down() * across(); }              // of an image
  FOVEA_INLINE std::int64_t tokens() const { return window_h * window_w; }             // of a window
  FOVEA_INLINE std::int64_t table_rows() const { return (2 * window_h - 1) * (2 * window_w - 1); }
  /// Of both products, padded tokens included.
  FOVEA_INLINE std::int64_t multiply_adds() const { return 2 * images * windows() * heads * tokens() * tokens() * dim; }
  /// Where one window covers an axis of the padded image, there is nothing to shift.
  FOVEA_INLINE std::int64_t roll_h() const { return down() > 1 ? shift_h : 0; }
  FOVEA_INLINE std::int64_t roll_w() const { return across() > 1 ? shift_w : 0; }

  /// The pixel y * w + x of the image that is `token` of `window`, or -1 for padding.
  FOVEA_INLINE std::int64_t pixel(std::int64_t window, std::int64_t token) const {
    std::int64_t y = window / across() * window_h + token / window_w + roll_h(),
                 x = window % across() * window_w + token % window_w + roll_w();
    if (y >= down() * window_h) y -= down() * window_h;   // around the edge
    if (x >= across() * window_w) x -= across() * window_w;
    return y < h && x < w ? y * w + x : -1;
  }
  /// Tokens of different regions of a window were not neighbours before the roll. 0 .. 3 within a window: only in the last row and column of
  /// windows do pixels from the other edge join.
  FOVEA_INLINE std::int64_t region(std::int64_t window, std::int64_t token) const {
    const bool from_top = window / across() == down() - 1 && token / window_w >= window_h - roll_h();
    const bool from_left = window % across() == across() - 1 && token % window_w >= window_w - roll_w();
    return 2 * from_top + from_left;
  }
  /// Does a mask do anything in this window?
  FOVEA_INLINE bool masked(std::int64_t window) const {
    return (roll_h() > 0 && window / across() == down() - 1) || (roll_w() > 0 && window % across() == across() - 1);
  }
  /// Row of the table for query i and key j: torchvision's relative_position_index.
  FOVEA_INLINE std::int64_t relative_position(std::int64_t i, std::int64_t j) const {
    return (i / window_w - j / window_w + window_h - 1) * (2 * window_w - 1) + i % window_w - j % window_w + window_w - 1;
  }
};
constexpr float kWindowMask = -100.f;   // added to the scores across regions

template <class T> std::size_t window_attention_workspace_bytes(Reference, const WindowAttentionShape& s);
template <class T> std::size_t window_attention_workspace_bytes(Cpu, const WindowAttentionShape& s);   // grows with threads()
template <class T> std::size_t window_attention_workspace_bytes(Cuda, const WindowAttentionShape& s);

/// qkv (images, h, w, 3, heads, dim); padding (3, heads, dim): q, k, v of a padded pixel; table (table_rows, heads);
/// y (images, h, w, heads, dim); lse (images, windows, heads, tokens), defined at tokens that are pixels.
template <class T>
void window_attention_forward(Reference, const T* qkv, const T* padding, const acc_t<T>* table, T* y, acc_t<T>* lse,
                              const WindowAttentionShape& s, void* workspace);
template <class T>
void window_attention_forward(Cpu, const T* qkv, const T* padding, const acc_t<T>* table, T* y, acc_t<T>* lse,
                              const WindowAttentionShape& s, void* workspace);
template <class T>   // Cuda, here and below: dim at most 256
void window_attention_forward(Cuda, const T* qkv, const T* padding, const acc_t<T>* table, T* y, acc_t<T>* lse,
                              const WindowAttentionShape& s, void* workspace);

/// Where gradients go; null: not wanted. They alias none of the inputs.
template <class T> struct WindowAttentionGradients {
  T* dqkv = nullptr;
  acc_t<T>*dpadding = nullptr, *dtable = nullptr;   // Cpu, Cuda: sums over a fixed number of parts of the windows, added in order
  bool accumulate_qkv = false, accumulate_padding = false, accumulate_table = false;
};
template <class T>
void window_attention_backward(Reference, const T* qkv, const T* padding, const acc_t<T>* table, const acc_t<T>* lse, const T* dy,
                               const WindowAttentionGradients<T>& g, const WindowAttentionShape& s, void* workspace);
template <class T>
void window_attention_backward(Cpu, const T* qkv, const T* padding, const acc_t<T>* table, const acc_t<T>* lse, const T* dy,
                               const WindowAttentionGradients<T>& g, const WindowAttentionShape& s, void* workspace);
template <class T>
void window_attention_backward(Cuda, const T* qkv, const T* padding, const acc_t<T>* table, const acc_t<T>* lse, const T* dy,
                               const WindowAttentionGradients<T>& g, const WindowAttentionShape& s, void* workspace);

/// P (images, windows, heads, tokens, tokens), for pictures; rows of queries that are padding are 0.
template <class T>
void window_attention_weights(Reference, const T* qkv, const T* padding, const acc_t<T>* table, T* p, const WindowAttentionShape& s,
                              void* workspace);
template <class T>
void window_attention_weights(Cpu, const T* qkv, const T* padding, const acc_t<T>* table, T* p, const WindowAttentionShape& s,
                              void* workspace);
template <class T>
void window_attention_weights(Cuda, const T* qkv, const T* padding, const acc_t<T>* table, T* p, const WindowAttentionShape& s,
                              void* workspace);

}   // namespace fovea::kernels
