#include "autograd/softplus.h"

#include "autograd/activated.h"
#include "kernels/softplus.h"
#include "tensor/on_backend.h"

namespace fovea {

Variable softplus(const Variable& x) {
  Tensor y = Tensor::empty_like(x.value());
  on_backend("softplus", y, [&]<class T>(auto be) { kernels::softplus_forward(be, x.value().data<T>(), y.data<T>(), y.elements()); });
  return record("softplus", y, {x}, [saved = Saved(x)](Tensor dy, Grads& g) {
    Tensor dx = g.target(0, dy);   // may be dy's memory: the kernel allows it
    const Tensor in = saved.tensor();
    on_backend("softplus", in, [&]<class T>(auto be) {
      kernels::softplus_backward(be, in.data<T>(), dy.data<T>(), dx.data<T>(), dx.elements(), g.accumulate(0));
    });
  });
}

}   // namespace fovea
