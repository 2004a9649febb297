// compare_activations.h: which layer is the first whose output differs from another framework's, and why. The other framework's outputs come from a
// file with a tensor `x`, the network's input, and the outputs of layers under their dotted names; tests/parity/dump_activations.py writes one.
#pragma once

#include <optional>

#include "nn/module.h"
#include "tensor/safetensors.h"

namespace fovea::vision {

/// The order of the axes of images. Networks here run on nhwc.
enum class ImageLayout { nhwc, nchw };

/// (N, C, H, W) -> (N, H, W, C) and back; other ranks, and nhwc, as they are.
Tensor from_layout(const Tensor& t, ImageLayout layout);
Tensor to_layout(const Tensor& t, ImageLayout layout);

/// max |ours - theirs| / max |theirs|; infinite where either has NaN or infinity. The shapes are equal.
double relative_difference(const Tensor& ours, const Tensor& theirs);

/// While the handles live, record(path, module, input, output) is called for every module from `net` down whose path is wanted, children before
/// parents. A module that runs a second time is "path#2". What nobody listens to stays fused.
using Record = std::function<void(const std::string& path, const nn::Module& m, const Variable& x, const Variable& y)>;
std::vector<nn::Module::HookHandle> listen(nn::Module& net, const std::function<bool(const std::string& path)>& wanted,
                                           const Record& record);

struct LayerComparison {
  std::string layer, description;
  Shape ours, theirs;   // as this framework has it, as the file has it
  /// Of the layout of theirs that comes nearest: (N, C, H, W) or (N, H, W, C), axes of extent 1 aside. Infinite where no layout has our
  /// shape, one side has numbers that are not finite, or theirs is all zeros and ours is not; `problem` says which.
  double error = 0;
  std::string problem = "";
};

struct ActivationComparison {
  std::vector<LayerComparison> layers;   // in the order in which they ran
  std::optional<std::size_t> first;      // of the layers, the one that is the first with an error above the tolerance
  std::vector<std::string> suspects;     // what would explain it: tried, not guessed (layer_suspects.h)
  std::vector<std::string> not_in_file, not_in_network;
};

/// Runs the network on the file's x in `dtype`, in the mode that it is in (training or evaluation), recording nothing for gradients. x is (N, C, H, W) in the
/// file when `layout` is nchw. Throws Error without x or without any layer of the network, and for an x that is not finite or not of rank 4.
ActivationComparison compare_activations(nn::Module& net, const TensorFile& file, ImageLayout layout, double tolerance = 1e-4,
                                         DType dtype = DType::f32);

}   // namespace fovea::vision
