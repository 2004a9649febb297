#include "autograd/dot.h"

#include "kernels/broadcast.h"
#include "tensor/on_backend.h"

namespace fovea {

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
      using A = kernels::acc_t<T>;
      kernels::affine(be, direction.data<T>(), static_cast<A>(dy.item()), A(0), dx.data<T>(), dx.elements(), g.accumulate(0));
    });
  });
}

}   // namespace fovea
