// given_network.h: a network by name with weights from a file: what `run` and `compare` begin with.
#pragma once

#include <memory>

#include "examples/cli/commands.h"
#include "tensor/safetensors.h"
#include "vision/analysis/compare_activations.h"

namespace fovea::cli {

struct NetworkFlags {
  std::string model, weights, layout = "nhwc";
  std::int64_t classes = 0, image_size = 0;   // 0: what the weights say
  bool train = false;
  MachineOptions machine;
  void add_to(Command& command);
  vision::ImageLayout image_layout() const { return layout == "nchw" ? vision::ImageLayout::nchw : vision::ImageLayout::nhwc; }
};

/// With every weight from the file, or an Error that says which are missing or do not fit. `channels` is of the images. In training mode dropout
/// and stochastic depth are off, since nobody can compare what is random.
std::unique_ptr<vision::Classifier> given_network(const NetworkFlags& flags, std::int64_t channels);

/// The tensor `name` of a file, in floats; Error where it is missing, not of rank `rank`, not of floats, or not finite.
Tensor given_tensor(const TensorFile& file, const std::string& path, const std::string& name, int rank);

}   // namespace fovea::cli
