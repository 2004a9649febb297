// contact_sheet.cpp: a grid of cells; in each the picture, below it two lines of text.
#include "vision/analysis/contact_sheet.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "vision/analysis/bitmap_font.h"
#include "vision/data/image_file.h"

namespace fovea::vision {
namespace {

constexpr Color kText{235, 235, 235}, kProbability{255, 180, 70}, kTitle{255, 255, 255};
constexpr std::uint8_t kBackground = 32;
constexpr std::int64_t kGap = 10, kMaxCaption = 240, kMaxSide = 16384;   // pixels
constexpr std::int64_t kLine = 2 * kGlyphHeight + 4;                     // a line of text in its larger size, with the space below it

/// In the larger size when it fits, else the smaller, else cut.
void draw_fitted(Tensor& sheet, std::int64_t y, std::int64_t x, std::string text, Color color, std::int64_t width) {
  const std::int64_t scale = text_width(text, 2) <= width ? 2 : 1;
  while (text_width(text, scale) > width) text.pop_back();
  draw_text(sheet, y + (2 - scale) * kGlyphHeight / 2, x, text, color, scale);
}

void draw_picture(Tensor& sheet, std::int64_t y, std::int64_t x, const Tensor& images, std::int64_t index, std::int64_t zoom) {
  const std::int64_t H = images.dim(1), W = images.dim(2), C = images.dim(3), sheet_width = sheet.dim(1);
  const std::uint8_t* from = images.data<std::uint8_t>() + index * H * W * C;
  std::uint8_t* to = sheet.data<std::uint8_t>();
  for (std::int64_t r = 0; r < H * zoom; ++r)
    for (std::int64_t c = 0; c < W * zoom; ++c)
      for (std::int64_t k = 0; k < 3; ++k)
        to[((y + r) * sheet_width + x + c) * 3 + k] = from[((r / zoom) * W + c / zoom) * C + (C == 3 ? k : 0)];
}

}   // namespace

Tensor draw_contact_sheet(const ImageSet& set, const std::vector<Prediction>& predictions, const ContactSheetOptions& o) {
  const Tensor& images = set.images;
  require(images.defined() && images.dtype() == DType::u8 && images.rank() == 4 && images.dim(0) == set.size() &&
              (images.dim(3) == 1 || images.dim(3) == 3),
          "contact sheet: expected uint8 images of shape (", set.size(), ", H, W, 1 or 3), got ", name_of(images.dtype()), " ",
          images.shape());
  require(o.zoom >= 1 && o.limit >= 0 && o.columns >= 0, "contact sheet: expected zoom >= 1, limit >= 0 and columns >= 0, got ", o.zoom,
          ", ", o.limit, " and ", o.columns);
  std::vector<Prediction> wrong;
  for (const Prediction& p : predictions) {
    require(p.index >= 0 && p.index < set.size(), "contact sheet: expected indices from 0 to ", set.size() - 1, ", got ", p.index);
    require(p.predicted >= 0 && p.predicted < set.classes(), "contact sheet: expected classes 0 to ", set.classes() - 1, ", got ",
            p.predicted);
    require(p.probability >= 0 && p.probability <= 1, "contact sheet: expected probabilities from 0 to 1, got ", p.probability);
    if (p.predicted != set.labels[static_cast<std::size_t>(p.index)]) wrong.push_back(p);
  }
  std::sort(wrong.begin(), wrong.end(), [](const Prediction& a, const Prediction& b) {
    return a.probability != b.probability ? a.probability > b.probability : a.index < b.index;
  });
  if (static_cast<std::int64_t>(wrong.size()) > o.limit) wrong.resize(static_cast<std::size_t>(o.limit));

  const auto n = static_cast<std::int64_t>(wrong.size());
  std::vector<std::string> captions;
  std::int64_t widest = 0;
  for (const Prediction& p : wrong) {
    const auto truth = static_cast<std::size_t>(set.labels[static_cast<std::size_t>(p.index)]);
    captions.push_back(fmt::format("{} -> {}", set.class_names[truth], set.class_names[static_cast<std::size_t>(p.predicted)]));
    widest = std::max(widest, text_width(captions.back()));
  }
  const std::int64_t columns =
      std::max<std::int64_t>(1, o.columns ? std::min(o.columns, n) : std::llround(std::ceil(std::sqrt(1.4 * static_cast<double>(n)))));
  const std::int64_t rows = (n + columns - 1) / columns;
  const std::int64_t cell_width = std::max(images.dim(2) * o.zoom, std::min(widest, kMaxCaption)),
                     cell_height = images.dim(1) * o.zoom + 4 + 2 * kLine;
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
    draw_picture(sheet, y, x, images, p.index, o.zoom);
    const std::int64_t below = y + images.dim(1) * o.zoom + 4;
    draw_fitted(sheet, below, x, captions[static_cast<std::size_t>(i)], kText, cell_width);
    draw_fitted(sheet, below + kLine, x, fmt::format("{:.0f}%", 100 * p.probability), kProbability, cell_width);
  }
  return sheet;
}

void write_contact_sheet(const std::filesystem::path& path, const ImageSet& set, const std::vector<Prediction>& predictions,
                         const ContactSheetOptions& o) {
  write_png(path, draw_contact_sheet(set, predictions, o));
}

}   // namespace fovea::vision
