// pooling.h: layers that make an image smaller. None has parameters. Gradients, sources and cost: kernels/pooling.h.
#pragma once

#include "autograd/pooling.h"
#include "nn/module.h"

namespace fovea::nn {

using MaxPool2dOptions = MaxPool2dConfig;   // kernel, stride, padding, ceil_mode

/// The largest value of each window. x (N, H, W, C) -> y (N, P, Q, C), P = floor((H + 2 padding.h - kernel.h) / stride.h) + 1.
class MaxPool2d : public Module {
 public:
  using Options = MaxPool2dOptions;
  explicit MaxPool2d(const Options& o) : o_(o) {}
  Variable forward(const Variable& x) override;
  std::string describe() const override;

  const Options& options() const { return o_; }

 private:
  Options o_;
};

using AvgPool2dOptions = AvgPool2dConfig;   // kernel, stride, padding, ceil_mode, count_include_pad, divisor_override

/// The mean of each window. x (N, H, W, C) -> y (N, P, Q, C), P as for MaxPool2d.
class AvgPool2d : public Module {
 public:
  using Options = AvgPool2dOptions;
  explicit AvgPool2d(const Options& o) : o_(o) {}
  Variable forward(const Variable& x) override;
  std::string describe() const override;

  const Options& options() const { return o_; }

 private:
  Options o_;
};

struct AdaptivePool2dOptions {
  Size2 output_size = 1;
};

/// The largest value of each of output_size bins, whatever the input's size. x (N, H, W, C) -> y (N, output_size, C).
class AdaptiveMaxPool2d : public Module {
 public:
  using Options = AdaptivePool2dOptions;
  explicit AdaptiveMaxPool2d(const Options& o) : o_(o) {}
  Variable forward(const Variable& x) override;
  std::string describe() const override;

 private:
  Options o_;
};

/// The mean of each of output_size bins. x (N, H, W, C) -> y (N, output_size, C).
class AdaptiveAvgPool2d : public Module {
 public:
  using Options = AdaptivePool2dOptions;
  explicit AdaptiveAvgPool2d(const Options& o) : o_(o) {}
  Variable forward(const Variable& x) override;
  std::string describe() const override;

 private:
  Options o_;
};

struct GlobalAvgPool2dOptions {};

/// The mean of each channel. x (N, H, W, C) -> y (N, C). Lin et al. 2013, "Network in Network", section 3.2.
class GlobalAvgPool2d : public Module {
 public:
  using Options = GlobalAvgPool2dOptions;
  explicit GlobalAvgPool2d(const Options& = {}) {}
  Variable forward(const Variable& x) override;
  std::string describe() const override { return "GlobalAvgPool2d"; }
};

}   // namespace fovea::nn
