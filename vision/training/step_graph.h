// step_graph.h: the forward and backward pass of a training step as one recorded piece of work (tensor/graph.h).
#pragma once

#include <functional>
#include <optional>
#include <utility>

#include "tensor/graph.h"
#include "tensor/tensor.h"

namespace fovea::vision {

/// What a step leaves where the network is.
struct StepOutput {
  Tensor loss;        // a scalar
  Tensor predicted;   // int64 (B): predicted_classes()
};
/// images (B, H, W, C), labels (B); the gradients are where the optimiser wants them.
using Step = std::function<StepOutput(const Tensor& images, const Tensor& labels)>;

class StepGraph {
 public:
  explicit StepGraph(Step step) : step_(std::move(step)) {}
  /// The first call runs the step as it is, which takes memory from the device; the second records it; from then on it is replayed, with the bits of
  /// an eager run. images and labels, of the host or the device, have the same shapes each time.
  StepOutput operator()(const Tensor& images, const Tensor& labels);

 private:
  Step step_;
  bool ran_ = false;
  Tensor images_, labels_;   // what the recorded step reads
  StepOutput output_;        // and writes
  std::optional<CudaGraph> graph_;
};

}   // namespace fovea::vision
