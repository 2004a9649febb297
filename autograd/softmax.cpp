#include "autograd/softmax.h"

#include "kernels/softmax.h"
#include "tensor/on_backend.h"

namespace fovea {
namespace {

kernels::RowShape rows_of(const char* op, const Shape& x) {
  require(x.rank() >= 1 && x.dim(-1) >= 1, op, ": expected x of shape (..., classes), got ", x);
  return {.rows = x.elements() / x.dim(-1), .cols = x.dim(-1)};
}

}   // namespace

Variable softmax(const Variable& x) {
  const kernels::RowShape s = rows_of("softmax", x.shape());
  Tensor y = Tensor::empty_like(x.value());
  on_backend("softmax", y, [&]<class T>(auto be) { kernels::softmax_forward(be, x.value().data<T>(), y.data<T>(), s); });
  return record("softmax", y, {x}, [y, s](Tensor dy, Grads& g) {
    Tensor dx = g.target(0, dy);
    on_backend("softmax", y,
               [&]<class T>(auto be) { kernels::softmax_backward<T>(be, y.data<T>(), dy.data<T>(), dx.data<T>(), s, g.accumulate(0)); });
  });
}

Variable log_softmax(const Variable& x) {
  const kernels::RowShape s = rows_of("log_softmax", x.shape());
  Tensor y = Tensor::empty_like(x.value());
  on_backend("log_softmax", y, [&]<class T>(auto be) { kernels::log_softmax_forward(be, x.value().data<T>(), y.data<T>(), s); });
  return record("log_softmax", y, {x}, [y, s](Tensor dy, Grads& g) {
    Tensor dx = g.target(0, dy);
    on_backend("log_softmax", y, [&]<class T>(auto be) {
      kernels::log_softmax_backward<T>(be, y.data<T>(), dy.data<T>(), dx.data<T>(), s, g.accumulate(0));
    });
  });
}

}   // namespace fovea
