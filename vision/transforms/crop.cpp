#include "vision/transforms/crop.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace fovea::vision {

void cut(const Tensor& picture, const Window& w, const Normalize& normalize, float* y) {
  require(picture.defined() && picture.dtype() == DType::u8 && picture.rank() == 3 && picture.dim(2) == normalize.channels(),
          "cut: expected a uint8 picture of shape (H, W, ", normalize.channels(), "), got ", name_of(picture.dtype()), " ",
          picture.shape());
  const kernels::Cut one = placed(picture, w, 0);
  kernels::cut(kernels::Cpu{}, picture.data<std::uint8_t>(), &one, normalize.table(0), y, {1, w.height, w.width, picture.dim(2)});
}

kernels::Cut placed(const Tensor& picture, const Window& w, std::int64_t first) {
  const auto i32 = [](std::int64_t v) { return static_cast<std::int32_t>(v); };
  return {.first = first, .h = i32(picture.dim(0)), .w = i32(picture.dim(1)), .top = i32(w.top), .left = i32(w.left), .flip = w.flip};
}

Tensor crop(const Tensor& picture, const Window& w) {
  require(picture.defined() && picture.dtype() == DType::u8 && picture.rank() == 3, "crop: expected a uint8 picture of shape (H, W, C)");
  const std::int64_t H = picture.dim(0), W = picture.dim(1), C = picture.dim(2);
  require(w.top >= 0 && w.left >= 0 && w.height >= 1 && w.width >= 1 && w.height <= H - w.top && w.width <= W - w.left,
          "crop: expected a window inside the picture ", picture.shape(), ", got rows ", w.top, " to ", w.top + w.height, " and columns ",
          w.left, " to ", w.left + w.width);
  Tensor y = Tensor::empty({w.height, w.width, C}, DType::u8, picture.device());
  for (std::int64_t r = 0; r < w.height; ++r)
    std::memcpy(y.data<std::uint8_t>() + r * w.width * C, picture.data<std::uint8_t>() + ((w.top + r) * W + w.left) * C,
                static_cast<std::size_t>(w.width * C));
  return y;
}

Window center_crop(std::int64_t H, std::int64_t W, std::int64_t height, std::int64_t width) {
  const auto half = [](std::int64_t n) { return std::llround(std::nearbyint(static_cast<double>(n) / 2)); };   // to even
  return {.top = half(H - height), .left = half(W - width), .height = height, .width = width};
}

Window random_resized_crop(std::int64_t H, std::int64_t W, const ResizedCropOptions& o, const std::function<double()>& uniform) {
  require(H >= 1 && W >= 1 && o.scale_min > 0 && o.scale_min <= o.scale_max && o.scale_max <= 1 && o.ratio_min > 0 &&
              o.ratio_min <= o.ratio_max && std::isfinite(o.ratio_max),
          "random resized crop: expected 0 < scale_min <= scale_max <= 1 and 0 < ratio_min <= ratio_max, got ", o.scale_min, ", ",
          o.scale_max, ", ", o.ratio_min, " and ", o.ratio_max);
  const double area = static_cast<double>(H) * static_cast<double>(W), low = std::log(o.ratio_min), high = std::log(o.ratio_max);
  const auto round = [](double v) { return static_cast<std::int64_t>(std::nearbyint(v)); };
  const auto below = [&](std::int64_t n) { return std::min(n - 1, static_cast<std::int64_t>(uniform() * static_cast<double>(n))); };
  for (int attempt = 0; attempt < 10; ++attempt) {
    const double target = area * (o.scale_min + (o.scale_max - o.scale_min) * uniform());
    const double ratio = std::exp(low + (high - low) * uniform());
    const std::int64_t w = round(std::sqrt(target * ratio)), h = round(std::sqrt(target / ratio));
    if (w < 1 || w > W || h < 1 || h > H) continue;
    const std::int64_t top = below(H - h + 1), left = below(W - w + 1);
    return {.top = top, .left = left, .height = h, .width = w};
  }
  const double ratio = static_cast<double>(W) / static_cast<double>(H);
  Window whole{.height = H, .width = W};
  if (ratio < o.ratio_min) whole.height = std::max<std::int64_t>(1, round(static_cast<double>(W) / o.ratio_min));
  if (ratio > o.ratio_max) whole.width = std::max<std::int64_t>(1, round(static_cast<double>(H) * o.ratio_max));
  whole.top = (H - whole.height) / 2;
  whole.left = (W - whole.width) / 2;
  return whole;
}

}   // namespace fovea::vision
