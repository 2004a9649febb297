#include "nn/upsample.h"

namespace fovea::nn {

Upsample::Upsample(const Options& o) : o_(o) {
  require((o.size == Size2(0)) != (o.scale_factor == 0), "Upsample: expected either a size or a scale_factor, got size (", o.size.h, ", ",
          o.size.w, "), scale_factor ", o.scale_factor);
  require(!o.align_corners || o.mode != Interpolation::nearest, "Upsample: expected bilinear or bicubic with align_corners, got nearest");
}

Variable Upsample::forward(const Variable& x) { return interpolate(x, o_); }

std::string Upsample::describe() const {
  constexpr const char* kModes[] = {"nearest", "bilinear", "bicubic"};
  return detail::join("Upsample(",
                      o_.scale_factor != 0 ? detail::join("scale ", o_.scale_factor) : detail::join(o_.size.h, " x ", o_.size.w), ", ",
                      kModes[static_cast<int>(o_.mode)], o_.align_corners ? ", align_corners)" : ")");
}

}   // namespace fovea::nn
