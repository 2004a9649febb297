#include "nn/squeeze_excitation.h"

#include "autograd/pooling.h"
#include "autograd/scale_channels.h"
#include "autograd/shape_ops.h"

namespace fovea::nn {
namespace {

const SqueezeExcitationOptions& checked(const SqueezeExcitationOptions& o) {
  require(o.channels >= 1 && o.squeeze >= 1, "SqueezeExcitation: expected at least one channel and one to squeeze into, got ", o.channels,
          " and ", o.squeeze);
  return o;
}

}   // namespace

SqueezeExcitation::SqueezeExcitation(const Options& o)
    : o_(checked(o)),
      fc1_(add<Conv2d>("fc1", {.in = o.channels, .out = o.squeeze, .kernel = 1})),
      fc2_(add<Conv2d>("fc2", {.in = o.squeeze, .out = o.channels, .kernel = 1})) {}

Variable SqueezeExcitation::forward(const Variable& x) {
  require(x.rank() == 4 && x.dim(3) == o_.channels, "expected x of shape (N, H, W, ", o_.channels, "), got ", x.shape());
  const Variable z = reshape(global_avg_pool(x), {x.dim(0), 1, 1, o_.channels});              // Eq. (2)
  const Variable s = activate(fc2_(activate(fc1_(z), o_.activation)), o_.scale_activation);   // Eq. (3): (N, 1, 1, channels)
  return scale_channels(x, reshape(s, {x.dim(0), o_.channels}));                              // Eq. (4)
}

std::string SqueezeExcitation::describe() const { return detail::join("SqueezeExcitation(", o_.channels, " -> ", o_.squeeze, ")"); }

}   // namespace fovea::nn
