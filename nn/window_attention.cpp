#include "nn/window_attention.h"

#include "nn/init.h"

namespace fovea::nn {
namespace {

const ShiftedWindowAttentionOptions& checked(const ShiftedWindowAttentionOptions& o) {
  require(o.channels >= 1 && o.heads >= 1 && o.channels % o.heads == 0,
          "ShiftedWindowAttention: expected channels that are a multiple of the heads, got ", o.channels, " channels, ", o.heads, " heads");
  require(o.window.h >= 1 && o.window.w >= 1, "ShiftedWindowAttention: expected a window of at least one pixel, got ", o.window.h, " x ",
          o.window.w);
  require(o.shift.h >= 0 && o.shift.h < o.window.h && o.shift.w >= 0 && o.shift.w < o.window.w,
          "ShiftedWindowAttention: expected a shift of 0 to window - 1, got ", o.shift.h, " x ", o.shift.w, " for a window of ", o.window.h,
          " x ", o.window.w);
  return o;
}

}   // namespace

ShiftedWindowAttention::ShiftedWindowAttention(const Options& o)
    : o_(checked(o)),
      relative_position_bias_table_(
          add_parameter("relative_position_bias_table",
                        normal({(2 * o.window.h - 1) * (2 * o.window.w - 1), o.heads}, 0.02, default_generator().next()))),
      qkv_(add<Linear>("qkv", {.in = o.channels, .out = 3 * o.channels, .bias = o.qkv_bias})),
      proj_(add<Linear>("proj", {.in = o.channels, .out = o.channels, .bias = o.proj_bias})) {
  add_buffer("relative_position_index", relative_position_index(o.window));
}

Variable ShiftedWindowAttention::project(const Variable& x) {
  require(x.rank() == 4 && x.dim(3) == o_.channels, "expected x of shape (N, H, W, ", o_.channels, "), got ", x.shape());
  return qkv_(x);
}

Variable ShiftedWindowAttention::qkv_bias() { return o_.qkv_bias ? qkv_.parameters()[1].second->value : Variable(); }

Variable ShiftedWindowAttention::forward(const Variable& x) {
  const WindowAttentionOptions o{.heads = o_.heads, .window = o_.window, .shift = o_.shift};
  return proj_(window_attention(project(x), qkv_bias(), relative_position_bias_table_, o));
}

Tensor ShiftedWindowAttention::attention_weights(const Variable& x) {
  const NoGrad no_grad;
  const WindowAttentionOptions o{.heads = o_.heads, .window = o_.window, .shift = o_.shift};
  return window_attention_weights(project(x).value(), qkv_bias(), relative_position_bias_table_.value(), o);
}

std::string ShiftedWindowAttention::describe() const {
  const auto size = [](Size2 s) { return s.h == s.w ? detail::join(s.h) : detail::join(s.h, " x ", s.w); };
  std::string s = detail::join("ShiftedWindowAttention(", o_.channels, ", heads ", o_.heads, ", window ", size(o_.window));
  if (!(o_.shift == Size2(0))) s += ", shift " + size(o_.shift);
  if (!o_.qkv_bias) s += ", no qkv bias";
  if (!o_.proj_bias) s += ", no proj bias";
  return s + ")";
}

}   // namespace fovea::nn
