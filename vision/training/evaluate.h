// evaluate.h: how good is a network on a set of labelled pictures?
#pragma once

#include <cstdint>
#include <vector>

#include "nn/module.h"
#include "vision/data/pictures.h"
#include "vision/transforms/transform.h"

namespace fovea::vision {

struct Evaluation {
  double loss = 0;                         // mean cross-entropy, without label smoothing
  double top1 = 0;                         // fraction whose largest logit is the label's
  std::vector<std::int64_t> predictions;   // (N), by the set's order
  std::vector<float> probabilities;        // of the predicted class
};

struct EvaluateOptions {
  Device device = Device::cpu;
  InputOptions input = {};   // how pictures come to the network's size; default: they have it
  int workers = 0;           // as LoaderOptions has it
};
/// Runs the network in evaluation mode, without recording, and leaves it in the mode it was in. Throws ShapeError without pictures,
/// Error when a logit is not a number or a picture cannot be read.
Evaluation evaluate(nn::Module& network, const Pictures& pictures, const Normalize& normalize, const EvaluateOptions& o = {});

/// The index of the largest value of each row of logits (rows, classes) float32: the first of equals. Throws Error for NaN.
std::vector<std::int64_t> argmax_rows(const Tensor& logits);

}   // namespace fovea::vision
