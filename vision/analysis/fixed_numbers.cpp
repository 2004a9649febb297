#include "vision/analysis/fixed_numbers.h"

namespace fovea::vision {

Tensor fixed_numbers(const std::string& name, const Shape& shape, double factor, double offset) {
  std::uint32_t seed = 0x811C9DC5u;
  for (const char c : name) seed = (seed ^ static_cast<unsigned char>(c)) * 0x01000193u;
  Tensor t = Tensor::empty(shape);
  float* out = t.data<float>();
  for (std::int64_t i = 0, n = t.elements(); i < n; ++i) {
    std::uint32_t h = static_cast<std::uint32_t>(i) + 1 + seed;
    h = (h ^ (h >> 16)) * 0x85EBCA6Bu;
    h = (h ^ (h >> 13)) * 0xC2B2AE35u;
    h ^= h >> 16;
    out[i] = static_cast<float>(offset + factor * ((h >> 16) / 65536. - 0.5));
  }
  return t;
}

}   // namespace fovea::vision
