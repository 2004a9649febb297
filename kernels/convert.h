// convert.h: numbers in another dtype. Each is read once and written once; the gradient is the conversion back. Rounding is exact, so Reference has no
// version of its own.
#pragma once

#include <cstdint>

#include "kernels/backend.h"
#include "kernels/bfloat16.h"

namespace fovea::kernels {

/// y = x in another dtype, rounded to nearest even; From and To are two of float, double and bfloat16. Denormal numbers are kept.
template <class From, class To> void convert(Cpu be, const From* x, To* y, std::int64_t n);
/// Between float and bfloat16 only: 6 B an element.
template <class From, class To> void convert(Cuda be, const From* x, To* y, std::int64_t n);

}   // namespace fovea::kernels
