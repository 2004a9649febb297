// convert.h: numbers in another dtype. Each is read once and written once; the gradient is the conversion back.
#pragma once

#include <cstdint>

#include "kernels/backend.h"
#include "kernels/bfloat16.h"

namespace fovea::kernels {

/// y = x in another dtype, rounded to nearest even; From and To are two of float, double and bfloat16. Denormal numbers are kept.
template <class From, class To> void convert(const From* x, To* y, std::int64_t n);
/// The same on the device, between float and bfloat16: 6 B an element.
template <class From, class To> void convert(Cuda be, const From* x, To* y, std::int64_t n);

}   // namespace fovea::kernels
