#include "nn/sequential.h"

#include "autograd/recompute.h"

namespace fovea::nn {

Variable run(Module& m, const Variable& x, bool recompute) {
  return recompute ? fovea::recompute([&m](const Variable& v) { return m(v); }, x) : m(x);
}

Variable Sequential::forward(const Variable& x) {
  Variable y = x;
  for (const auto& layer : children()) y = run(*layer, y, recompute_);
  return y;
}

Variable Sequential::forward_until(const Variable& x, const Module& last) {
  Variable y = x;
  for (const auto& layer : children()) {
    if (layer.get() == &last) return y;
    y = run(*layer, y, recompute_);
  }
  throw Error("forward_until: expected one of the layers, got " + last.describe());
}

}   // namespace fovea::nn
