#include "autograd/conv.h"

#include "autograd/helpers.h"
#include "autograd/multiply_adds.h"
#include "kernels/reduce.h"

namespace fovea {

using kernels::ConvProduct;

kernels::Conv2dShape conv2d_shape(const char* op, const Shape& x, const Shape& w, const Conv2dConfig& o) {
  require(x.rank() == 4, op, ": expected x of shape (N, H, W, C), got ", x);
  require(w.rank() == 4, op, ": expected w of shape (K, R, S, C / groups), got ", w);
  require(o.stride.h >= 1 && o.stride.w >= 1 && o.dilation.h >= 1 && o.dilation.w >= 1 && o.padding.h >= 0 && o.padding.w >= 0, op,
          ": expected stride and dilation >= 1 and padding >= 0, got stride (", o.stride.h, ", ", o.stride.w, "), dilation (", o.dilation.h,
          ", ", o.dilation.w, "), padding (", o.padding.h, ", ", o.padding.w, ")");
  require(o.groups >= 1 && w[0] % o.groups == 0, op, ": expected groups to divide ", w[0], " output channels, got ", o.groups);
  require(x[3] == w[3] * o.groups, op, ": expected x with ", w[3] * o.groups, " channels, got ", x);
  require(w[1] >= 1 && w[2] >= 1, op, ": expected a kernel of at least 1x1, got w ", w);
  const kernels::Conv2dShape s{.n = x[0],
                               .h = x[1],
                               .w = x[2],
                               .c = x[3],
                               .k = w[0],
                               .r = w[1],
                               .s = w[2],
                               .stride_h = o.stride.h,
                               .stride_w = o.stride.w,
                               .pad_h = o.padding.h,
                               .pad_w = o.padding.w,
                               .dilation_h = o.dilation.h,
                               .dilation_w = o.dilation.w,
                               .groups = o.groups};
  const std::int64_t reach_h = o.dilation.h * (w[1] - 1) + 1, reach_w = o.dilation.w * (w[2] - 1) + 1;
  require(x[1] + 2 * o.padding.h >= reach_h && x[2] + 2 * o.padding.w >= reach_w, op, ": expected x of at least ",
          reach_h - 2 * o.padding.h, "x", reach_w - 2 * o.padding.w, " pixels for this kernel, got ", x);
  return s;
}

Variable conv2d(const Variable& x, const Variable& w, const Variable& b, const Conv2dConfig& o) {
  const kernels::Conv2dShape s = conv2d_shape("conv2d", x.shape(), w.shape(), o);
  if (b.defined()) detail::require_channels("conv2d", "b", b.shape(), b.dtype(), s.k, x.dtype());
  const detail::ConvInput in(x);
  const Tensor weight = detail::parameter_as("conv2d", w, in.data);
  Tensor y = Tensor::empty({s.n, s.p(), s.q(), s.k}, x.dtype(), x.device());
  detail::count_multiply_adds(s.multiply_adds());
  on_backend("conv2d", y, [&]<class T>(auto be) {
    const Workspace workspace(be, kernels::conv2d_workspace_bytes<T>(be, s, ConvProduct::forward));
    const kernels::Epilogue<T> bias{.shift = b.defined() ? b.value().data<kernels::acc_t<T>>() : nullptr};
    kernels::conv2d_forward(be, in.data.data<T>(), weight.data<T>(), y.data<T>(), s, in.prologue<T>(), bias, workspace.data());
  });
  return record("conv2d", y, {x, w, b}, [keep = in.keep, weight, s](Tensor dy, Grads& g) {
    on_backend("conv2d", dy, [&]<class T>(auto be) {
      using A = kernels::acc_t<T>;
      const T* grad = dy.data<T>();
      if (g.needs(1)) {
        const detail::ConvInput source(keep);
        Tensor dw = g.target(1);
        const Workspace workspace(be, kernels::conv2d_workspace_bytes<T>(be, s, ConvProduct::weight_gradient));
        kernels::conv2d_weight_gradient(be, source.data.data<T>(), grad, dw.data<A>(), s, source.prologue<T>(), g.accumulate(1),
                                        workspace.data());
      }
      if (g.needs(2)) {
        Tensor db = g.target(2);
        const kernels::RowShape rows{.rows = s.rows(), .cols = s.k};
        const Workspace workspace(be, kernels::reduce_workspace_bytes<T>(be, rows));
        kernels::sum_rows(be, grad, A(1), db.data<A>(), rows, g.accumulate(2), workspace.data());
      }
      if (g.needs(0)) {
        Tensor dx = g.target(0);
        const Workspace workspace(be, kernels::conv2d_workspace_bytes<T>(be, s, ConvProduct::input_gradient));
        kernels::conv2d_input_gradient(be, grad, weight.data<T>(), dx.data<T>(), s, g.accumulate(0), workspace.data());
      }
    });
  });
}

}   // namespace fovea
