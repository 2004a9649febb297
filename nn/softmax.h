// softmax.h: softmax and its logarithm as layers, for networks whose output is probabilities. Training wants the logits: cross_entropy
// takes them as they are. Gradients, source and cost: kernels/softmax.h.
#pragma once

#include "nn/module.h"

namespace fovea::nn {

struct SoftmaxOptions {};

/// y_j = exp(x_j) / sum_i exp(x_i) over the last axis: the channels. x (..., classes) -> y (..., classes).
class Softmax : public Module {
 public:
  using Options = SoftmaxOptions;
  explicit Softmax(const Options& = {}) {}
  Variable forward(const Variable& x) override;
  std::string describe() const override { return "Softmax"; }
};

/// y = log softmax(x) over the last axis. x (..., classes) -> y (..., classes).
class LogSoftmax : public Module {
 public:
  using Options = SoftmaxOptions;
  explicit LogSoftmax(const Options& = {}) {}
  Variable forward(const Variable& x) override;
  std::string describe() const override { return "LogSoftmax"; }
};

}   // namespace fovea::nn
