// jpeg.h: JPEG files, decoded by libjpeg-turbo to the bytes that Pillow gives: the exact integer DCT ("islow"), smooth ("fancy")
// upsampling of the colour differences, and Pillow's arithmetic from CMYK to RGB.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "tensor/tensor.h"

namespace fovea::vision {

/// Starts with the marker of a JPEG file, FF D8 FF.
bool is_jpeg(std::string_view bytes);

struct JpegSize {
  std::int64_t height, width;
};
/// From the header alone. Throws Error with libjpeg's words.
JpegSize jpeg_size(std::string_view bytes);

/// (H, W, 1 or 3) uint8: grey or RGB, as in the file; four components (CMYK, YCCK, stored inverted as Adobe does) become RGB. Data that
/// end early are an error; stray bytes between them are passed over, as Pillow does. Throws Error without a file's name.
Tensor decode_jpeg(std::string_view bytes);

}   // namespace fovea::vision
