// weight_file.h: the named tensors of a file of any kind that we know, told apart by content: safetensors, or what torch.save wrote.
#pragma once

#include <filesystem>
#include <set>
#include <string>

#include "tensor/safetensors.h"

namespace fovea {

struct WeightFile {
  TensorFile tensors;
  std::string format;              // "safetensors", "PyTorch (zip)", "PyTorch (legacy)"
  std::set<std::string> ignored;   // classes and functions that a pickle mentions outside of tensors: never looked up
};

/// Throws Error naming the file: missing, damaged, of no known kind.
WeightFile read_weight_file(const std::filesystem::path& path);

}   // namespace fovea
