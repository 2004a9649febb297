// loss.h: softmax cross-entropy.
#pragma once

#include "autograd/variable.h"

namespace fovea {

struct CrossEntropyOptions {
  double label_smoothing = 0;   // in [0, 1)
};

/// The mean over rows of -sum_j t_j log softmax(x)_j, t = (1 - e) onehot(label) + e / classes. x (rows, classes), labels
/// (rows) int64. Throws ShapeError for a label outside 0..classes-1. A scalar of acc_dtype.
Variable cross_entropy(const Variable& x, const Tensor& labels, const CrossEntropyOptions& o = {});

/// softmax over the last axis of (rows, classes), no gradient: probabilities for people.
Tensor softmax(const Tensor& x);

}   // namespace fovea
