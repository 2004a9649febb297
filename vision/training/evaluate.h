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
  DType dtype = DType::f32;   // as LoaderOptions has it
  InputOptions input = {};    // how pictures come to the network's size; default: they have it
  int workers = 0;            // as LoaderOptions has it
};
/// Runs the network in evaluation mode, without recording, and leaves it in the mode it was in. Throws ShapeError without pictures,
/// Error when a logit is not a number or a picture cannot be read.
Evaluation evaluate(nn::Module& network, const Pictures& pictures, const Normalize& normalize, const EvaluateOptions& o = {});

/// Which class each row of logits (rows, classes) is for: int64 (rows), where the logits are; the first of equals, -1 where one is NaN.
Tensor predicted_classes(const Tensor& logits);
/// The same as numbers of the host. Throws Error where there is a -1.
std::vector<std::int64_t> read_classes(const Tensor& predicted);

}   // namespace fovea::vision
