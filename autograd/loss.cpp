#include "autograd/loss.h"

#include <type_traits>

#include "autograd/axes.h"
#include "autograd/helpers.h"
#include "kernels/binary_cross_entropy.h"
#include "kernels/cross_entropy.h"
#include "kernels/reduce.h"

namespace fovea {
namespace {

using kernels::RowShape;

/// Weights in the accumulator's dtype on x's device, or undefined. On the host they are checked.
Tensor checked_weights(const char* op, const char* what, const Tensor& weights, std::int64_t count, const Variable& x) {
  if (!weights.defined()) return {};
  require(weights.shape() == Shape{count} && weights.dtype() != DType::i64, op, ": expected floating-point ", what, " of shape ",
          Shape{count}, ", got ", name_of(weights.dtype()), " ", weights.shape());
  const std::vector<double> values = on_host(weights.device()) ? weights.to_vector<double>() : std::vector<double>();
  for (std::size_t i = 0; i < values.size(); ++i)
    require(values[i] >= 0 && values[i] <= 1e30, op, ": expected ", what, " >= 0, got ", values[i], " at ", i);
  return weights.to(acc_dtype(x.dtype())).to(x.device());
}

/// The kernel found something outside [0, 1] in this row: say what.
[[noreturn]] void refuse_row(const char* op, const char* what, const Tensor& targets, std::int64_t row, std::int64_t cols) {
  const std::vector<double> values = targets.to_vector<double>();
  for (std::int64_t j = 0; j < cols; ++j) {
    const double v = values[static_cast<std::size_t>(row * cols + j)];
    require(v >= 0 && v <= 1, op, ": expected ", what, " in [0, 1], got ", v, " in row ", row, ", column ", j);
  }
  throw ShapeError(detail::join(op, ": expected ", what, " in [0, 1], got others in row ", row));
}

/// Can the host look at what a kernel has written? On a GPU it does not wait for it: there a kernel that finds a wrong target gives NaN.
template <class Backend> constexpr bool host_sees = !std::is_same_v<Backend, kernels::Cuda>;

/// factor * the sum of all elements, a scalar.
Tensor reduced(const Tensor& losses, double factor) {
  Tensor loss = Tensor::empty({}, losses.dtype(), losses.device());
  on_backend("loss", losses, [&]<class A>(auto be) {
    const RowShape one{.rows = 1, .cols = losses.elements()};
    const Workspace workspace(be, kernels::reduce_workspace_bytes<A>(be, one));
    kernels::sum_cols(be, losses.data<A>(), static_cast<kernels::acc_t<A>>(factor), loss.data<kernels::acc_t<A>>(), one, false,
                      workspace.data());
  });
  return loss;
}

/// What the tensors of a target are to the kernel.
template <class T>
kernels::CrossEntropyTarget<T> kernel_target(const Tensor& targets, const Tensor& class_weights, double label_smoothing) {
  using A = kernels::acc_t<T>;
  const bool hard = targets.dtype() == DType::i64;
  return {.labels = hard ? targets.data<std::int64_t>() : nullptr,
          .probabilities = hard ? nullptr : targets.data<A>(),
          .class_weights = detail::data_or_null<A>(class_weights),
          .smoothing = static_cast<A>(label_smoothing)};
}

}   // namespace

Variable cross_entropy(const Variable& x, const Tensor& targets, const CrossEntropyOptions& o) {
  constexpr const char* kOp = "cross_entropy";
  require(x.rank() == 2 && x.dim(0) > 0 && x.dim(1) > 0, kOp, ": expected x of shape (rows, classes), got ", x.shape());
  const RowShape s{.rows = x.dim(0), .cols = x.dim(1)};
  const bool hard = targets.dtype() == DType::i64;
  require(targets.shape() == (hard ? Shape{s.rows} : x.shape()), kOp, ": expected int64 labels of shape ", Shape{s.rows},
          " or floating-point probabilities of shape ", x.shape(), ", got ", name_of(targets.dtype()), " ", targets.shape());
  require(o.label_smoothing >= 0 && o.label_smoothing < 1, kOp, ": expected label smoothing in [0, 1), got ", o.label_smoothing);
  const Tensor weights = checked_weights(kOp, "class weights", o.class_weights, s.cols, x);
  const bool weighted_mean = hard && weights.defined() && o.reduction == Reduction::mean;

  double denominator = o.reduction == Reduction::mean ? static_cast<double>(s.rows) : 1;
  if (hard && x.device() != Device::meta && (on_host(targets.device()) || weighted_mean)) {
    const std::vector<std::int64_t> labels = targets.to_vector<std::int64_t>();
    const std::vector<double> w = weighted_mean ? o.class_weights.to_vector<double>() : std::vector<double>();
    double total = 0;
    for (std::int64_t r = 0; r < s.rows; ++r) {
      const std::int64_t label = labels[static_cast<std::size_t>(r)];
      require(label >= 0 && label < s.cols, kOp, ": expected labels in 0..", s.cols - 1, ", got ", label, " in row ", r);
      if (weighted_mean) total += w[static_cast<std::size_t>(label)];
    }
    if (weighted_mean) {
      require(total > 0, kOp, ": expected a label whose class weight is not 0, got none in ", s.rows, " rows: their mean has no weight");
      denominator = total;
    }
  }

  // Labels are the caller's; a GPU gets a copy.
  const Tensor t = !hard ? targets.to(acc_dtype(x.dtype())).to(x.device()) : x.device() == Device::cuda ? targets.to(x.device()) : targets;

  Tensor rows = Tensor::empty({s.rows}, acc_dtype(x.dtype()), x.device());
  Tensor kept = Tensor::empty({s.rows, 3}, rows.dtype(), x.device());
  on_backend(kOp, x.value(), [&]<class T>(auto be) {
    using A = kernels::acc_t<T>;
    kernels::cross_entropy_forward(be, x.value().data<T>(), kernel_target<T>(t, weights, o.label_smoothing), rows.data<A>(), kept.data<A>(),
                                   s);
    if constexpr (host_sees<decltype(be)>)
      for (std::int64_t r = 0; r < s.rows && !hard; ++r)
        if (kept.data<A>()[3 * r + 2] < 0) refuse_row(kOp, "probabilities", t, r, s.cols);
  });
  const bool none = o.reduction == Reduction::none;
  return record(kOp, none ? rows : reduced(rows, 1 / denominator), {x},
                [x = Saved(x), t, weights, kept, s, none, denominator, smoothing = o.label_smoothing](Tensor dy, Grads& g) {
                  const Tensor in = x.tensor();
                  Tensor dx = g.target(0), dloss = dy;
                  if (!none) {   // dy / denominator for every row
                    Tensor share = Tensor::empty_like(dy);
                    on_backend(kOp, dy, [&]<class A>(auto be) {
                      kernels::affine(be, dy.data<A>(), static_cast<kernels::acc_t<A>>(1 / denominator), kernels::acc_t<A>(0),
                                      share.data<A>(), 1, false);
                    });
                    dloss = Tensor::empty({s.rows}, dy.dtype(), dy.device());
                    detail::repeat(share, dloss, false);
                  }
                  on_backend(kOp, in, [&]<class T>(auto be) {
                    using A = kernels::acc_t<T>;
                    kernels::cross_entropy_backward(be, in.data<T>(), kernel_target<T>(t, weights, smoothing), kept.data<A>(),
                                                    dloss.data<A>(), dx.data<T>(), s, g.accumulate(0));
                  });
                });
}

Variable binary_cross_entropy(const Variable& x, const Tensor& targets, const BinaryCrossEntropyOptions& o) {
  constexpr const char* kOp = "binary_cross_entropy";
  require(x.rank() >= 1 && x.shape().elements() > 0, kOp, ": expected x of shape (..., classes), got ", x.shape());
  require(targets.shape() == x.shape() && targets.dtype() != DType::i64, kOp, ": expected floating-point targets of shape ", x.shape(),
          ", got ", name_of(targets.dtype()), " ", targets.shape());
  const RowShape s{.rows = x.shape().elements() / x.dim(-1), .cols = x.dim(-1)};
  const Tensor weights = checked_weights(kOp, "positive weights", o.positive_weights, s.cols, x);
  const Tensor t = targets.to(acc_dtype(x.dtype())).to(x.device());
  const bool none = o.reduction == Reduction::none;

  Tensor rows = Tensor::empty({s.rows}, acc_dtype(x.dtype()), x.device());
  Tensor losses = none ? Tensor::empty(x.shape(), rows.dtype(), x.device()) : Tensor();
  on_backend(kOp, x.value(), [&]<class T>(auto be) {
    using A = kernels::acc_t<T>;
    kernels::binary_cross_entropy_forward(be, x.value().data<T>(), t.data<A>(), detail::data_or_null<A>(weights),
                                          losses.defined() ? losses.data<A>() : nullptr, rows.data<A>(), s);
    if constexpr (host_sees<decltype(be)>)
      for (std::int64_t r = 0; r < s.rows; ++r)
        if (rows.data<A>()[r] < 0) refuse_row(kOp, "targets", t, r, s.cols);
  });
  const double factor = o.reduction == Reduction::mean ? 1 / static_cast<double>(x.shape().elements()) : 1;
  return record(kOp, none ? losses : reduced(rows, factor), {x}, [x = Saved(x), t, weights, s, none, factor](Tensor dy, Grads& g) {
    const Tensor in = x.tensor();
    Tensor dx = g.target(0);
    on_backend(kOp, in, [&]<class T>(auto be) {
      using A = kernels::acc_t<T>;
      kernels::binary_cross_entropy_backward(be, in.data<T>(), t.data<A>(), detail::data_or_null<A>(weights), dy.data<A>(), none,
                                             none ? A(1) : static_cast<A>(factor), dx.data<T>(), s, g.accumulate(0));
    });
  });
}

}   // namespace fovea
