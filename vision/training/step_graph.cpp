#include "vision/training/step_graph.h"

#include "tensor/cuda.h"

namespace fovea::vision {

StepOutput StepGraph::operator()(const Tensor& images, const Tensor& labels) {
  if (!std::exchange(ran_, true)) return step_(images.to(Device::cuda), labels);
  if (!graph_) {
    const MemoryTag tag("batches");
    images_ = images.to(Device::cuda).clone();
    labels_ = labels.to(Device::cuda).clone();
    graph_.emplace([&] { output_ = step_(images_, labels_); });
  }
  images_.copy_from(images);
  labels_.copy_from(labels);
  graph_->launch();
  return {.loss = output_.loss.clone(), .predicted = output_.predicted.clone()};
}

}   // namespace fovea::vision
