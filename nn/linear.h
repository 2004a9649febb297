// linear.h: the fully connected layer, over the last axis. Gradients and cost: autograd/linear.h.
#pragma once

#include "autograd/linear.h"
#include "nn/module.h"

namespace fovea::nn {

struct LinearOptions {
  std::int64_t in = 0, out = 0;   // features
  bool bias = true;
};

/// y = x weight^T + bias.  x (..., in) -> y (..., out): rows of features, tokens (B, T, in), pixels; weight (out, in).
/// weight, bias ~ U(-b, b), b = 1 / sqrt(in), so Var[w] = 1 / (3 in): what PyTorch's nn.Linear does; "the commonly used heuristic" of
/// Glorot & Bengio 2010, Eq. (1) and (15).
class Linear : public Module {
 public:
  using Options = LinearOptions;
  explicit Linear(const Options& o);
  Variable forward(const Variable& x) override;
  std::string describe() const override;

  const Options& options() const { return o_; }
  const Variable& weight() const { return weight_; }
  Variable bias() const { return bias_ ? *bias_ : Variable(); }   // undefined without one

 private:
  Options o_;
  Variable& weight_;
  Variable* bias_ = nullptr;
};

}   // namespace fovea::nn
