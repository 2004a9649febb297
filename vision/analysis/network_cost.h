// network_cost.h: what a network costs, layer by layer, found by running it on Device::meta: the very ops that would compute tell their
// shapes, multiply-adds and memory, and nothing is computed. Milliseconds for any network at any size.
//
// Multiply-adds are counted as autograd/multiply_adds.h says. `kept` is what the graph of a training pass holds for its backward pass: a fused
// convolution its raw output alone, attention no score matrix, recomputed blocks their input. Bytes are float32's, as the allocator's blocks.
#pragma once

#include <string>
#include <vector>

#include "vision/models/models.h"

namespace fovea::vision {

/// A module with all below it.
struct LayerCost {
  std::string path;   // "layer1.0.conv1"; "" for the network
  int depth;          // 0 for the network
  enum class Ran {
    no,       // not in a forward pass (GoogLeNet's side classifiers)
    fused,    // a norm, within the convolution before it
    itself,   // and gave `output`
  } ran;
  Shape output;   // in evaluation
  std::int64_t parameters, multiply_adds;
  std::size_t kept;
};

struct NetworkCost {
  std::vector<LayerCost> layers;   // the network, then all below in order of registration
  std::size_t input;               // bytes of the images
  std::size_t inference_peak;      // most bytes of images and activations at a time, without gradients
  std::string cannot_train;        // "", or why there is no training pass (a batch norm over one value); kept is 0 then
  const LayerCost& total() const { return layers.front(); }
};

/// For `batch` square images of `size` pixels a side. One at a time in a process: its memory on meta is what is counted. Throws Error for a size that does not go through; see size_that_works.
NetworkCost network_cost(const std::string& model, const ModelOptions& o, std::int64_t size, std::int64_t batch);

/// The least size, not below `size`, that the network takes (options as they are, image_size follows); 0 if there is none up to 4096.
std::int64_t size_that_works(const std::string& model, const ModelOptions& o, std::int64_t size);

struct ModelSize {
  std::int64_t parameters, multiply_adds;
};
/// Of the network as it was published: its classes, channels and size, without auxiliary heads.
ModelSize model_size(const ModelEntry& entry);

/// Bytes that training holds from step to step, beside activations: the arenas of parameters and gradients, and the optimiser's memory.
struct OptimizerCost {
  std::string optimizer;
  std::size_t parameters, gradients, state;
};
/// For each optimiser that a recipe can name.
std::vector<OptimizerCost> optimizer_costs(const std::string& model, const ModelOptions& o);

}   // namespace fovea::vision
