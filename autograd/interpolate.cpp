#include "autograd/interpolate.h"

#include <cmath>
#include <limits>

#include "autograd/helpers.h"

namespace fovea {

Variable interpolate(const Variable& x, const InterpolateConfig& o) {
  constexpr const char* kOp = "interpolate";
  require(x.rank() == 4 && x.dim(1) > 0 && x.dim(2) > 0, kOp, ": expected x of shape (N, H, W, C) with pixels, got ", x.shape());
  require((o.size == Size2(0)) != (o.scale_factor == 0), kOp, ": expected either a size or a scale_factor, got size (", o.size.h, ", ",
          o.size.w, "), scale_factor ", o.scale_factor);
  require(!o.align_corners || o.mode != Interpolation::nearest, kOp, ": expected bilinear or bicubic with align_corners, got nearest");
  constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max() / 16;
  const auto axis = [&](std::int64_t in, std::int64_t size) {
    if (o.scale_factor != 0) {
      require(o.scale_factor > 0 && double(in) * o.scale_factor < double(kMost), kOp, ": expected a positive scale_factor, got ",
              o.scale_factor);
      size = static_cast<std::int64_t>(std::floor(double(in) * o.scale_factor));
    }
    require(size >= 1 && size < kMost && in < kMost, kOp, ": expected an output of at least 1 pixel and less than ", kMost, ", got ", size);
    auto a = kernels::InterpolationAxis::resize(in, size, o.mode, o.align_corners);
    if (o.scale_factor != 0 && !o.align_corners) a.scale = 1 / o.scale_factor;
    return a;
  };
  const kernels::InterpolationShape s{.n = x.dim(0), .c = x.dim(3), .rows = axis(x.dim(1), o.size.h), .columns = axis(x.dim(2), o.size.w)};
  Tensor y = Tensor::empty({s.n, s.rows.out, s.columns.out, s.c}, x.dtype(), x.device());
  on_backend(kOp, y, [&]<class T>(auto be) {
    const Workspace workspace(be, kernels::interpolate_workspace_bytes(be, s));
    kernels::interpolate_forward(be, x.value().data<T>(), y.data<T>(), s, workspace.data());
  });
  return record(kOp, y, {x}, [s](Tensor dy, Grads& g) {
    Tensor dx = g.target(0);
    on_backend(kOp, dy, [&]<class T>(auto be) {
      const Workspace workspace(be, kernels::interpolate_workspace_bytes(be, s));
      kernels::interpolate_backward(be, dy.data<T>(), dx.data<T>(), s, g.accumulate(0), workspace.data());
    });
  });
}

}   // namespace fovea
