#include "autograd/pooling.h"

#include "autograd/helpers.h"
#include "kernels/pooling.h"

namespace fovea {

Variable max_pool2d(const Variable& x, const MaxPool2dConfig& o) {
  require(x.rank() == 4, "max_pool2d: expected x of shape (N, H, W, C), got ", x.shape());
  require(o.kernel.h >= 1 && o.kernel.w >= 1 && o.kernel.h * o.kernel.w <= 255 && o.stride.h >= 1 && o.stride.w >= 1,
          "max_pool2d: expected a kernel of 1 to 255 pixels and a stride >= 1, got kernel (", o.kernel.h, ", ", o.kernel.w, "), stride (",
          o.stride.h, ", ", o.stride.w, ")");
  require(o.padding.h >= 0 && o.padding.w >= 0 && 2 * o.padding.h <= o.kernel.h && 2 * o.padding.w <= o.kernel.w,
          "max_pool2d: expected a padding of at most half the kernel, got (", o.padding.h, ", ", o.padding.w, ")");
  require(x.dim(1) + 2 * o.padding.h >= o.kernel.h && x.dim(2) + 2 * o.padding.w >= o.kernel.w, "max_pool2d: expected x of at least ",
          o.kernel.h - 2 * o.padding.h, "x", o.kernel.w - 2 * o.padding.w, " pixels, got ", x.shape());
  const kernels::Pool2dShape s{.n = x.dim(0),
                               .h = x.dim(1),
                               .w = x.dim(2),
                               .c = x.dim(3),
                               .kernel_h = o.kernel.h,
                               .kernel_w = o.kernel.w,
                               .stride_h = o.stride.h,
                               .stride_w = o.stride.w,
                               .pad_h = o.padding.h,
                               .pad_w = o.padding.w};
  Tensor y = Tensor::empty({s.n, s.p(), s.q(), s.c}, x.dtype(), x.device());
  Tensor which = Tensor::empty(y.shape(), DType::u8, x.device());
  on_backend("max_pool2d", y,
             [&]<class T>(auto be) { kernels::max_pool2d_forward(be, x.value().data<T>(), y.data<T>(), which.data<std::uint8_t>(), s); });
  return record("max_pool2d", y, {x}, [which, s](Tensor dy, Grads& g) {
    Tensor dx = g.target(0);
    on_backend("max_pool2d", dy, [&]<class T>(auto be) {
      kernels::max_pool2d_backward(be, dy.data<T>(), which.data<std::uint8_t>(), dx.data<T>(), s, g.accumulate(0));
    });
  });
}

Variable global_avg_pool(const Variable& x) {
  require(x.rank() == 4 && x.dim(1) * x.dim(2) > 0, "global_avg_pool: expected x of shape (N, H, W, C), got ", x.shape());
  const kernels::GlobalPoolShape s{.images = x.dim(0), .pixels = x.dim(1) * x.dim(2), .c = x.dim(3)};
  Tensor y = Tensor::empty({s.images, s.c}, x.dtype(), x.device());
  on_backend("global_avg_pool", y, [&]<class T>(auto be) { kernels::global_avg_pool_forward(be, x.value().data<T>(), y.data<T>(), s); });
  return record("global_avg_pool", y, {x}, [s](Tensor dy, Grads& g) {
    Tensor dx = g.target(0);
    on_backend("global_avg_pool", dy,
               [&]<class T>(auto be) { kernels::global_avg_pool_backward(be, dy.data<T>(), dx.data<T>(), s, g.accumulate(0)); });
  });
}

}   // namespace fovea
