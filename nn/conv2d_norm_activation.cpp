#include "nn/conv2d_norm_activation.h"

namespace fovea::nn {

Conv2dNormActivation::Conv2dNormActivation(const Options& o)
    : o_(o),
      conv_(add<Conv2d>(o.names[0], {.in = o.in,
                                     .out = o.out,
                                     .kernel = o.kernel,
                                     .stride = o.stride,
                                     .padding = {(o.kernel.h - 1) / 2, (o.kernel.w - 1) / 2},
                                     .groups = o.groups,
                                     .bias = false})),
      bn_(add<BatchNorm2d>(o.names[1], {.channels = o.out, .eps = o.eps, .momentum = o.momentum})) {}

Variable Conv2dNormActivation::forward(const Variable& x) { return conv_norm_act(x, conv_, bn_, {.activation = o_.activation}); }

Variable Conv2dNormActivation::forward(const Variable& x, const Variable& residual) {
  return conv_norm_act(x, conv_, bn_, {.activation = o_.activation, .residual = &residual});
}

std::string Conv2dNormActivation::describe() const {
  return detail::join("Conv2dNormActivation(", o_.in, " -> ", o_.out, ", kernel ", o_.kernel.h, o_.stride == Size2(1) ? "" : ", stride ",
                      o_.stride == Size2(1) ? "" : std::to_string(o_.stride.h), ")");
}

}   // namespace fovea::nn
