// safetensors.h: named tensors in a file. 8 bytes of header length (little endian), a JSON header, then the data.
// https://github.com/huggingface/safetensors#format
//
// Reading treats the file as hostile: lengths, offsets, overlaps, shapes and dtypes are checked before memory is taken,
// and every error names the file and the entry.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tensor/atomic_file.h"
#include "tensor/tensor.h"

namespace fovea {

struct TensorFile {
  std::vector<std::pair<std::string, Tensor>> tensors;   // in the order in which their data lie in the file
  std::map<std::string, std::string> metadata;           // the header's __metadata__
  const Tensor* find(const std::string& name) const;     // null when absent
};

/// Throws Error: missing, truncated, malformed or unsupported (naming the entry). F16 is read as float32.
TensorFile read_safetensors(const std::filesystem::path& path);
/// As an AtomicFile: whatever happens, `path` holds the old file or the new one. The same tensors make the same bytes. Throws
/// Error: disk full, not writable, two tensors of one name.
void write_safetensors(const std::filesystem::path& path, const TensorFile& file);

}   // namespace fovea
