// resize.cpp: two passes, along the rows and then along the columns, with integer coefficients. Pillow's algorithm
// (src/libImaging/Resample.c), step by step, so that the bytes agree.
#include "vision/transforms/resize.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>
#include <vector>

#include "vision/transforms/crop.h"

namespace fovea::vision {
namespace {

constexpr int kPrecision = 32 - 8 - 2;   // fractional bits of a coefficient: 8 for the pixel, 2 to spare

/// Output i is the sum of weights[i * widest + k] * input[first[i] + k] over k < count[i].
struct Filter {
  std::int64_t widest;
  std::vector<std::int64_t> first, count;
  std::vector<std::int32_t> weights;
};

double weight_at(double distance, ResizeFilter filter) {
  const double t = std::abs(distance);
  if (filter == ResizeFilter::bilinear) return std::max(0.0, 1 - t);
  constexpr double a = -0.5;
  if (t < 1) return ((a + 2) * t - (a + 3)) * t * t + 1;
  return t < 2 ? (((t - 5) * t + 8) * t - 4) * a : 0;
}

Filter make_filter(std::int64_t in, std::int64_t out, ResizeFilter filter) {
  const double scale = static_cast<double>(in) / static_cast<double>(out), stretch = std::max(scale, 1.0),
               support = (filter == ResizeFilter::bilinear ? 1 : 2) * stretch;
  Filter f{.widest = static_cast<std::int64_t>(std::ceil(support)) * 2 + 1, .first = {}, .count = {}, .weights = {}};
  f.weights.resize(static_cast<std::size_t>(out * f.widest));
  std::vector<double> w(static_cast<std::size_t>(f.widest));
  for (std::int64_t i = 0; i < out; ++i) {
    const double center = (static_cast<double>(i) + 0.5) * scale;
    const std::int64_t begin = std::max<std::int64_t>(static_cast<std::int64_t>(center - support + 0.5), 0);
    const std::int64_t n = std::min(static_cast<std::int64_t>(center + support + 0.5), in) - begin;
    double sum = 0;
    for (std::int64_t k = 0; k < n; ++k)
      sum += w[static_cast<std::size_t>(k)] = weight_at((static_cast<double>(k + begin) - center + 0.5) / stretch, filter);
    for (std::int64_t k = 0; k < n; ++k) {
      const double x = w[static_cast<std::size_t>(k)] / sum * (1 << kPrecision);
      f.weights[static_cast<std::size_t>(i * f.widest + k)] = static_cast<std::int32_t>(x < 0 ? x - 0.5 : x + 0.5);   // rounds
    }
    f.first.push_back(begin);
    f.count.push_back(n);
  }
  return f;
}

/// Filters the middle axis: x (outer, in, inner) -> y (outer, out, inner).
void filter_axis(const std::uint8_t* x, std::uint8_t* y, std::int64_t outer, std::int64_t in, std::int64_t out, std::int64_t inner,
                 ResizeFilter filter) {
  constexpr std::int64_t kBlock = 16;   // sums that stay in registers; columns go block by block, the channels of a row one by one
  const Filter f = make_filter(in, out, filter);
  const auto byte = [](std::int32_t sum) { return static_cast<std::uint8_t>(std::clamp(sum >> kPrecision, 0, 255)); };
  for (std::int64_t o = 0; o < outer; ++o)
    for (std::int64_t i = 0; i < out; ++i) {
      const std::int64_t n = f.count[static_cast<std::size_t>(i)];
      const std::int32_t* w = f.weights.data() + i * f.widest;
      const std::uint8_t* from = x + (o * in + f.first[static_cast<std::size_t>(i)]) * inner;
      std::uint8_t* to = y + (o * out + i) * inner;
      std::int64_t j = 0;
      for (; j + kBlock <= inner; j += kBlock) {
        std::int32_t sum[kBlock];
        std::fill(sum, sum + kBlock, 1 << (kPrecision - 1));
        for (std::int64_t k = 0; k < n; ++k)
          for (std::int64_t b = 0; b < kBlock; ++b) sum[b] += w[k] * from[k * inner + j + b];
        for (std::int64_t b = 0; b < kBlock; ++b) to[j + b] = byte(sum[b]);
      }
      for (; j < inner; ++j) {
        std::int32_t sum = 1 << (kPrecision - 1);
        for (std::int64_t k = 0; k < n; ++k) sum += w[k] * from[k * inner + j];
        to[j] = byte(sum);
      }
    }
}

void require_picture(const char* op, const Tensor& image) {
  require(image.defined() && image.dtype() == DType::u8 && image.rank() == 3 && image.elements() > 0, op,
          ": expected a uint8 picture of shape (H, W, C), got ", name_of(image.dtype()), " ", image.shape());
}

}   // namespace

Tensor resize(const Tensor& image, std::int64_t height, std::int64_t width, ResizeFilter filter) {
  require_picture("resize", image);
  require(height >= 1 && width >= 1 && height <= 65536 && width <= 65536, "resize: expected a size of 1 to 65536, got ", height, " x ",
          width);
  const std::int64_t H = image.dim(0), W = image.dim(1), C = image.dim(2);
  Tensor rows = image;
  if (width != W) {
    rows = Tensor::empty({H, width, C}, DType::u8, image.device());
    filter_axis(image.data<std::uint8_t>(), rows.data<std::uint8_t>(), H, W, width, C, filter);
  }
  if (height == H) return width == W ? image.clone() : rows;
  Tensor y = Tensor::empty({height, width, C}, DType::u8, image.device());
  filter_axis(std::as_const(rows).data<std::uint8_t>(), y.data<std::uint8_t>(), 1, H, height, width * C, filter);
  return y;
}

Tensor resize_to_square(const Tensor& image, std::int64_t size, SquareFit fit) {
  require_picture("resize_to_square", image);
  require(size >= 1 && size <= 65536, "resize_to_square: expected a size of 1 to 65536, got ", size);
  const std::int64_t H = image.dim(0), W = image.dim(1), C = image.dim(2);
  if (fit == SquareFit::crop) {
    const std::int64_t side = std::min(H, W);
    const Tensor middle = crop(image, {.top = (H - side) / 2, .left = (W - side) / 2, .height = side, .width = side});
    return resize(middle, size, size);
  }
  const std::int64_t longest = std::max(H, W);
  const auto scaled = [&](std::int64_t n) { return std::max<std::int64_t>(1, (n * size + longest / 2) / longest); };   // rounded
  const Tensor small = resize(image, scaled(H), scaled(W));
  const std::int64_t h = small.dim(0), w = small.dim(1), top = (size - h) / 2, left = (size - w) / 2;
  Tensor y = Tensor::zeros({size, size, C}, DType::u8, image.device());
  for (std::int64_t r = 0; r < h; ++r)
    std::memcpy(y.data<std::uint8_t>() + ((top + r) * size + left) * C, small.data<std::uint8_t>() + r * w * C,
                static_cast<std::size_t>(w * C));
  return y;
}

Tensor invert(const Tensor& image) {
  require(image.defined() && image.dtype() == DType::u8, "invert: expected uint8, got ", name_of(image.dtype()));
  Tensor y = Tensor::empty_like(image);
  const std::uint8_t* from = image.data<std::uint8_t>();
  std::transform(from, from + image.elements(), y.data<std::uint8_t>(), [](std::uint8_t p) { return static_cast<std::uint8_t>(255 - p); });
  return y;
}

}   // namespace fovea::vision
