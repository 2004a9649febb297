// pooling.h: maximum and mean over windows, adaptive bins and whole images. Gradients, sources and cost: kernels/pooling.h.
#pragma once

#include "autograd/conv.h"

namespace fovea {

/// P = floor((H + 2 padding.h - kernel.h) / stride.h) + 1; with ceil_mode rounded up, but no window begins beyond the image.
struct MaxPool2dConfig {
  Size2 kernel = 2, stride = 0;   // 0: the kernel's
  Size2 padding = 0;              // at most half the kernel
  bool ceil_mode = false;
};
struct AvgPool2dConfig {
  Size2 kernel = 2, stride = 0;   // 0: the kernel's
  Size2 padding = 0;              // at most half the kernel
  bool ceil_mode = false;
  bool count_include_pad = true;       // the mean counts zeros of the padding (but not what hangs over it in ceil_mode)
  std::int64_t divisor_override = 0;   // what sums are divided by, unless 0
};

/// x (N, H, W, C) -> (N, P, Q, C), the largest value of each window; padding never wins. Keeps its place, one byte an output (8 bytes
/// for windows of more than 256 pixels); the first of equals gets the gradient.
Variable max_pool2d(const Variable& x, const MaxPool2dConfig& o);
/// x (N, H, W, C) -> (N, P, Q, C), the mean of each window. Keeps nothing.
Variable avg_pool2d(const Variable& x, const AvgPool2dConfig& o);
/// x (N, H, W, C) -> (N, output.h, output.w, C): of bins [floor(i H / P), ceil((i + 1) H / P)), whatever H is.
Variable adaptive_max_pool2d(const Variable& x, Size2 output);
Variable adaptive_avg_pool2d(const Variable& x, Size2 output);
/// x (N, H, W, C) -> (N, C), the mean of each channel.
Variable global_avg_pool(const Variable& x);

namespace detail {
/// The stride that 0 stands for.
inline Size2 pool_stride(Size2 kernel, Size2 stride) { return stride == Size2(0) ? kernel : stride; }
}   // namespace detail

}   // namespace fovea
