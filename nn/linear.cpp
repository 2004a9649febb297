#include "nn/linear.h"

#include <cmath>

#include "nn/init.h"

namespace fovea::nn {
namespace {

const LinearOptions& checked(const LinearOptions& o) {
  require(o.in >= 1 && o.out >= 1, "Linear: expected at least one feature in and out, got in ", o.in, ", out ", o.out);
  return o;
}

// kaiming_uniform with a = sqrt(5), the slope of a leaky ReLU: gain = sqrt(2 / (1 + a^2)) = sqrt(1 / 3), bound = 1 / sqrt(in).
const double kGain = std::sqrt(1. / 3);

}   // namespace

Linear::Linear(const Options& o)
    : o_(checked(o)), weight_(add_parameter("weight", he_uniform({o.out, o.in}, Fan::in, kGain, default_generator().next()))) {
  if (o.bias) bias_ = &add_parameter("bias", uniform({o.out}, 1 / std::sqrt(static_cast<double>(o.in)), default_generator().next()));
}

Variable Linear::forward(const Variable& x) {
  require(x.rank() >= 1 && x.dim(-1) == o_.in, "expected x of shape (..., ", o_.in, "), got ", x.shape());
  return linear(x, weight_, bias_ ? *bias_ : Variable());
}

std::string Linear::describe() const { return detail::join("Linear(", o_.in, " -> ", o_.out, o_.bias ? ")" : ", no bias)"); }

}   // namespace fovea::nn
