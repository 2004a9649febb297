#include "vision/analysis/fixed_numbers.h"

namespace fovea::vision {

Tensor fixed_numbers(const std::string& name, const Shape& shape, double factor, double offset, DType dtype) {
  std::uint32_t seed = 0x811C9DC5u;
  for (const char c : name) seed = (seed ^ static_cast<unsigned char>(c)) * 0x01000193u;
  require(dtype == DType::f32 || dtype == DType::f64, "fixed_numbers: expected float32 or float64, got ", name_of(dtype));
  Tensor t = Tensor::empty(shape, dtype);
  float* single = dtype == DType::f32 ? t.data<float>() : nullptr;
  double* twice = dtype == DType::f64 ? t.data<double>() : nullptr;
  for (std::int64_t i = 0, n = t.elements(); i < n; ++i) {
    std::uint32_t h = static_cast<std::uint32_t>(i) + 1 + seed;
    h = (h ^ (h >> 16)) * 0x85EBCA6Bu;
    h = (h ^ (h >> 13)) * 0xC2B2AE35u;
    h ^= h >> 16;
    const double value = offset + factor * ((h >> 16) / 65536. - 0.5);
    if (single)
      single[i] = static_cast<float>(value);
    else
      twice[i] = value;
  }
  return t;
}

}   // namespace fovea::vision
