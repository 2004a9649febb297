#include "nn/conv_norm_act.h"

#include "autograd/activation.h"
#include "autograd/arithmetic.h"

namespace fovea::nn {
namespace {

Variable unfused(const Variable& x, Conv2d& conv, BatchNorm2d& bn, const ConvNormActOptions& o) {
  Variable y = bn(conv(x));
  if (o.residual) {
    require(o.residual->shape() == y.shape(), "conv_norm_act: expected a residual of shape ", y.shape(), ", got ", o.residual->shape());
    y = add(y, *o.residual);
  }
  return activate(y, o.activation);
}

}   // namespace

Variable conv_norm_act(const Variable& x, Conv2d& conv, BatchNorm2d& bn, const ConvNormActOptions& o) {
  if (conv.has_hooks() || bn.has_hooks() || conv.has_bias()) return unfused(x, conv, bn, o);
  return conv.locate_errors([&] {
    conv.check_input(x);
    const kernels::Conv2dShape s = conv2d_shape("conv2d", x.shape(), conv.weight().shape(), conv.config());
    bn.locate_errors([&] { return bn.check_input({s.n, s.p(), s.q(), s.k}), Variable(); });
    Variable y = fovea::conv_norm_act(x, conv.weight(), conv.config(), bn.config(), o);
    if (bn.training()) bn.count_batch();
    return y;
  });
}

}   // namespace fovea::nn
