// loss.h: losses of classifiers, from logits. Targets are constants: no gradient reaches them.
#pragma once

#include "autograd/variable.h"

namespace fovea {

/// What becomes of the losses of single rows or elements: their mean, their sum, or themselves.
enum class Reduction { mean, sum, none };

struct CrossEntropyOptions {
  double label_smoothing = 0;   // e, in [0, 1)
  Tensor class_weights = {};    // w (classes), each >= 0; undefined: all 1
  Reduction reduction = Reduction::mean;
};

/// -sum_j w_j t_j log softmax(x)_j for each row of x (rows, classes), where `targets` are
///   labels (rows) int64:                 t = (1 - e) onehot(label) + e / classes. The mean is weighted: divided by the sum of w[label];
///   probabilities (rows, classes) float: t = (1 - e) targets + e / classes (mixup, distillation). The mean is divided by rows.
/// So does PyTorch. acc_dtype; a scalar, or (rows) without reduction. dL/dx_j = (sum_i w_i t_i) softmax(x)_j - w_j t_j.
/// Throws ShapeError for a label outside 0..classes-1 and for a probability outside [0, 1], with its row.
/// Smoothing: Szegedy et al. 2016 (arXiv:1512.00567), section 7.
Variable cross_entropy(const Variable& x, const Tensor& targets, const CrossEntropyOptions& o = {});

struct BinaryCrossEntropyOptions {
  Tensor positive_weights = {};   // w (last axis of x), each >= 0: more than 1 favours recall; undefined: all 1
  Reduction reduction = Reduction::mean;
};

/// -w t log p - (1 - t) log(1 - p) with p = 1 / (1 + e^-x), for each element: x are logits, of any shape; targets, of the same shape, lie
/// in [0, 1]. acc_dtype; a scalar, or shaped like x without reduction. dL/dx = (1 - t) p - w t (1 - p): p - t when w = 1.
/// PyTorch's binary_cross_entropy_with_logits. Throws ShapeError for a target outside [0, 1], with its row.
Variable binary_cross_entropy(const Variable& x, const Tensor& targets, const BinaryCrossEntropyOptions& o = {});

}   // namespace fovea
