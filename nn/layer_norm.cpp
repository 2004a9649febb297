#include "nn/layer_norm.h"

namespace fovea::nn {

LayerNorm::LayerNorm(const Options& o) : o_(o) {
  require(o.channels >= 1, "LayerNorm: expected at least one channel, got ", o.channels);
  require(o.eps > 0, "LayerNorm: expected eps > 0, got ", o.eps);
  if (o.affine) weight_ = &add_parameter("weight", Tensor::full({o.channels}, 1));
  if (o.affine && o.bias) bias_ = &add_parameter("bias", Tensor::zeros({o.channels}));
}

Variable LayerNorm::forward(const Variable& x) {
  require(x.rank() >= 1 && x.dim(-1) == o_.channels, "expected x of shape (..., ", o_.channels, "), got ", x.shape());
  return layer_norm(x, weight_ ? *weight_ : Variable(), bias_ ? *bias_ : Variable(), o_.eps);
}

std::string LayerNorm::describe() const {
  std::string s = detail::join("LayerNorm(", o_.channels);
  if (o_.eps != LayerNormOptions{}.eps) s += detail::join(", eps ", o_.eps);
  if (!o_.affine) s += ", not affine";
  if (o_.affine && !o_.bias) s += ", no bias";
  return s + ")";
}

}   // namespace fovea::nn
