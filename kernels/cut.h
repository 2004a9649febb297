// cut.h: pictures of bytes become the network's input: of each a window, mirrored or not, black where it lies outside the picture, its pixels
// looked up in a table, which has the division by 255, mean and deviation in it. A pixel is read as a byte and written once: 5 B of float, 3 of
// bfloat16; no arithmetic, so Reference has no version of its own.
#pragma once

#include <cstdint>

#include "kernels/backend.h"
#include "kernels/bfloat16.h"

namespace fovea::kernels {

/// Of one picture.
struct Cut {
  std::int64_t first = 0;           // of `pixels`, where the picture (h, w, c) begins
  std::int32_t h = 0, w = 0;        // its size
  std::int32_t top = 0, left = 0;   // of the window in it; may lie outside
  bool flip = false;                // mirrored, left to right
};

struct CutShape {
  std::int64_t n, height, width, c;   // of y: pictures, size of every window, channels
};

/// y (n, height, width, c): y[i, r, q, ch] = table[ch, p], p = pixels[top + r, left + q] of picture i, or 0 outside; with flip q counts from the
/// right. table is (c, 256). Rounded to T once. Cuda: n height and width c are below 2^31.
template <class T> void cut(Cpu be, const std::uint8_t* pixels, const Cut* cuts, const float* table, T* y, const CutShape& s);
template <class T> void cut(Cuda be, const std::uint8_t* pixels, const Cut* cuts, const float* table, T* y, const CutShape& s);

}   // namespace fovea::kernels
