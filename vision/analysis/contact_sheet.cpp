// contact_sheet.cpp: a grid of cells; in each the picture, below it two lines of text.
#include "vision/analysis/contact_sheet.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "vision/analysis/bitmap_font.h"
#include "vision/data/image_file.h"
#include "vision/transforms/resize.h"

namespace fovea::vision {
namespace {

constexpr Color kText{235, 235, 235}, kProbability{255, 180, 70}, kTitle{255, 255, 255};
constexpr std::uint8_t kBackground = 32;
constexpr std::int64_t kGap = 10, kMaxCaption = 240, kMaxSide = 16384, kLargest = 192;   // pixels
constexpr std::int64_t kLine = 2 * kGlyphHeight + 4;   // a line of text in its larger size, with the space below it

/// In the larger size when it fits, else the smaller, else cut.
void draw_fitted(Tensor& sheet, std::int64_t y, std::int64_t x, std::string text, Color color, std::int64_t width) {
  const std::int64_t scale = text_width(text, 2) <= width ? 2 : 1;
  while (text_width(text, scale) > width) text.pop_back();
  draw_text(sheet, y + (2 - scale) * kGlyphHeight / 2, x, text, color, scale);
}

/// picture (H, W, 1 or 3) with its upper left corner at (y, x), each pixel zoom x zoom.
void draw_picture(Tensor& sheet, std::int64_t y, std::int64_t x, const Tensor& picture, std::int64_t zoom) {
  const std::int64_t H = picture.dim(0), W = picture.dim(1), C = picture.dim(2), sheet_width = sheet.dim(1);
  const std::uint8_t* from = picture.data<std::uint8_t>();
  std::uint8_t* to = sheet.data<std::uint8_t>();
  for (std::int64_t r = 0; r < H * zoom; ++r)
    for (std::int64_t c = 0; c < W * zoom; ++c)
      for (std::int64_t k = 0; k < 3; ++k)
        to[((y + r) * sheet_width + x + c) * 3 + k] = from[((r / zoom) * W + c / zoom) * C + (C == 3 ? k : 0)];
}

/// Shrunk, if it must be, to kLargest pixels on its longer side.
Tensor shrunk(Tensor picture) {
  const std::int64_t H = picture.dim(0), W = picture.dim(1), longest = std::max(H, W);
  if (longest <= kLargest) return picture;
  return resize(picture, std::max<std::int64_t>(1, H * kLargest / longest), std::max<std::int64_t>(1, W * kLargest / longest));
}

}   // namespace

Tensor draw_contact_sheet(const Pictures& pictures, const std::vector<Prediction>& predictions, const ContactSheetOptions& o) {
  require(o.zoom >= 0 && o.limit >= 0 && o.columns >= 0, "contact sheet: expected zoom >= 0, limit >= 0 and columns >= 0, got ", o.zoom,
          ", ", o.limit, " and ", o.columns);
  std::vector<Prediction> wrong;
  for (const Prediction& p : predictions) {
    require(p.index >= 0 && p.index < pictures.size(), "contact sheet: expected indices from 0 to ", pictures.size() - 1, ", got ",
            p.index);
    require(p.predicted >= 0 && p.predicted < pictures.classes(), "contact sheet: expected classes 0 to ", pictures.classes() - 1, ", got ",
            p.predicted);
    require(p.probability >= 0 && p.probability <= 1, "contact sheet: expected probabilities from 0 to 1, got ", p.probability);
    if (p.predicted != pictures.label(p.index)) wrong.push_back(p);
  }
  std::sort(wrong.begin(), wrong.end(), [](const Prediction& a, const Prediction& b) {
    return a.probability != b.probability ? a.probability > b.probability : a.index < b.index;
  });
  if (static_cast<std::int64_t>(wrong.size()) > o.limit) wrong.resize(static_cast<std::size_t>(o.limit));

  const auto n = static_cast<std::int64_t>(wrong.size());
  std::vector<std::string> captions;
  std::vector<Tensor> shown;
  std::int64_t widest = 0, tallest = 0, broadest = 0;   // caption; pictures
  for (const Prediction& p : wrong) {
    const auto truth = static_cast<std::size_t>(pictures.label(p.index));
    captions.push_back(
        fmt::format("{} -> {}", pictures.class_names()[truth], pictures.class_names()[static_cast<std::size_t>(p.predicted)]));
    widest = std::max(widest, text_width(captions.back()));
    shown.push_back(shrunk(pictures.picture(p.index)));
    tallest = std::max(tallest, shown.back().dim(0));
    broadest = std::max(broadest, shown.back().dim(1));
  }
  const std::int64_t zoom = o.zoom ? o.zoom : std::max<std::int64_t>(1, 96 / std::max<std::int64_t>({1, tallest, broadest}));
  const std::int64_t columns =
      std::max<std::int64_t>(1, o.columns ? std::min(o.columns, n) : std::llround(std::ceil(std::sqrt(1.4 * static_cast<double>(n)))));
  const std::int64_t rows = (n + columns - 1) / columns;
  const std::int64_t cell_width = std::max(broadest * zoom, std::min(widest, kMaxCaption)), cell_height = tallest * zoom + 4 + 2 * kLine;
  const std::int64_t title_height = o.title.empty() ? 0 : kLine + kGap;
  const std::int64_t grid_width = kGap + columns * (cell_width + kGap),
                     title_width = 2 * kGap + std::min(text_width(o.title, 2), kMaxSide / 2);
  const std::int64_t width = std::max(grid_width, title_width), height = kGap + title_height + rows * (cell_height + kGap);
  require(width <= kMaxSide && height <= kMaxSide, "contact sheet: expected at most ", kMaxSide, " x ", kMaxSide, " pixels, got ", height,
          " x ", width, "; lower zoom or limit");

  Tensor sheet = Tensor::full({height, width, 3}, kBackground, DType::u8);
  draw_fitted(sheet, kGap, kGap, o.title, kTitle, width - 2 * kGap);
  for (std::int64_t i = 0; i < n; ++i) {
    const Prediction& p = wrong[static_cast<std::size_t>(i)];
    const std::int64_t x = kGap + i % columns * (cell_width + kGap), y = kGap + title_height + i / columns * (cell_height + kGap);
    draw_picture(sheet, y, x, shown[static_cast<std::size_t>(i)], zoom);
    const std::int64_t below = y + tallest * zoom + 4;
    draw_fitted(sheet, below, x, captions[static_cast<std::size_t>(i)], kText, cell_width);
    draw_fitted(sheet, below + kLine, x, fmt::format("{:.0f}%", 100 * p.probability), kProbability, cell_width);
  }
  return sheet;
}

void write_contact_sheet(const std::filesystem::path& path, const Pictures& pictures, const std::vector<Prediction>& predictions,
                         const ContactSheetOptions& o) {
  write_png(path, draw_contact_sheet(pictures, predictions, o));
}

}   // namespace fovea::vision
