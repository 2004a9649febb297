#include "autograd/shape_ops.h"

#include "kernels/transpose.h"

namespace fovea {

Variable reshape(const Variable& x, Shape shape) {
  const Tensor y = x.value().reshape(shape);
  return record("reshape", y, {x}, [before = x.shape()](Tensor dy, Grads& g) { g.pass(0, dy.reshape(before)); });
}

Variable flatten(const Variable& x) {
  if (x.rank() == 2) return x;
  require(x.rank() == 4, "flatten: expected x of shape (N, H, W, C), got ", x.shape());
  const std::int64_t images = x.dim(0), pixels = x.dim(1) * x.dim(2), channels = x.dim(3);
  if (pixels == 1 || channels == 1) return reshape(x, {images, pixels * channels});
  Tensor y = Tensor::empty({images, channels * pixels}, x.dtype(), x.device());
  kernels::transpose(x.value().raw(), y.raw(), images, pixels, channels, size_of(x.dtype()));
  return record("flatten", y, {x}, [before = x.shape(), images, pixels, channels](Tensor dy, Grads& g) {
    Tensor dx = Tensor::empty(before, dy.dtype(), dy.device());
    kernels::transpose(dy.raw(), dx.raw(), images, channels, pixels, size_of(dy.dtype()));
    g.pass(0, dx);
  });
}

Variable convert(const Variable& x, DType dtype) {
  if (x.dtype() == dtype) return x;
  return record("convert", x.value().to(dtype), {x}, [before = x.dtype()](Tensor dy, Grads& g) { g.pass(0, dy.to(before)); });
}

}   // namespace fovea
