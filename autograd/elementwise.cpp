#include "autograd/elementwise.h"

#include "kernels/elementwise.h"
#include "kernels/reduce.h"
#include "tensor/on_backend.h"

namespace fovea {

namespace {

void require_alike(const char* op, const Variable& a, const Variable& b) {
  require(a.shape() == b.shape() && a.dtype() == b.dtype() && a.device() == b.device(), op, ": expected two of a kind, got ", a.shape(),
          " ", name_of(a.dtype()), " on ", name_of(a.device()), " and ", b.shape(), " ", name_of(b.dtype()), " on ", name_of(b.device()));
}

}   // namespace

Variable add(const Variable& a, const Variable& b) {
  require_alike("add", a, b);
  Tensor y = Tensor::empty_like(a.value());
  on_backend("add", y, [&]<class T>(auto be) { kernels::add(be, a.value().data<T>(), b.value().data<T>(), y.data<T>(), y.elements()); });
  return record("add", y, {a, b}, [](Tensor dy, Grads& g) {
    if (g.needs(0)) g.pass(0, dy);
    if (g.needs(1)) g.pass(1, dy);
  });
}

Variable scale(const Variable& x, double factor) {
  Tensor y = Tensor::empty_like(x.value());
  on_backend("scale", y, [&]<class T>(auto be) {
    kernels::scale(be, x.value().data<T>(), static_cast<kernels::acc_t<T>>(factor), y.data<T>(), y.elements(), false);
  });
  return record("scale", y, {x}, [factor](Tensor dy, Grads& g) {
    Tensor dx = g.target(0, dy);
    on_backend("scale", dy, [&]<class T>(auto be) {
      kernels::scale(be, dy.data<T>(), static_cast<kernels::acc_t<T>>(factor), dx.data<T>(), dx.elements(), g.accumulate(0));
    });
  });
}

Variable mean(const Variable& x) {
  const Tensor& in = x.value();
  require(in.elements() > 0, "mean: expected at least one element, got ", in.shape());
  Tensor y = Tensor::empty({}, acc_dtype(in.dtype()), in.device());
  on_backend("mean", in, [&]<class T>(auto be) {
    using A = kernels::acc_t<T>;
    const kernels::RowShape s{.rows = 1, .cols = in.elements()};
    const Workspace workspace(kernels::reduce_workspace_bytes<T>(be, s));
    kernels::sum_cols(be, in.data<T>(), A(1) / static_cast<A>(s.cols), y.data<A>(), s, false, workspace.data());
  });
  return record("mean", y, {x}, [shape = in.shape(), dtype = in.dtype()](Tensor dy, Grads& g) {
    g.pass(0, Tensor::full(shape, dy.item() / static_cast<double>(shape.elements()), dtype, dy.device()));
  });
}

Variable dot(const Variable& x, const Tensor& direction) {
  const Tensor& in = x.value();
  require(in.shape() == direction.shape() && in.dtype() == direction.dtype(), "dot: expected a direction of shape ", in.shape(), " and ",
          name_of(in.dtype()), ", got ", direction.shape(), " and ", name_of(direction.dtype()));
  Tensor y = Tensor::empty({}, acc_dtype(in.dtype()), in.device());
  on_backend("dot", in, [&]<class T>(auto) {
    double sum = 0;   // plain and in order: this is for checks, not for speed
    for (std::int64_t i = 0; i < in.elements(); ++i) sum += double(in.data<T>()[i]) * double(direction.data<T>()[i]);
    y.fill(sum);
  });
  return record("dot", y, {x}, [direction](Tensor dy, Grads& g) {
    Tensor dx = g.target(0);
    on_backend("dot", direction, [&]<class T>(auto be) {
      kernels::scale(be, direction.data<T>(), static_cast<kernels::acc_t<T>>(dy.item()), dx.data<T>(), dx.elements(), g.accumulate(0));
    });
  });
}

}   // namespace fovea
