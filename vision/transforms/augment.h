// augment.h: random changes of a training picture that leave its class alone: shift and mirror. Pad-and-crop with flips is the
// augmentation of Lee et al. 2015, "Deeply-supervised nets", that He et al. 2016 (section 4.2) made customary.
//
// What happens to a picture is a function of (key, epoch, the picture's number): the same in any order and with any threads.
#pragma once

#include <cstdint>

#include "tensor/random.h"
#include "vision/transforms/normalize.h"

namespace fovea::vision {

struct AugmentOptions {
  std::int64_t shift = 0;   // by up to so many pixels in each direction, black where nothing was
  bool flip = false;        // left-right mirrored with probability 1/2
};

/// y[r, c] = x[r - dy, c - dx], or black (pixel 0) outside; then mirrored if `flip`.
struct Augmentation {
  std::int64_t dy = 0, dx = 0;
  bool flip = false;
};

/// The stream of an epoch: key.fork("augment", epoch). Fork it once per epoch, not per picture.
RandomKey augment_key(RandomKey key, std::uint64_t epoch);
/// What happens to picture number `index`; dy and dx uniform in -shift..shift.
Augmentation draw_augmentation(const AugmentOptions& o, RandomKey epoch_key, std::int64_t index);

struct PictureShape {
  std::int64_t height, width, channels;
};
/// Augments and normalises one picture in one pass. x: (H, W, C) uint8, y: (H, W, C). C is that of `normalize`.
void augment_picture(const std::uint8_t* x, float* y, PictureShape s, const Augmentation& a, const Normalize& normalize);

}   // namespace fovea::vision
