// dropout.h: layers that are noise in training and the identity in evaluation. Gradients and cost: kernels/dropout.h.
#pragma once

#include "autograd/dropout.h"
#include "nn/module.h"

namespace fovea::nn {

struct DropoutOptions {
  double p = 0.5;   // the probability that an element is dropped, in [0, 1]
};

/// In training each element is 0 with probability p, else x / (1 - p); any shape. Srivastava et al. 2014.
class Dropout : public Module {
 public:
  using Options = DropoutOptions;
  explicit Dropout(const Options& o = {});
  Variable forward(const Variable& x) override;
  std::string describe() const override;

  const Options& options() const { return o_; }

 private:
  Options o_;
};

struct StochasticDepthOptions {
  double p = 0;
  DropMode mode = DropMode::row;
};

/// In training the whole sample (row) or batch is 0 with probability p, else x / (1 - p). It stands at the end of a residual branch:
/// x + drop(f(x)), Huang et al. 2016, Eq. (2); scaled in training, so that Eq. (5), for evaluation, has nothing to do. Their p is the
/// probability to stay, 1 minus ours, and falls with depth, Eq. (4): p_l = 1 - l / L (1 - p_L). They draw for a batch, not for each sample.
class StochasticDepth : public Module {
 public:
  using Options = StochasticDepthOptions;
  explicit StochasticDepth(const Options& o);
  Variable forward(const Variable& x) override;
  std::string describe() const override;

 private:
  Options o_;
};

}   // namespace fovea::nn
