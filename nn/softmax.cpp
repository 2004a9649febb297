#include "nn/softmax.h"

#include "autograd/softmax.h"

namespace fovea::nn {

Variable Softmax::forward(const Variable& x) { return softmax(x); }
Variable LogSoftmax::forward(const Variable& x) { return log_softmax(x); }

}   // namespace fovea::nn
