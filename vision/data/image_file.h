// image_file.h: pictures from and to files.
#pragma once

#include <cstdint>
#include <filesystem>

#include "tensor/tensor.h"

namespace fovea::vision {

/// PNG, JPEG, BMP or PNM (PGM, PPM) -> (H, W, channels) uint8; channels is 1 (grey) or 3 (red, green, blue). The format is told from the
/// content, not the name. Pixels are Pillow's (JPEG: see jpeg.h), grey is its ITU-R 601 luma; but what is transparent is laid over
/// white, and of 16 bits the upper 8 count. Throws Error naming the file: missing, no picture, damaged, over 100 megapixels (told from
/// its header, before memory is taken).
Tensor read_image(const std::filesystem::path& path, int channels);

struct PictureShape {
  std::int64_t height, width, channels;
  bool operator==(const PictureShape&) const = default;
};
/// What read_image would give, from the file's header alone. Throws Error as read_image does, but for damage behind the header.
PictureShape image_shape(const std::filesystem::path& path, int channels);

/// (H, W, 1 or 3) uint8 -> PNG, written to a temporary name and renamed. Throws Error: not writable, disk full.
void write_png(const std::filesystem::path& path, const Tensor& image);

}   // namespace fovea::vision
