#include "autograd/window_attention.h"

#include <cmath>

#include "autograd/helpers.h"
#include "autograd/multiply_adds.h"
#include "kernels/window_attention.h"

namespace fovea {
namespace {

using kernels::WindowAttentionShape;

WindowAttentionShape window_shape(const Shape& qkv, DType dtype, const Shape& table, DType table_dtype, const WindowAttentionOptions& o) {
  constexpr std::int64_t kLargest = 1 << 10;   // a side; keeps all products far from overflow
  require(qkv.rank() == 4 && qkv.dim(3) % 3 == 0, "window_attention: expected qkv of shape (N, H, W, 3 C), got ", qkv);
  const std::int64_t channels = qkv.dim(3) / 3;
  require(o.heads >= 1 && channels >= 1 && channels % o.heads == 0, "window_attention: expected channels that are a multiple of ", o.heads,
          " heads, got ", channels);
  require(o.window.h >= 1 && o.window.w >= 1 && o.window.h <= kLargest && o.window.w <= kLargest,
          "window_attention: expected a window of 1 to ", kLargest, " pixels a side, got ", o.window.h, " x ", o.window.w);
  require(o.shift.h >= 0 && o.shift.h < o.window.h && o.shift.w >= 0 && o.shift.w < o.window.w,
          "window_attention: expected a shift of 0 to window - 1 for a window of ", o.window.h, " x ", o.window.w, ", got ", o.shift.h,
          " x ", o.shift.w);
  const std::int64_t dim = channels / o.heads;
  const WindowAttentionShape s{.images = qkv.dim(0),
                               .h = qkv.dim(1),
                               .w = qkv.dim(2),
                               .heads = o.heads,
                               .dim = dim,
                               .window_h = o.window.h,
                               .window_w = o.window.w,
                               .shift_h = o.shift.h,
                               .shift_w = o.shift.w,
                               .scale = 1 / std::sqrt(static_cast<double>(dim))};
  const Shape expected{s.table_rows(), s.heads};
  require(table == expected && table_dtype == acc_dtype(dtype), "window_attention: expected a table of shape ", expected, " and ",
          name_of(acc_dtype(dtype)), ", got ", table, " and ", name_of(table_dtype));
  return s;
}

/// q, k and v of a padded pixel, in the dtype of the image.
Tensor padding_of(const Variable& qkv_bias, const Tensor& qkv) {
  const std::int64_t channels = qkv.dim(3);
  if (!qkv_bias.defined()) return Tensor::zeros({channels}, qkv.dtype(), qkv.device());
  detail::require_channels("window_attention", "qkv_bias", qkv_bias.shape(), qkv_bias.dtype(), channels, qkv.dtype());
  return detail::parameter_as("window_attention", qkv_bias, qkv);
}

}   // namespace

Variable window_attention(const Variable& qkv, const Variable& qkv_bias, const Variable& table, const WindowAttentionOptions& o) {
  const WindowAttentionShape s = window_shape(qkv.shape(), qkv.dtype(), table.shape(), table.dtype(), o);
  const Tensor padding = padding_of(qkv_bias, qkv.value()), bias = table.value();
  Tensor y = Tensor::empty({s.images, s.h, s.w, s.channels()}, qkv.dtype(), qkv.device());
  Tensor lse = Tensor::empty({s.images, s.windows(), s.heads, s.tokens()}, acc_dtype(qkv.dtype()), qkv.device());
  detail::count_multiply_adds(s.multiply_adds());
  on_backend("window_attention", qkv.value(), [&]<class T>(auto be) {
    using A = kernels::acc_t<T>;
    const Workspace workspace(be, kernels::window_attention_workspace_bytes<T>(be, s));
    kernels::window_attention_forward(be, qkv.value().data<T>(), padding.data<T>(), bias.data<A>(), y.data<T>(), lse.data<A>(), s,
                                      workspace.data());
  });
  return record("window_attention", y, {qkv, qkv_bias, table}, [in = Saved(qkv), padding, bias, lse, s](Tensor dy, Grads& g) {
    const Tensor x = in.tensor();
    on_backend("window_attention", x, [&]<class T>(auto be) {
      using A = kernels::acc_t<T>;
      const Workspace workspace(be, kernels::window_attention_workspace_bytes<T>(be, s));
      kernels::WindowAttentionGradients<T> to;
      if (g.needs(0)) to.dqkv = g.target(0).data<T>(), to.accumulate_qkv = g.accumulate(0);
      if (g.needs(1)) to.dpadding = g.target(1).data<A>(), to.accumulate_padding = g.accumulate(1);
      if (g.needs(2)) to.dtable = g.target(2).data<A>(), to.accumulate_table = g.accumulate(2);
      kernels::window_attention_backward(be, x.data<T>(), padding.data<T>(), bias.data<A>(), lse.data<A>(), dy.data<T>(), to, s,
                                         workspace.data());
    });
  });
}

Tensor window_attention_weights(const Tensor& qkv, const Variable& qkv_bias, const Tensor& table, const WindowAttentionOptions& o) {
  const WindowAttentionShape s = window_shape(qkv.shape(), qkv.dtype(), table.shape(), table.dtype(), o);
  const Tensor padding = padding_of(qkv_bias, qkv);
  Tensor p = Tensor::empty({s.images, s.windows(), s.heads, s.tokens(), s.tokens()}, qkv.dtype(), qkv.device());
  on_backend("window_attention_weights", qkv, [&]<class T>(auto be) {
    const Workspace workspace(be, kernels::window_attention_workspace_bytes<T>(be, s));
    kernels::window_attention_weights(be, qkv.data<T>(), padding.data<T>(), table.data<kernels::acc_t<T>>(), p.data<T>(), s,
                                      workspace.data());
  });
  return p;
}

Tensor relative_position_index(Size2 window) {
  const WindowAttentionShape s{
      .images = 0, .h = window.h, .w = window.w, .heads = 1, .dim = 1, .window_h = window.h, .window_w = window.w, .scale = 1};
  const std::int64_t n = s.tokens();
  Tensor index = Tensor::empty({n * n}, DType::i64, Device::cpu);
  std::int64_t* to = index.data<std::int64_t>();
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t j = 0; j < n; ++j) *to++ = s.relative_position(i, j);
  return index;
}

}   // namespace fovea
