// sequential.h: layers one after another.
//
//   Sequential net;
//   net.add<Conv2d>({.in = 1, .out = 8}), net.add<ReLU>(), net.add<GlobalAvgPool2d>(), net.add<Linear>({.in = 8, .out = 10});
#pragma once

#include "nn/module.h"

namespace fovea::nn {

struct SequentialOptions {};

/// m(x). With `recompute` the backward pass keeps x alone and runs m again (autograd/recompute.h).
Variable run(Module& m, const Variable& x, bool recompute);

/// y = layer_n(... layer_1(layer_0(x))). Children are named "0", "1", ... as in PyTorch.
class Sequential : public Module {
 public:
  using Options = SequentialOptions;
  explicit Sequential(const Options& = {}) {}
  template <class M> M& add(const typename M::Options& options = {}) { return Module::add<M>(std::to_string(children().size()), options); }
  Variable forward(const Variable& x) override;
  /// What comes out before `last`, one of the layers, would run.
  Variable forward_until(const Variable& x, const Module& last);
  /// Every layer keeps its input alone for the backward pass, and runs again there.
  void set_recompute(bool on) { recompute_ = on; }
  std::string describe() const override { return "Sequential"; }

 private:
  bool recompute_ = false;
};

}   // namespace fovea::nn
