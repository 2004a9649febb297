#include "tensor/weight_file.h"

#include "tensor/input_file.h"
#include "tensor/pytorch_file.h"
#include "tensor/zip_file.h"

namespace fovea {

WeightFile read_weight_file(const std::filesystem::path& path) {
  if (is_pytorch_file(path)) {
    PyTorchFile file = read_pytorch_file(path);
    return {.tensors = std::move(file.tensors),
            .format = is_zip(InputFile(path)) ? "PyTorch (zip)" : "PyTorch (legacy)",
            .ignored = std::move(file.ignored)};
  }
  return {.tensors = read_safetensors(path), .format = "safetensors", .ignored = {}};
}

}   // namespace fovea
