// activation.h: the pointwise functions that convolutions and norms can apply on their way, with their derivatives.
// Each formula is written once, generic over V: float, double or the 16 virtual lanes of cpu/simd.h.
#pragma once

#include "kernels/backend.h"

namespace fovea::kernels {

enum class Activation { none, relu };

/// a > b ? a : b, as the hardware has it: b when either is NaN.
FOVEA_INLINE float max(float a, float b) { return a > b ? a : b; }
FOVEA_INLINE double max(double a, double b) { return a > b ? a : b; }
/// x where m > 0, else 0 (also where m is NaN).
FOVEA_INLINE float where_positive(float m, float x) { return m > 0 ? x : 0.f; }
FOVEA_INLINE double where_positive(double m, double x) { return m > 0 ? x : 0.; }

/// y = max(0, x), Nair & Hinton 2010. A NaN stays a NaN, so that a training that diverges shows it.
struct Relu {
  template <class V> FOVEA_INLINE static V value(V x) { return max(V(0.f), x); }
  /// dL/dx from dL/dy and either x or y: both are positive at the same places.
  template <class V> FOVEA_INLINE static V gradient(V x_or_y, V dy) { return where_positive(x_or_y, dy); }
};

/// The activation chosen at run time. The branch is the same for a whole tensor, so it predicts perfectly.
template <class V> FOVEA_INLINE V activate(Activation a, V x) { return a == Activation::relu ? Relu::value(x) : x; }
/// dL/dx from the activation's input x and dL/dy.
template <class V> FOVEA_INLINE V activate_gradient(Activation a, V x, V dy) { return a == Activation::relu ? Relu::gradient(x, dy) : dy; }

}   // namespace fovea::kernels
