#include "autograd/linear.h"

#include <span>
#include <vector>

#include "autograd/helpers.h"
#include "autograd/multiply_adds.h"
#include "kernels/gemm.h"
#include "kernels/reduce.h"

namespace fovea {

Variable linear(const Variable& x, const Variable& w, const Variable& b) {
  require(x.rank() >= 1, "linear: expected x of shape (..., in), got ", x.shape());
  require(w.rank() == 2 && w.dim(1) == x.dim(-1), "linear: expected w of shape (out, ", x.dim(-1), "), got ", w.shape());
  const std::int64_t in = x.dim(-1), out = w.dim(0);
  std::vector<std::int64_t> extents(x.shape().dims().begin(), x.shape().dims().end());
  extents.back() = out;
  const Shape to{std::span<const std::int64_t>(extents)};
  std::int64_t rows = 1;   // all axes but the last are one: rows are adjacent
  for (int i = 0; i + 1 < x.rank(); ++i) rows *= x.dim(i);
  if (b.defined()) detail::require_channels("linear", "b", b.shape(), b.dtype(), out, x.dtype());
  const Tensor weight = detail::parameter_as("linear", w, x.value());
  Tensor y = Tensor::empty(to, x.dtype(), x.device());
  detail::count_multiply_adds(rows * in * out);
  on_backend("linear", y, [&]<class T>(auto be) {   // y (rows, out) = x (rows, in) w^T + b
    const kernels::GemmShape s{.m = rows, .n = out, .k = in, .transpose_b = true};
    const Workspace workspace(be, kernels::gemm_workspace_bytes<T>(be, s));
    const kernels::Epilogue<T> bias{.shift = b.defined() ? b.value().data<kernels::acc_t<T>>() : nullptr};
    kernels::gemm<T, T>(be, x.value().data<T>(), weight.data<T>(), y.data<T>(), s, bias, workspace.data());
  });
  return record("linear", y, {x, w, b}, [x = Saved(x), weight, rows, in, out](Tensor dy, Grads& g) {
    on_backend("linear", dy, [&]<class T>(auto be) {
      using A = kernels::acc_t<T>;
      const T* grad = dy.data<T>();
      if (g.needs(0)) {   // dx (rows, in) = dy (rows, out) w (out, in)
        Tensor dx = g.target(0);
        const kernels::GemmShape s{.m = rows, .n = in, .k = out};
        const Workspace workspace(be, kernels::gemm_workspace_bytes<T>(be, s));
        kernels::gemm<T, T>(be, grad, weight.data<T>(), dx.data<T>(), s, {.accumulate = g.accumulate(0)}, workspace.data());
      }
      if (g.needs(1)) {   // dw (out, in) = dy^T (out, rows) x (rows, in)
        Tensor dw = g.target(1);
        const Tensor input = x.tensor();
        const kernels::GemmShape s{.m = out, .n = in, .k = rows, .transpose_a = true};
        const Workspace workspace(be, kernels::gemm_workspace_bytes<T>(be, s));
        kernels::gemm<T, A>(be, grad, input.data<T>(), dw.data<A>(), s, {.accumulate = g.accumulate(1)}, workspace.data());
      }
      if (g.needs(2)) {   // db (out) = sum over rows of dy
        Tensor db = g.target(2);
        const kernels::RowShape s{.rows = rows, .cols = out};
        const Workspace workspace(be, kernels::reduce_workspace_bytes<T>(be, s));
        kernels::sum_rows(be, grad, A(1), db.data<A>(), s, g.accumulate(2), workspace.data());
      }
    });
  });
}

}   // namespace fovea
