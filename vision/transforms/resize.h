// resize.h: a picture of any size to the size a network takes.
#pragma once

#include <cstdint>

#include "tensor/tensor.h"

namespace fovea::vision {

/// Bilinear: a triangle of 2 pixels; bicubic: Keys 1981 with a = -0.5, over 4.
enum class ResizeFilter { bilinear, bicubic };

/// (H, W, C) uint8 -> (height, width, C) uint8, with antialiasing: when it shrinks, the filter widens to cover the pixels that become one.
/// The same bytes as Pillow's Image.resize(..., BILINEAR or BICUBIC), which trained the published models: rows first, then columns.
/// (Pillow 13 takes columns first where the height shrinks by more than the width; that rounds other halves, by 1 at most.)
Tensor resize(const Tensor& image, std::int64_t height, std::int64_t width, ResizeFilter filter = ResizeFilter::bilinear);

/// How a picture becomes a square: its middle is cut out, or it is padded with black (0) on its short sides.
enum class SquareFit { crop, pad };
/// (H, W, C) uint8 -> (size, size, C) uint8, proportions kept.
Tensor resize_to_square(const Tensor& image, std::int64_t size, SquareFit fit);

/// 255 - pixel: dark on light to light on dark, as MNIST has it.
Tensor invert(const Tensor& image);

}   // namespace fovea::vision
