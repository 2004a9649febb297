// evaluate.h: how good is a network on a set of labelled pictures?
#pragma once

#include <cstdint>
#include <vector>

#include "nn/module.h"
#include "vision/data/dataset.h"
#include "vision/transforms/normalize.h"

namespace fovea::vision {

struct Evaluation {
  double loss = 0;                         // mean cross-entropy, without label smoothing
  double top1 = 0;                         // fraction whose largest logit is the label's
  std::vector<std::int64_t> predictions;   // (N), by the set's order
  std::vector<float> probabilities;        // of the predicted class
};

/// Runs the network in evaluation mode, without recording, and leaves it in the mode it was in. Throws ShapeError without pictures,
/// Error when a logit is not a number.
Evaluation evaluate(nn::Module& network, const ImageSet& set, const Normalize& normalize, Device device = Device::cpu);

/// The index of the largest value of each row of logits (rows, classes) float32: the first of equals. Throws Error for NaN.
std::vector<std::int64_t> argmax_rows(const Tensor& logits);

/// The first `limit` pictures, as a view; 0: all.
ImageSet first_pictures(const ImageSet& set, std::int64_t limit);

}   // namespace fovea::vision
