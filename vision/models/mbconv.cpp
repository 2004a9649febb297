// mbconv.cpp: the block of MobileNet V3 and EfficientNet: an inverted residual with squeeze-and-excitation.
//
//   Howard et al. 2019, "Searching for MobileNetV3" (arXiv:1905.02244), Fig. 4
//   Tan & Le 2019, "EfficientNet" (arXiv:1905.11946), section 4: MBConv
//
// y = F(x), or x + F(x) where the shapes agree; F is 1x1 up (left out where nothing grows), depthwise, SE, 1x1 down without activation.
#include "vision/models/mbconv.h"

#include "autograd/arithmetic.h"

namespace fovea::vision {

using nn::Conv2dNormActivation;

/// F: Howard et al. 2019, Fig. 4.
MBConvLayers::MBConvLayers(const Options& o) {
  int n = 0;
  const auto next = [&] { return std::to_string(n++); };
  const auto layer = [&](std::int64_t in, std::int64_t out, std::int64_t kernel, std::int64_t stride, std::int64_t groups, Activation a) {
    return &add<Conv2dNormActivation>(next(), {.in = in,
                                               .out = out,
                                               .kernel = kernel,
                                               .stride = stride,
                                               .groups = groups,
                                               .activation = a,
                                               .eps = o.eps,
                                               .momentum = o.momentum});
  };
  if (o.expanded != o.in) expand_ = layer(o.in, o.expanded, 1, 1, 1, o.activation);
  depthwise_ = layer(o.expanded, o.expanded, o.kernel, o.stride, o.expanded, o.activation);
  if (o.squeeze > 0)
    se_ = &add<nn::SqueezeExcitation>(
        next(), {.channels = o.expanded, .squeeze = o.squeeze, .activation = o.squeeze_activation, .scale_activation = o.scale_activation});
  project_ = layer(o.expanded, o.out, 1, 1, 1, Activation::none);
}

Variable MBConvLayers::run(const Variable& x, const Variable* residual) {   // (N, H, W, in)
  Variable y = (*depthwise_)(expand_ ? (*expand_)(x) : x);                  // (N, H/s, W/s, expanded)
  if (se_) y = (*se_)(y);
  return residual ? project_->forward(y, *residual) : (*project_)(y);   // (N, H/s, W/s, out)
}

MBConv::MBConv(const Options& o) : o_(o), block_(add<MBConvLayers>("block", o)) {
  if (o.drop_path > 0) stochastic_depth_ = &add<nn::StochasticDepth>("stochastic_depth", {.p = o.drop_path});
}

Variable MBConv::forward(const Variable& x) {
  if (o_.stride != 1 || o_.in != o_.out) return block_(x);
  return stochastic_depth_ ? (*stochastic_depth_)(block_(x)) + x : block_.run(x, &x);
}

std::string MBConv::describe() const {
  return detail::join("MBConv(", o_.in, " -> ", o_.expanded, " -> ", o_.out, ", kernel ", o_.kernel,
                      o_.stride == 1 ? "" : detail::join(", stride ", o_.stride), o_.squeeze ? detail::join(", SE ", o_.squeeze) : "", ")");
}

}   // namespace fovea::vision
