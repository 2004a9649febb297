#include "autograd/activated.h"

#include "autograd/node.h"
#include "kernels/batch_norm.h"
#include "tensor/on_backend.h"

namespace fovea {

Saved::Saved(const Variable& x) {
  if (x.cell()->activated)
    activated_ = x.cell()->activated;
  else
    tensor_ = x.value();
}

Tensor Saved::tensor() const { return activated_ ? activated_->materialise() : tensor_; }

Tensor Activated::materialise() const {
  const MemoryTag tag("activations");
  Tensor y = Tensor::empty_like(raw);
  Tensor skip = residual.defined() ? residual.tensor() : Tensor();
  on_backend("activation", raw, [&]<class T>(auto be) {
    using A = kernels::acc_t<T>;
    kernels::scale_shift(be, raw.data<T>(), skip.defined() ? skip.data<T>() : nullptr, scale.data<A>(), shift.data<A>(), activation,
                         y.data<T>(), {.rows = raw.elements() / raw.dim(-1), .channels = raw.dim(-1)});
  });
  return y;
}

}   // namespace fovea
