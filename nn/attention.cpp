#include "nn/attention.h"

#include <cmath>

#include "autograd/linear.h"
#include "nn/init.h"

namespace fovea::nn {
namespace {

const MultiheadAttentionOptions& checked(const MultiheadAttentionOptions& o) {
  require(o.channels >= 1 && o.heads >= 1 && o.channels % o.heads == 0,
          "MultiheadAttention: expected channels that are a multiple of the heads, got ", o.channels, " channels, ", o.heads, " heads");
  return o;
}

}   // namespace

MultiheadAttention::MultiheadAttention(const Options& o)
    : o_(checked(o)),
      in_proj_weight_(add_parameter(
          "in_proj_weight", uniform({3 * o.channels, o.channels}, std::sqrt(6. / double(4 * o.channels)), default_generator().next()))),
      in_proj_bias_(o.bias ? &add_parameter("in_proj_bias", Tensor::zeros({3 * o.channels})) : nullptr),
      out_proj_(add<Linear>("out_proj", {.in = o.channels, .out = o.channels, .bias = o.bias})) {
  if (o.bias) out_proj_.parameters()[1].second->value.assign(Tensor::zeros({o.channels}));
}

Variable MultiheadAttention::project(const Variable& x) {
  require(x.rank() == 3 && x.dim(2) == o_.channels, "expected x of shape (B, T, ", o_.channels, "), got ", x.shape());
  return linear(x, in_proj_weight_, in_proj_bias_ ? *in_proj_bias_ : Variable());
}

Variable MultiheadAttention::forward(const Variable& x) { return out_proj_(attention(project(x), Variable(), {.heads = o_.heads})); }

Tensor MultiheadAttention::attention_weights(const Variable& x) {
  const NoGrad no_grad;
  return fovea::attention_weights(project(x).value(), Tensor(), {.heads = o_.heads});
}

std::string MultiheadAttention::describe() const {
  return detail::join("MultiheadAttention(", o_.channels, ", heads ", o_.heads, o_.bias ? ")" : ", no bias)");
}

}   // namespace fovea::nn
