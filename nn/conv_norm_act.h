// conv_norm_act.h: convolution, batch norm, shortcut and activation in one go.
#pragma once

#include "autograd/norm.h"
#include "nn/batch_norm.h"
#include "nn/conv2d.h"

namespace fovea::nn {

/// y = act(bn(conv(x)) + residual), o = {.activation, .residual}. x (N, H, W, in) -> y (N, P, Q, out).
/// Fused (autograd/norm.h), unless somebody listens to what lies between (a hook on conv or bn) or conv has a bias: then each
/// step runs by itself, as a module. Both ways give the same numbers within rounding.
Variable conv_norm_act(const Variable& x, Conv2d& conv, BatchNorm2d& bn, const ConvNormActOptions& o = {});

}   // namespace fovea::nn
