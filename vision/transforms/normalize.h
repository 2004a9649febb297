// normalize.h: pixels to numbers of mean 0 and standard deviation 1: y = (p / 255 - mean_c) / std_c.
#pragma once

#include <cstdint>
#include <vector>

#include "tensor/tensor.h"

namespace fovea::vision {

/// A pixel has 256 values, so the formula is a table: evaluated in double, rounded once. One load per pixel.
class Normalize {
 public:
  /// One mean and one standard deviation (> 0) per channel, of pixels / 255. Throws ShapeError otherwise.
  Normalize(const std::vector<float>& mean, const std::vector<float>& std);
  std::int64_t channels() const { return channels_; }
  const std::vector<float>& table() const { return table_; }   // (C, 256)
  /// The 256 values of channel c.
  const float* table(std::int64_t c) const { return table_.data() + 256 * c; }
  /// (..., C) uint8 -> the same shape in float32.
  Tensor operator()(const Tensor& images, Device device = Device::cpu) const;

 private:
  std::int64_t channels_;
  std::vector<float> table_;   // (C, 256)
};

}   // namespace fovea::vision
