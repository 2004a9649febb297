#include "autograd/loss.h"

#include "autograd/helpers.h"
#include "kernels/cross_entropy.h"
#include "kernels/reduce.h"

namespace fovea {

Variable cross_entropy(const Variable& x, const Tensor& labels, const CrossEntropyOptions& o) {
  require(x.rank() == 2 && x.dim(0) > 0 && x.dim(1) > 0, "cross_entropy: expected x of shape (rows, classes), got ", x.shape());
  require(labels.shape() == Shape{x.dim(0)} && labels.dtype() == DType::i64, "cross_entropy: expected int64 labels of shape ",
          Shape{x.dim(0)}, ", got ", name_of(labels.dtype()), " ", labels.shape());
  require(o.label_smoothing >= 0 && o.label_smoothing < 1, "cross_entropy: expected label smoothing in [0, 1), got ", o.label_smoothing);
  const kernels::RowShape s{.rows = x.dim(0), .cols = x.dim(1)};
  for (std::int64_t r = 0; r < s.rows; ++r) {
    const std::int64_t label = labels.data<std::int64_t>()[r];
    require(label >= 0 && label < s.cols, "cross_entropy: expected labels in 0..", s.cols - 1, ", got ", label, " in row ", r);
  }
  Tensor rows = Tensor::empty({s.rows}, acc_dtype(x.dtype()), x.device());
  Tensor loss = Tensor::empty({}, rows.dtype(), x.device());
  on_backend("cross_entropy", x.value(), [&]<class T>(auto be) {
    using A = kernels::acc_t<T>;
    kernels::cross_entropy_forward(be, x.value().data<T>(), labels.data<std::int64_t>(), static_cast<A>(o.label_smoothing), rows.data<A>(),
                                   s);
    const kernels::RowShape one{.rows = 1, .cols = s.rows};
    const Workspace workspace(kernels::reduce_workspace_bytes<A>(be, one));
    kernels::sum_cols(be, rows.data<A>(), A(1) / static_cast<A>(s.rows), loss.data<A>(), one, false, workspace.data());
  });
  return record("cross_entropy", loss, {x}, [x = x.value(), labels, s, smoothing = o.label_smoothing](Tensor dy, Grads& g) {
    Tensor dx = g.target(0);
    const Tensor dloss = Tensor::full({s.rows}, dy.item() / static_cast<double>(s.rows), dy.dtype(), dy.device());
    on_backend("cross_entropy", x, [&]<class T>(auto be) {
      using A = kernels::acc_t<T>;
      kernels::cross_entropy_backward(be, x.data<T>(), labels.data<std::int64_t>(), static_cast<A>(smoothing), dloss.data<A>(),
                                      dx.data<T>(), s, g.accumulate(0));
    });
  });
}

Tensor softmax(const Tensor& x) {
  require(x.rank() == 2, "softmax: expected x of shape (rows, classes), got ", x.shape());
  Tensor y = Tensor::empty_like(x);
  on_backend("softmax", x, [&]<class T>(auto be) { kernels::softmax(be, x.data<T>(), y.data<T>(), {.rows = x.dim(0), .cols = x.dim(1)}); });
  return y;
}

}   // namespace fovea
