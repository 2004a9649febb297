// bitmap_font.h: letters of 5 x 7 pixels, for captions in pictures.
#pragma once

#include <cstdint>
#include <string_view>

#include "tensor/tensor.h"

namespace fovea::vision {

struct Color {
  std::uint8_t r, g, b;
};

constexpr std::int64_t kGlyphHeight = 7, kGlyphAdvance = 6;   // 5 columns and one between letters; g, p, q, y reach 2 rows below

/// Pixels that `text` is wide when each font pixel is scale x scale.
constexpr std::int64_t text_width(std::string_view text, std::int64_t scale = 1) {
  return text.empty() ? 0 : (static_cast<std::int64_t>(text.size()) * kGlyphAdvance - 1) * scale;
}
/// Draws on image (H, W, 3) uint8 with the upper left corner at (y, x); what lies outside is left out. Letters, digits and
/// "%>-.,:/()_+=" have a shape, a space has none, anything else is drawn as a box.
void draw_text(Tensor& image, std::int64_t y, std::int64_t x, std::string_view text, Color color, std::int64_t scale = 1);

}   // namespace fovea::vision
