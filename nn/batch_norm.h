// batch_norm.h: the batch-normalisation layer. Gradients and cost: kernels/batch_norm.h.
#pragma once

#include <optional>

#include "autograd/norm.h"
#include "nn/module.h"

namespace fovea::nn {

struct BatchNorm2dOptions {
  std::int64_t channels = 0;
  double eps = 1e-5;
  std::optional<double> momentum =
      0.1;   // of the new value: r = (1 - momentum) r + momentum * batch; nullopt: r is the mean of all batches
};

/// y = weight (x - mean) / sqrt(variance + eps) + bias, for each channel. x (N, H, W, C) -> y (N, H, W, C).
/// In training mean and variance are the batch's, over N, H and W, and running_mean, running_var follow them; in evaluation
/// they are the running ones. weight = 1, bias = 0 at first (gamma, beta). Ioffe & Szegedy 2015, Algorithms 1 and 2.
class BatchNorm2d : public Module {
 public:
  using Options = BatchNorm2dOptions;
  explicit BatchNorm2d(const Options& o);
  Variable forward(const Variable& x) override;
  std::string describe() const override;

  const Options& options() const { return o_; }
  BatchNormConfig config() const;
  const Tensor& running_mean() const { return running_mean_; }
  const Tensor& running_var() const { return running_var_; }
  /// Training batches so far; with momentum = nullopt each has the same weight in the running statistics.
  std::int64_t num_batches_tracked() const;
  /// To be called for every training batch; forward does it itself. A recomputed batch is not counted twice.
  void count_batch();
  /// Throws ShapeError unless x has shape (N, H, W, channels) and, in training, more than one value a channel.
  void check_input(const Shape& x) const;

 private:
  Options o_;
  Variable &weight_, &bias_;
  Tensor &running_mean_, &running_var_, &num_batches_tracked_;
};

}   // namespace fovea::nn
