// convert_reference.cpp: the conversions that involve double.
#include <bit>
#include <cmath>

#include "kernels/convert.h"

namespace fovea::kernels {

namespace {

template <class To> To rounded(double x) { return To(x); }

/// By way of float it would be rounded twice: a float half-way between two bfloat16 is first moved to the side where x is.
template <> bfloat16 rounded<bfloat16>(double x) {
  float f = float(x);
  const bool half_way = (std::bit_cast<std::uint32_t>(f) & 0xffffu) == 0x8000u;
  if (half_way && double(f) != x) f = std::nextafter(f, double(f) < x ? INFINITY : -INFINITY);
  return bfloat16(f);
}

}   // namespace

template <class From, class To> void convert(Cpu, const From* x, To* y, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) y[i] = rounded<To>(x[i]);
}
template void convert(Cpu, const float*, double*, std::int64_t);
template void convert(Cpu, const double*, float*, std::int64_t);
template void convert(Cpu, const bfloat16*, double*, std::int64_t);
template void convert(Cpu, const double*, bfloat16*, std::int64_t);

}   // namespace fovea::kernels
