#include "autograd/scale_channels.h"

#include "autograd/activated.h"
#include "kernels/scale_channels.h"
#include "tensor/on_backend.h"

namespace fovea {

Variable scale_channels(const Variable& x, const Variable& s) {
  require(x.rank() == 4, "scale_channels: expected x of shape (N, H, W, C), got ", x.shape());
  require(s.shape() == (Shape{x.dim(0), x.dim(3)}) && s.dtype() == x.dtype() && s.device() == x.device(),
          "scale_channels: expected s of shape ", Shape{x.dim(0), x.dim(3)}, " and ", name_of(x.dtype()), ", got ", s.shape(), " and ",
          name_of(s.dtype()));
  const kernels::ImageShape shape{.images = x.dim(0), .pixels = x.dim(1) * x.dim(2), .channels = x.dim(3)};
  Tensor y = Tensor::empty_like(x.value());
  on_backend("scale_channels", y,
             [&]<class T>(auto be) { kernels::scale_channels_forward(be, x.value().data<T>(), s.value().data<T>(), y.data<T>(), shape); });
  return record("scale_channels", y, {x, s}, [x = Saved(x), s = Saved(s), shape](Tensor dy, Grads& g) {
    const Tensor input = x.tensor(), scale = s.tensor();
    Tensor dx = g.needs(0) ? g.target(0, dy) : Tensor(), ds = g.needs(1) ? g.target(1) : Tensor();
    on_backend("scale_channels", input, [&]<class T>(auto be) {
      const Workspace workspace(be, kernels::scale_channels_workspace_bytes<T>(be, shape));
      kernels::scale_channels_backward(be,
                                       kernels::ScaleChannelsGradient<T>{.x = input.data<T>(),
                                                                         .s = scale.data<T>(),
                                                                         .dy = dy.data<T>(),
                                                                         .dx = dx.defined() ? dx.data<T>() : nullptr,
                                                                         .accumulate_dx = dx.defined() && g.accumulate(0),
                                                                         .ds = ds.defined() ? ds.data<T>() : nullptr,
                                                                         .accumulate_ds = ds.defined() && g.accumulate(1)},
                                       shape, workspace.data());
    });
  });
}

}   // namespace fovea
