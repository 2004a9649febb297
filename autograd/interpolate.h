// interpolate.h: resizing feature maps.
#pragma once

#include "autograd/conv.h"
#include "kernels/interpolate.h"

namespace fovea {

using kernels::Interpolation;

/// Size or scale, not both. With a scale the output has floor(H * scale) pixels, and source coordinates use the scale itself.
struct InterpolateConfig {
  Size2 size = 0;
  double scale_factor = 0;
  Interpolation mode = Interpolation::nearest;
  bool align_corners = false;   // bilinear and bicubic: corner pixels' centres keep their places, instead of the image's borders
};

/// x (N, H, W, C) -> (N, size.h, size.w, C). Keeps nothing. kernels/interpolate.h has the formulas.
Variable interpolate(const Variable& x, const InterpolateConfig& o);

}   // namespace fovea
