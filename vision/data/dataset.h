// dataset.h: labelled pictures in memory, and how they are cut into batches.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "tensor/tensor.h"

namespace fovea::vision {

/// Pictures of one size with their classes.
struct ImageSet {
  Tensor images;                      // (N, H, W, C) uint8
  std::vector<std::int64_t> labels;   // (N), 0..classes-1
  std::vector<std::string> class_names;
  std::int64_t size() const { return static_cast<std::int64_t>(labels.size()); }
  std::int64_t classes() const { return static_cast<std::int64_t>(class_names.size()); }
  /// Copies the pictures with these indices.
  ImageSet subset(const std::vector<std::int64_t>& indices) const;
};

/// The three parts of a data set. The test part is looked at once, at the end.
struct DataSplits {
  std::string name;
  ImageSet train, validation, test;
  std::vector<float> mean, std;   // per channel of pixels / 255, for normalisation
};

/// The four gzip-compressed (or plain) IDX files of MNIST in `folder`. The last 5,000 training pictures are the validation part.
/// Throws Error naming the file: missing, truncated, not IDX, of another type or shape, counts that differ, a label past 9.
DataSplits load_mnist(const std::filesystem::path& folder);

/// The order of an epoch: a permutation of 0..n-1 (Fisher-Yates on Philox), a function of (key, epoch) alone.
std::vector<std::int64_t> epoch_order(std::int64_t n, RandomKey key, std::uint64_t epoch);

struct Batch {
  Tensor images;   // (B, H, W, C) float32, normalised
  Tensor labels;   // (B) int64
};

}   // namespace fovea::vision
