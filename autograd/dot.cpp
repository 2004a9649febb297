#include "autograd/dot.h"

#include "kernels/broadcast.h"
#include "tensor/on_backend.h"

namespace fovea {

Variable dot(const Variable& x, const Tensor& direction) {
  const Tensor& in = x.value();
  require(in.shape() == direction.shape() && in.dtype() == direction.dtype(), "dot: expected a direction of shape ", in.shape(), " and ",
          name_of(in.dtype()), ", got ", direction.shape(), " and ", name_of(direction.dtype()));
  Tensor y = Tensor::empty({}, acc_dtype(in.dtype()), in.device());
  if (in.device() != Device::meta) {   // plain and in order, on the host: this is for checks, not for speed
    const std::vector<double> a = in.to_vector<double>(), b = direction.to_vector<double>();
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
    y.fill(sum);
  }
  return record("dot", y, {x}, [direction](Tensor dy, Grads& g) {
    Tensor dx = g.target(0);
    on_backend("dot", direction, [&]<class T>(auto be) {
      using A = kernels::acc_t<T>;
      kernels::affine(be, direction.data<T>(), static_cast<A>(dy.item()), A(0), dx.data<T>(), dx.elements(), g.accumulate(0));
    });
  });
}

}   // namespace fovea
