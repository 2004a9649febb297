#include "nn/flatten.h"

#include "autograd/shape_ops.h"

namespace fovea::nn {

Variable Flatten::forward(const Variable& x) { return flatten(x); }

}   // namespace fovea::nn
