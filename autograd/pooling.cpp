#include "autograd/pooling.h"

#include <algorithm>
#include <limits>

#include "autograd/helpers.h"
#include "kernels/pooling.h"

namespace fovea {
namespace {

using kernels::Pool2dShape;
using kernels::PoolAxis;

Pool2dShape window_shape(const char* op, const Variable& x, Size2 kernel, Size2 given_stride, Size2 padding, bool ceil_mode) {
  const Size2 stride = detail::pool_stride(kernel, given_stride);
  require(x.rank() == 4, op, ": expected x of shape (N, H, W, C), got ", x.shape());
  require(kernel.h >= 1 && kernel.w >= 1 && stride.h >= 1 && stride.w >= 1, op, ": expected a kernel and a stride >= 1, got kernel (",
          kernel.h, ", ", kernel.w, "), stride (", stride.h, ", ", stride.w, ")");
  require(padding.h >= 0 && padding.w >= 0 && 2 * padding.h <= kernel.h && 2 * padding.w <= kernel.w, op,
          ": expected a padding of at most half the kernel, got (", padding.h, ", ", padding.w, ")");
  const std::int64_t least_h = std::max<std::int64_t>(1, kernel.h - 2 * padding.h - (ceil_mode ? stride.h - 1 : 0)),
                     least_w = std::max<std::int64_t>(1, kernel.w - 2 * padding.w - (ceil_mode ? stride.w - 1 : 0));
  require(x.dim(1) >= least_h && x.dim(2) >= least_w, op, ": expected x of at least ", least_h, "x", least_w, " pixels, got ", x.shape());
  return {.n = x.dim(0),
          .c = x.dim(3),
          .rows = PoolAxis::windows(x.dim(1), kernel.h, stride.h, padding.h, ceil_mode),
          .columns = PoolAxis::windows(x.dim(2), kernel.w, stride.w, padding.w, ceil_mode)};
}

Pool2dShape bin_shape(const char* op, const Variable& x, Size2 output) {
  require(x.rank() == 4 && x.dim(1) > 0 && x.dim(2) > 0, op, ": expected x of shape (N, H, W, C) with pixels, got ", x.shape());
  require(output.h >= 1 && output.w >= 1, op, ": expected an output of at least 1x1, got ", output.h, "x", output.w);
  return {.n = x.dim(0), .c = x.dim(3), .rows = PoolAxis::bins(x.dim(1), output.h), .columns = PoolAxis::bins(x.dim(2), output.w)};
}

Tensor empty_output(const Variable& x, const Pool2dShape& s, DType dtype) {
  return Tensor::empty({s.n, s.rows.out, s.columns.out, s.c}, dtype, x.device());
}

/// Place: the type of a stored place.
template <class Place> Variable max_pool(const char* op, const Variable& x, const Pool2dShape& s, DType place) {
  Tensor y = empty_output(x, s, x.dtype()), which = empty_output(x, s, place);
  on_backend(op, y, [&]<class T>(auto be) { kernels::max_pool2d_forward(be, x.value().data<T>(), y.data<T>(), which.data<Place>(), s); });
  return record(op, y, {x}, [op, which, s](Tensor dy, Grads& g) {
    Tensor dx = g.target(0);
    on_backend(op, dy, [&]<class T>(auto be) {
      kernels::max_pool2d_backward(be, dy.data<T>(), which.data<Place>(), dx.data<T>(), s, g.accumulate(0));
    });
  });
}
Variable max_pool(const char* op, const Variable& x, const Pool2dShape& s) {
  require(s.places() <= std::numeric_limits<std::int32_t>::max(), op, ": expected windows of less than 2^31 pixels, got ", s.places());
  return s.places() <= 256 ? max_pool<std::uint8_t>(op, x, s, DType::u8) : max_pool<std::int64_t>(op, x, s, DType::i64);
}

Variable avg_pool(const char* op, const Variable& x, const Pool2dShape& s, kernels::AverageDivisor d) {
  Tensor y = empty_output(x, s, x.dtype());
  on_backend(op, y, [&]<class T>(auto be) { kernels::avg_pool2d_forward(be, x.value().data<T>(), y.data<T>(), s, d); });
  return record(op, y, {x}, [op, s, d](Tensor dy, Grads& g) {
    Tensor dx = g.target(0);
    on_backend(op, dy, [&]<class T>(auto be) { kernels::avg_pool2d_backward(be, dy.data<T>(), dx.data<T>(), s, d, g.accumulate(0)); });
  });
}

}   // namespace

Variable max_pool2d(const Variable& x, const MaxPool2dConfig& o) {
  return max_pool("max_pool2d", x, window_shape("max_pool2d", x, o.kernel, o.stride, o.padding, o.ceil_mode));
}

Variable avg_pool2d(const Variable& x, const AvgPool2dConfig& o) {
  require(o.divisor_override >= 0, "avg_pool2d: expected divisor_override >= 0 (0: none), got ", o.divisor_override);
  return avg_pool("avg_pool2d", x, window_shape("avg_pool2d", x, o.kernel, o.stride, o.padding, o.ceil_mode),
                  {.count_include_pad = o.count_include_pad, .override_with = double(o.divisor_override)});
}

Variable adaptive_max_pool2d(const Variable& x, Size2 output) {
  return max_pool("adaptive_max_pool2d", x, bin_shape("adaptive_max_pool2d", x, output));
}

Variable adaptive_avg_pool2d(const Variable& x, Size2 output) {
  return avg_pool("adaptive_avg_pool2d", x, bin_shape("adaptive_avg_pool2d", x, output), {});
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
