// norm.h: batch normalisation, alone and fused behind a convolution. Gradients and cost: kernels/batch_norm.h.
#pragma once

#include "autograd/activation.h"
#include "autograd/conv.h"

namespace fovea {

/// What a batch norm has besides its input: gamma, beta (C) with gradients, and the running statistics it updates.
struct BatchNormConfig {
  Variable gamma, beta;               // (C), acc_dtype of x
  Tensor running_mean, running_var;   // (C); written in training: r = (1 - momentum) r + momentum * batch (variance unbiased)
  double momentum = 0.1, eps = 1e-5;
  bool training = true;   // batch statistics; false: the running ones, as constants
};

/// y = gamma (x - mean) / sqrt(variance + eps) + beta over all axes but the last. Ioffe & Szegedy 2015, Algorithm 1.
/// Throws ShapeError in training when there is one value per channel (its variance is 0).
Variable batch_norm(const Variable& x, const BatchNormConfig& norm);

struct ConvNormActOptions {
  Activation activation = Activation::none;
  const Variable* residual = nullptr;   // added before the activation; shaped like the output
};

/// act(batch_norm(conv2d(x, w)) + residual), fused in both directions:
///   training:  the convolution leaves the norm's partial sums behind and keeps its raw output, nothing else; the result is an
///              Activated (activated.h), so a following convolution applies norm and activation while packing.
///   inference: scale, shift, residual and activation happen in the convolution's epilogue.
/// Equals the unfused ops within rounding (float32: the partial sums have another order).
Variable conv_norm_act(const Variable& x, const Variable& w, const Conv2dConfig& conv, const BatchNormConfig& norm,
                       const ConvNormActOptions& o);

}   // namespace fovea
