#include "nn/sequential.h"

namespace fovea::nn {

Variable Sequential::forward(const Variable& x) {
  Variable y = x;
  for (const auto& layer : children()) y = (*layer)(y);
  return y;
}

}   // namespace fovea::nn
