// pooling.h: max pooling and global average pooling.
#pragma once

#include "autograd/conv.h"

namespace fovea {

struct MaxPool2dConfig {
  Size2 kernel = 2, stride = 2, padding = 0;
};

/// x (N, H, W, C) -> (N, P, Q, C), P = floor((H + 2 padding.h - kernel.h) / stride.h) + 1. Keeps one byte an output.
Variable max_pool2d(const Variable& x, const MaxPool2dConfig& o);
/// x (N, H, W, C) -> (N, C)
Variable global_avg_pool(const Variable& x);

}   // namespace fovea
