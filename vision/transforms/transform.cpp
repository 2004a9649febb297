// transform.cpp: for pictures of the input's size already (MNIST, CIFAR) one pass over the pixels, about a microsecond for CIFAR's.
#include "vision/transforms/transform.h"

#include <utility>

namespace fovea::vision {
namespace {

/// Numbers a picture takes from its stream at most: ten attempts of four.
constexpr std::uint64_t kResizedDraws = 40;

bool flips(const AugmentOptions& o, RandomKey key, std::int64_t index) {
  return o.flip && key.below(static_cast<std::uint64_t>(index) * 3 + 2, 2) == 1;
}

}   // namespace

RandomKey augment_key(RandomKey key, std::uint64_t epoch) { return key.fork("augment", epoch); }

ResizedSize resized_size(std::int64_t height, std::int64_t width, std::int64_t shorter) {
  return height <= width ? ResizedSize{shorter, shorter * width / height} : ResizedSize{shorter * height / width, shorter};
}

Transform::Transform(const InputOptions& input, Normalize normalize, const AugmentOptions& augment, RandomKey epoch_key)
    : input_(input), normalize_(std::move(normalize)), augment_(augment), key_(epoch_key), resized_key_(epoch_key.fork("resized crop")) {
  require(input.height >= 1 && input.width >= 1 && input.height <= 65536 && input.width <= 65536,
          "transform: expected an input of 1 to 65536 pixels a side, got ", input.height, " x ", input.width);
  require(input.resize == 0 || (input.resize >= input.height && input.resize >= input.width && input.resize <= 65536),
          "transform: expected pictures to be resized to at least the input's ", input.height, " x ", input.width, " pixels, got ",
          input.resize);
  require(augment.crop_padding >= 0 && augment.crop_padding <= 1'000'000, "transform: expected a padding of 0 to 1000000 pixels, got ",
          augment.crop_padding);
}

Window Transform::window(std::int64_t H, std::int64_t W, std::int64_t index) const {
  if (augment_.crop == Crop::center) {
    Window w = center_crop(H, W, input_.height, input_.width);
    w.flip = flips(augment_, key_, index);
    return w;
  }
  // Three numbers a picture, drawn or not: options do not move each other. The padded picture has room for so many places.
  const auto i = static_cast<std::uint64_t>(index) * 3;
  const std::int64_t p = augment_.crop_padding, rows = H + 2 * p - input_.height, columns = W + 2 * p - input_.width;
  const auto draw = [&](std::uint64_t at, std::int64_t n) {
    return static_cast<std::int64_t>(key_.below(at, static_cast<std::uint64_t>(n) + 1));
  };
  return {.top = rows - p - draw(i, rows),
          .left = columns - p - draw(i + 1, columns),
          .height = input_.height,
          .width = input_.width,
          .flip = flips(augment_, key_, index)};
}

void Transform::operator()(const Tensor& picture, std::int64_t index, float* y) const {
  const Prepared p = prepare(picture, index);
  cut(p.picture, p.window, normalize_, y);
}

Transform::Prepared Transform::prepare(const Tensor& picture, std::int64_t index) const {
  require(picture.defined() && picture.rank() == 3 && picture.elements() > 0, "expected a picture of shape (H, W, C), got ",
          picture.shape());
  if (augment_.crop == Crop::resized) {
    std::uint64_t at = static_cast<std::uint64_t>(index) * kResizedDraws;
    const Window box =
        random_resized_crop(picture.dim(0), picture.dim(1), augment_.resized, [&] { return resized_key_.uniform_f64(at++); });
    const Window all{.height = input_.height, .width = input_.width, .flip = flips(augment_, key_, index)};
    return {resize(crop(picture, box), input_.height, input_.width, input_.filter), all};
  }
  Tensor sized = picture;
  if (input_.resize > 0) {
    const ResizedSize s = resized_size(picture.dim(0), picture.dim(1), input_.resize);
    if (s.height != picture.dim(0) || s.width != picture.dim(1)) sized = resize(picture, s.height, s.width, input_.filter);
  } else {
    require(picture.dim(0) == input_.height && picture.dim(1) == input_.width, "expected a picture of ", input_.height, " x ", input_.width,
            " pixels, got ", picture.dim(0), " x ", picture.dim(1));
  }
  return {sized, window(sized.dim(0), sized.dim(1), index)};
}

}   // namespace fovea::vision
