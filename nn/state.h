// state.h: a module's parameters and buffers as a file's entries, in PyTorch's names, layout and dtypes.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "nn/module.h"
#include "tensor/safetensors.h"

namespace fovea::nn {

/// Copies in the host's memory, each under its dotted name, in PyTorch's order: a module's parameters, its buffers (running_mean, running_var,
/// num_batches_tracked), then its children.
TensorFile state_dict(Module& m);

/// The names and shapes of its entries, without copying them.
std::vector<std::pair<std::string, Shape>> state_shapes(Module& m);

/// A tensor shaped like a parameter (its value, its momentum) in the layout of files and the host's memory, and back. to_memory copies where the
/// layouts differ.
Tensor to_disk(const Tensor& t, DiskLayout layout);
Tensor to_memory(const Tensor& t, DiskLayout layout);

struct LoadReport {
  std::vector<std::string> matched, missing, unexpected;
  std::vector<std::string> wrong_shape;   // with both shapes, as on disk; or with both dtypes when integers meet floats
  bool complete() const { return missing.empty() && unexpected.empty() && wrong_shape.empty(); }
  std::string str() const;   // a few lines for people
};
/// Loads what fits; float dtypes are converted. Entries that are not the module's are `unexpected`; nothing else of the module changes.
LoadReport load_state_dict(Module& m, const TensorFile& file);

}   // namespace fovea::nn
