#include "nn/sequential.h"

namespace fovea::nn {

Variable Sequential::forward(const Variable& x) {
  Variable y = x;
  for (const auto& layer : children()) y = (*layer)(y);
  return y;
}

Variable Sequential::forward_until(const Variable& x, const Module& last) {
  Variable y = x;
  for (const auto& layer : children()) {
    if (layer.get() == &last) return y;
    y = (*layer)(y);
  }
  throw Error("forward_until: expected one of the layers, got " + last.describe());
}

}   // namespace fovea::nn
