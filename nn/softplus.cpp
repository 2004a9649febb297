#include "nn/softplus.h"

#include "autograd/softplus.h"

namespace fovea::nn {

Variable Softplus::forward(const Variable& x) { return softplus(x); }

}   // namespace fovea::nn
