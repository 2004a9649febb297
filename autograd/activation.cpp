#include "autograd/activation.h"

#include <cmath>

#include "autograd/activated.h"
#include "tensor/on_backend.h"

namespace fovea {

namespace {

Variable pointwise(const char* op, const Variable& x, Activation a) {
  Tensor y = Tensor::empty_like(x.value());
  on_backend(op, y, [&]<class T>(auto be) { kernels::activation_forward(be, a, x.value().data<T>(), y.data<T>(), y.elements()); });
  return record(op, y, {x}, [op, a, kept = kernels::from_output(a) ? Saved(y) : Saved(x)](Tensor dy, Grads& g) {
    Tensor dx = g.target(0, dy);   // may be dy's memory: the kernel allows it
    const Tensor t = kept.tensor();
    on_backend(op, t, [&]<class T>(auto be) {
      kernels::activation_backward(be, a, t.data<T>(), dy.data<T>(), dx.data<T>(), dx.elements(), g.accumulate(0));
    });
  });
}

}   // namespace

Variable relu(const Variable& x) { return pointwise("relu", x, Activation::relu); }
Variable relu6(const Variable& x) { return pointwise("relu6", x, Activation::relu6); }
Variable silu(const Variable& x) { return pointwise("silu", x, Activation::silu); }
Variable sigmoid(const Variable& x) { return pointwise("sigmoid", x, Activation::sigmoid); }
Variable tanh(const Variable& x) { return pointwise("tanh", x, Activation::tanh); }
Variable hard_sigmoid(const Variable& x) { return pointwise("hard_sigmoid", x, Activation::hard_sigmoid); }
Variable hard_swish(const Variable& x) { return pointwise("hard_swish", x, Activation::hard_swish); }
Variable gelu(const Variable& x, const GeluOptions& o) {
  return pointwise("gelu", x, o.approximate == Approximate::tanh ? Activation::gelu_tanh : Activation::gelu);
}

Variable activate(const Variable& x, Activation a) { return a == Activation::none ? x : pointwise("activation", x, a); }

Variable leaky_relu(const Variable& x, double slope) {
  require(std::isfinite(slope), "leaky_relu: expected a finite slope, got ", slope);
  Tensor y = Tensor::empty_like(x.value());
  on_backend("leaky_relu", y,
             [&]<class T>(auto be) { kernels::leaky_relu_forward(be, slope, x.value().data<T>(), y.data<T>(), y.elements()); });
  // With a positive slope x and y have one sign, so either will do.
  return record("leaky_relu", y, {x}, [slope, kept = slope > 0 ? Saved(y) : Saved(x)](Tensor dy, Grads& g) {
    Tensor dx = g.target(0, dy);
    const Tensor t = kept.tensor();
    on_backend("leaky_relu", t, [&]<class T>(auto be) {
      kernels::leaky_relu_backward(be, slope, t.data<T>(), dy.data<T>(), dx.data<T>(), dx.elements(), g.accumulate(0));
    });
  });
}

}   // namespace fovea
