// image_file.h: pictures from and to files.
#pragma once

#include <cstdint>
#include <filesystem>

#include "tensor/tensor.h"

namespace fovea::vision {

/// PNG, JPEG, BMP or PNM (PGM, PPM) -> (H, W, channels) uint8; channels is 1 (grey) or 3 (red, green, blue). Grey is ITU-R 601 luma
/// in Pillow's rounding; what is transparent is laid over white; of 16 bits the upper 8 count. Throws Error naming the file: missing, no
/// picture, damaged, over 100 megapixels (told from its header, before memory is taken).
Tensor read_image(const std::filesystem::path& path, int channels);

/// (H, W, 1 or 3) uint8 -> PNG, written to a temporary name and renamed. Throws Error: not writable, disk full.
void write_png(const std::filesystem::path& path, const Tensor& image);

}   // namespace fovea::vision
