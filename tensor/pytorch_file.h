// pytorch_file.h: reads and writes what torch.save writes (.pth, .pt, .bin), without Python: the zip archives of PyTorch 1.6 and later and
// the legacy form before it (which torchvision's older files still have).
//
// A file is a pickle (pickle.h) that mentions storages, and the storages' bytes. Nothing is ever called: tensors are recognised by the
// name of the function that would make them; anything else that is not a plain value (an argparse.Namespace among training options, a
// NumPy number) stays a description and is listed. Inside a tensor nothing unknown is accepted.
#pragma once

#include <filesystem>
#include <set>
#include <string>

#include "tensor/safetensors.h"

namespace fovea {

struct PyTorchFile {
  /// Every tensor under its place in the nested dictionaries, joined by points: "state_dict.layer1.0.conv1.weight". float16 becomes
  /// float32; int8, int16, int32 and booleans become int64; strided views are made contiguous; what shares a storage is copied.
  TensorFile tensors;
  /// Classes and functions that the file mentions outside of tensors ("argparse.Namespace"): ignored.
  std::set<std::string> ignored;
};

/// Does the file look like one that torch.save wrote?
bool is_pytorch_file(const std::filesystem::path& path);

/// Throws Error naming the file and the entry: missing, truncated, not of this kind, a tensor outside of its storage or made of something
/// unknown, sizes that the file cannot mean. The tensors together take at most 16 times the file's size.
PyTorchFile read_pytorch_file(const std::filesystem::path& path);

/// What torch.save(state_dict) writes, for torch.load(path, weights_only=True): an OrderedDict of contiguous tensors. As an AtomicFile,
/// and the same tensors make the same bytes; the metadata is not written. Throws Error: disk full, not writable, two tensors of one name,
/// more than a zip archive without extensions can hold (65,535 entries, 4 GiB).
void write_pytorch_file(const std::filesystem::path& path, const TensorFile& file);

}   // namespace fovea
