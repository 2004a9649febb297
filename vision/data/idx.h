// idx.h: the IDX format of the MNIST files: two zero bytes, a type, the number of dimensions, the dimensions as big-endian
// 32-bit integers, then the values. http://yann.lecun.com/exdb/mnist ("the IDX file format")
#pragma once

#include <filesystem>

#include "tensor/tensor.h"

namespace fovea::vision {

/// The uint8 tensor of `rank` dimensions (1..4) in an IDX file, gzip-compressed or plain. The file is treated as hostile: no more
/// memory is taken than its size can account for. Throws Error naming the file, with expected and actual: missing, not IDX,
/// another type or rank, truncated, bytes left over, corrupted gzip.
Tensor read_idx(const std::filesystem::path& path, int rank);

}   // namespace fovea::vision
