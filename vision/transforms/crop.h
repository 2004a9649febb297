// crop.h: the part of a picture that a network sees: which one, and how it is cut out.
//
// Names, order and arithmetic are torchvision's (CenterCrop, RandomCrop with padding, RandomResizedCrop, RandomHorizontalFlip).
#pragma once

#include <cstdint>
#include <functional>

#include "kernels/cut.h"
#include "tensor/tensor.h"
#include "vision/transforms/normalize.h"

namespace fovea::vision {

/// Rows top..top + height - 1 and columns left..left + width - 1 of a picture, black where that lies outside; then mirrored if `flip`.
struct Window {
  std::int64_t top = 0, left = 0, height = 0, width = 0;
  bool flip = false;
  bool operator==(const Window&) const = default;
};

/// y[r, c] = normalize(x[top + r, left + c]): crop, padding, flip and normalisation in one pass, a read and a write for each pixel.
/// picture (H, W, C) uint8, y (height, width, C). C is that of `normalize`.
void cut(const Tensor& picture, const Window& w, const Normalize& normalize, float* y);
/// The same for a kernel that cuts several pictures; this one's bytes begin at `first`.
kernels::Cut placed(const Tensor& picture, const Window& w, std::int64_t first);

/// The pixels of a window that lies inside: (height, width, C) uint8. `flip` is ignored. Throws ShapeError when it reaches outside.
Tensor crop(const Tensor& picture, const Window& w);

/// The middle: top = (H - height) / 2, halves rounded to even.
Window center_crop(std::int64_t H, std::int64_t W, std::int64_t height, std::int64_t width);

struct ResizedCropOptions {
  double scale_min = 0.08, scale_max = 1;          // share of the picture's area
  double ratio_min = 3. / 4, ratio_max = 4. / 3;   // width / height
};
/// A window of random area (uniform) and proportions (uniform logarithm), later resized to the network's size: Szegedy et al. 2015, "Going
/// deeper with convolutions", section 6. Ten attempts, each with two numbers in [0, 1) from `uniform` and two more when the window fits
/// (row, then column); then the largest middle part whose proportions are allowed.
Window random_resized_crop(std::int64_t H, std::int64_t W, const ResizedCropOptions& o, const std::function<double()>& uniform);

}   // namespace fovea::vision
