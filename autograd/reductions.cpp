#include "autograd/reductions.h"

#include <utility>

#include "autograd/activated.h"
#include "autograd/axes.h"

namespace fovea {

using detail::AxisPlan;

namespace {

/// Which axes go, and the shapes that are left.
struct Reduced {
  AxisPlan plan;
  Shape y, keep;           // without the axes; with an extent of 1 for each
  std::int64_t elements;   // of x for each of y
};

Reduced reduced(const Shape& shape, const std::array<bool, Shape::kMaxRank>& gone, bool keepdim) {
  std::vector<std::int64_t> left, kept;
  std::int64_t elements = 1;
  for (int a = 0; a < shape.rank(); ++a) {
    const bool goes = gone[static_cast<std::size_t>(a)];
    if (goes) elements *= shape.dim(a);
    if (!goes || keepdim) left.push_back(goes ? 1 : shape.dim(a));
    kept.push_back(goes ? 1 : shape.dim(a));
  }
  return {AxisPlan(shape, gone), Shape(std::span(left)), Shape(std::span(kept)), elements};
}

Reduced reduced(const char* op, const Variable& x, const Axes& axes, bool keepdim) {
  require(!axes.empty(), op, ": expected at least one axis of ", x.shape());
  std::array<bool, Shape::kMaxRank> gone{};
  for (const int axis : axes) {
    const int a = detail::axis_of(op, axis, x.shape());
    require(!std::exchange(gone[static_cast<std::size_t>(a)], true), op, ": expected each axis once, got axis ", a, " twice");
  }
  return reduced(x.shape(), gone, keepdim);
}

Reduced everything(const Shape& shape) {
  std::array<bool, Shape::kMaxRank> gone{};
  gone.fill(true);
  return reduced(shape, gone, false);
}

/// factor * the sum over the axes, in `dtype`.
Variable scaled_sum(const char* op, const Variable& x, const Reduced& r, double factor, DType dtype) {
  const Tensor y = detail::sum_over(r.plan, x.value(), Tensor(), factor, r.y).to(dtype);
  return record(op, y, {x}, [=, keep = r.keep, x_dtype = x.dtype()](Tensor dy, Grads& g) {
    Tensor share = dy;
    if (factor != 1) {
      share = Tensor::empty_like(dy);
      on_backend(op, dy, [&]<class T>(auto be) {
        using A = kernels::acc_t<T>;
        kernels::affine(be, dy.data<T>(), static_cast<A>(factor), A(0), share.data<T>(), dy.elements(), false);
      });
    }
    Tensor dx = g.target(0);
    detail::repeat(share.to(x_dtype).reshape(keep), dx, g.accumulate(0));
  });
}

/// Lets write(dx, accumulate) write the gradient of input 0, laid out as plan.arrange() lays out x.
template <class Write> void pass_arranged(Grads& g, const AxisPlan& plan, const Tensor& source, const Write& write) {
  if (plan.together) {
    const Tensor dx = g.target(0);
    return write(dx, g.accumulate(0));
  }
  const Tensor dx = Tensor::empty_like(source);
  write(dx, false);
  g.pass(0, plan.restore(dx));
}

void require_elements(const char* op, const Variable& x, const Reduced& r, std::int64_t least) {
  require(r.elements >= least || r.y.elements() == 0, op, ": expected at least ", least, least == 1 ? " element" : " elements",
          " to reduce, got ", r.elements, " of ", x.shape());
}

}   // namespace

Variable sum(const Variable& x) { return scaled_sum("sum", x, everything(x.shape()), 1, acc_dtype(x.dtype())); }

Variable mean(const Variable& x) {
  const Reduced r = everything(x.shape());
  require_elements("mean", x, r, 1);
  return scaled_sum("mean", x, r, 1 / static_cast<double>(r.elements), acc_dtype(x.dtype()));
}

Variable sum(const Variable& x, const Axes& axes, bool keepdim) {
  return scaled_sum("sum", x, reduced("sum", x, axes, keepdim), 1, x.dtype());
}

Variable mean(const Variable& x, const Axes& axes, bool keepdim) {
  const Reduced r = reduced("mean", x, axes, keepdim);
  require_elements("mean", x, r, 1);
  return scaled_sum("mean", x, r, 1 / static_cast<double>(std::max<std::int64_t>(r.elements, 1)), x.dtype());
}

Variable amax(const Variable& x, const Axes& axes, bool keepdim) {
  const Reduced r = reduced("amax", x, axes, keepdim);
  require_elements("amax", x, r, 1);
  const Tensor in = r.plan.arrange(x.value());
  Tensor y = Tensor::empty(r.y, x.dtype(), x.device());
  on_backend("amax", in, [&]<class T>(auto be) { kernels::max_axis(be, in.data<T>(), y.data<T>(), r.plan.shape); });
  return record("amax", y, {x}, [saved = Saved(x), y, plan = r.plan](Tensor dy, Grads& g) {
    const Tensor source = plan.arrange(saved.tensor());
    pass_arranged(g, plan, source, [&](Tensor dx, bool accumulate) {
      on_backend("amax", source, [&]<class T>(auto be) {
        const Workspace workspace(be, kernels::max_axis_workspace_bytes<T>(be, plan.shape));
        kernels::max_axis_backward(be, source.data<T>(), y.data<T>(), dy.data<T>(), dx.data<T>(), plan.shape, accumulate, workspace.data());
      });
    });
  });
}

Variable var(const Variable& x, const Axes& axes, const VarOptions& o) {
  require(o.correction >= 0, "var: expected a correction of at least 0, got ", o.correction);
  const Reduced r = reduced("var", x, axes, o.keepdim);
  require_elements("var", x, r, o.correction + 1);
  const double n = static_cast<double>(std::max<std::int64_t>(r.elements, 1)), factor = 1 / (n - static_cast<double>(o.correction));
  const Tensor in = r.plan.arrange(x.value()), average = detail::sum_over(r.plan, x.value(), Tensor(), 1 / n, r.y);
  Tensor y = Tensor::empty(r.y, acc_dtype(x.dtype()), x.device());
  on_backend("var", in, [&]<class T>(auto be) {
    using A = kernels::acc_t<T>;
    const Workspace workspace(be, kernels::reduce_workspace_bytes<T>(be, r.plan.shape));
    kernels::deviation_axis(be, in.data<T>(), average.data<A>(), static_cast<A>(factor), y.data<A>(), r.plan.shape, workspace.data());
  });
  return record("var", y.to(x.dtype()), {x}, [saved = Saved(x), average, factor, plan = r.plan](Tensor dy, Grads& g) {
    const Tensor source = plan.arrange(saved.tensor()), wide = dy.to(acc_dtype(dy.dtype()));
    pass_arranged(g, plan, source, [&](Tensor dx, bool accumulate) {
      on_backend("var", source, [&]<class T>(auto be) {
        using A = kernels::acc_t<T>;
        kernels::deviation_axis_backward(be, source.data<T>(), average.data<A>(), wide.data<A>(), static_cast<A>(factor), dx.data<T>(),
                                         plan.shape, accumulate);
      });
    });
  });
}

}   // namespace fovea
