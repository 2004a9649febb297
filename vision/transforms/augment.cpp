// augment.cpp: one read of each pixel, one write; about half a microsecond for a picture of MNIST's size.
#include "vision/transforms/augment.h"

#include <algorithm>

namespace fovea::vision {

RandomKey augment_key(RandomKey key, std::uint64_t epoch) { return key.fork("augment", epoch); }

Augmentation draw_augmentation(const AugmentOptions& o, RandomKey epoch_key, std::int64_t index) {
  const auto i = static_cast<std::uint64_t>(index) * 3;   // three numbers a picture, drawn or not: options do not move each other
  Augmentation a;
  if (o.shift > 0) {
    const auto choices = static_cast<std::uint64_t>(2 * o.shift + 1);
    a.dy = static_cast<std::int64_t>(epoch_key.below(i, choices)) - o.shift;
    a.dx = static_cast<std::int64_t>(epoch_key.below(i + 1, choices)) - o.shift;
  }
  if (o.flip) a.flip = epoch_key.below(i + 2, 2) == 1;
  return a;
}

void augment_picture(const std::uint8_t* x, float* y, PictureShape s, const Augmentation& a, const Normalize& normalize) {
  const std::int64_t C = s.channels, row = s.width * C;
  // Columns begin..end-1 of the shifted picture have a source; the others are black.
  const std::int64_t begin = std::clamp(a.dx, std::int64_t{0}, s.width),
                     end = std::max(begin, std::clamp(s.width + a.dx, std::int64_t{0}, s.width));
  for (std::int64_t r = 0; r < s.height; ++r) {
    const std::int64_t source = r - a.dy;
    const bool outside = source < 0 || source >= s.height;
    for (std::int64_t c = 0; c < C; ++c) {
      const float* table = normalize.table(c);
      float* to = y + r * row + c;
      std::int64_t step = C;
      if (a.flip) {
        to += row - C;
        step = -C;
      }
      const float black = table[0];
      if (outside) {
        for (std::int64_t col = 0; col < s.width; ++col) to[col * step] = black;
        continue;
      }
      const std::uint8_t* from = x + source * row + c;
      for (std::int64_t col = 0; col < begin; ++col) to[col * step] = black;
      for (std::int64_t col = begin; col < end; ++col) to[col * step] = table[from[(col - a.dx) * C]];
      for (std::int64_t col = end; col < s.width; ++col) to[col * step] = black;
    }
  }
}

}   // namespace fovea::vision
