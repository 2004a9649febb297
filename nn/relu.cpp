#include "nn/relu.h"

#include "autograd/elementwise.h"

namespace fovea::nn {

Variable ReLU::forward(const Variable& x) { return relu(x); }

}   // namespace fovea::nn
