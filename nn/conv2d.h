// conv2d.h: the convolutional layer. Gradients, sources and cost: kernels/conv2d.h; one filter a channel: kernels/conv2d_depthwise.h.
#pragma once

#include "autograd/conv.h"
#include "nn/module.h"

namespace fovea::nn {

struct Conv2dOptions {
  std::int64_t in = 0, out = 0;   // channels
  Size2 kernel = 3, stride = 1, padding = 0, dilation = 1;
  std::int64_t groups = 1;   // divides in and out
  bool bias = true;
};

/// y = w * x + b.  x (N, H, W, in) -> y (N, P, Q, out),  P = floor((H + 2 padding.h - dilation.h (kernel.h - 1) - 1) / stride.h) + 1.
/// weight (out, R, S, in / groups) ~ N(0, 2 / fan_out): He et al. 2015, "Delving Deep into Rectifiers", Eq. (14); bias = 0.
class Conv2d : public Module {
 public:
  using Options = Conv2dOptions;
  explicit Conv2d(const Options& o);
  Variable forward(const Variable& x) override;
  std::string describe() const override;

  const Options& options() const { return o_; }
  Conv2dConfig config() const { return {.stride = o_.stride, .padding = o_.padding, .dilation = o_.dilation, .groups = o_.groups}; }
  const Variable& weight() const { return weight_; }
  Variable bias() const { return bias_ ? *bias_ : Variable(); }   // undefined without one
  bool has_bias() const { return o_.bias; }
  /// Throws ShapeError unless x is (N, H, W, in).
  void check_input(const Variable& x) const;

 private:
  Options o_;
  Variable& weight_;
  Variable* bias_ = nullptr;
};

}   // namespace fovea::nn
