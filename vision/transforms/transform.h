// transform.h: a picture of any size becomes the network's input: resized, cut, mirrored, normalised.
//
//   evaluation  resize the shorter side, cut the middle out, normalise
//   training    one of three ways to cut (see Crop), mirror with probability 1/2, normalise
//
// What happens to a picture in training is a function of (key, epoch, the picture's number): the same in any order and with any threads.
#pragma once

#include <cstdint>
#include <string>

#include "tensor/random.h"
#include "vision/transforms/crop.h"
#include "vision/transforms/normalize.h"
#include "vision/transforms/resize.h"

namespace fovea::vision {

struct InputOptions {
  std::int64_t height = 0, width = 0;   // of the network's input; 0: as all the pictures are
  std::int64_t resize = 0;              // the shorter side before cutting, at least the input's; 0: pictures have the input's size already
  ResizeFilter filter = ResizeFilter::bilinear;
};

enum class Crop {
  center,    // as in evaluation
  random,    // padded with black by crop_padding on each side, then cut anywhere: Lee et al. 2015, "Deeply-supervised nets"; made
             // customary by He et al. 2016, section 4.2
  resized,   // a part of random area and proportions, resized to the input: crop.h
};

/// The default is what evaluation does.
struct AugmentOptions {
  Crop crop = Crop::center;
  std::int64_t crop_padding = 0;   // pixels; of Crop::random
  ResizedCropOptions resized = {};
  bool flip = false;   // left-right mirrored with probability 1/2
};

/// The stream of an epoch: key.fork("augment", epoch).
RandomKey augment_key(RandomKey key, std::uint64_t epoch);

/// Height and width after resizing the shorter side: the longer keeps the proportions, rounded down as torchvision does.
struct ResizedSize {
  std::int64_t height, width;
};
ResizedSize resized_size(std::int64_t height, std::int64_t width, std::int64_t shorter);

class Transform {
 public:
  /// Throws ShapeError for options that cannot be meant. `input` has height and width.
  Transform(const InputOptions& input, Normalize normalize, const AugmentOptions& augment = {}, RandomKey epoch_key = {});
  /// Picture number `index` (H, W, C) uint8 -> y (input.height, input.width, C). Throws ShapeError for a picture that does not fit.
  void operator()(const Tensor& picture, std::int64_t index, float* y) const;
  /// All of it but cutting, mirroring and normalising: the resized picture, and the window of it that becomes the input.
  struct Prepared {
    Tensor picture;
    Window window;
  };
  Prepared prepare(const Tensor& picture, std::int64_t index) const;
  /// What Crop::center and Crop::random cut from a picture of this size (after resizing).
  Window window(std::int64_t H, std::int64_t W, std::int64_t index) const;
  const InputOptions& input() const { return input_; }
  const Normalize& normalize() const { return normalize_; }

 private:
  InputOptions input_;
  Normalize normalize_;
  AugmentOptions augment_;
  RandomKey key_, resized_key_;
};

}   // namespace fovea::vision
