// normalize.cpp: fills the table, and applies it to whole tensors.
#include "vision/transforms/normalize.h"

#include <cmath>

namespace fovea::vision {

Normalize::Normalize(const std::vector<float>& mean, const std::vector<float>& std)
    : channels_(static_cast<std::int64_t>(mean.size())), table_(256 * mean.size()) {
  require(!mean.empty() && mean.size() == std.size(), "normalize: expected a mean and a std for each channel, got ", mean.size(), " and ",
          std.size());
  for (std::size_t c = 0; c < mean.size(); ++c) {
    require(std::isfinite(mean[c]) && std::isfinite(std[c]) && std[c] > 0, "normalize: expected a finite mean and std > 0 for channel ", c,
            ", got ", mean[c], " and ", std[c]);
    for (std::size_t p = 0; p < 256; ++p)
      table_[256 * c + p] = static_cast<float>((static_cast<double>(p) / 255 - double{mean[c]}) / double{std[c]});
  }
}

Tensor Normalize::operator()(const Tensor& images, Device device) const {
  require(images.dtype() == DType::u8 && images.rank() >= 1 && images.dim(-1) == channels_, "normalize: expected uint8 images (..., ",
          channels_, "), got ", name_of(images.dtype()), " ", images.shape());
  Tensor y = Tensor::empty(images.shape(), DType::f32, on_host(device) ? device : Device::cpu);
  const std::uint8_t* from = images.data<std::uint8_t>();
  float* to = y.data<float>();
  const std::int64_t pixels = images.elements() / channels_;
  for (std::int64_t i = 0; i < pixels; ++i)
    for (std::int64_t c = 0; c < channels_; ++c) *to++ = table(c)[*from++];
  return y.to(device);
}

}   // namespace fovea::vision
