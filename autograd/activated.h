// activated.h: the output of a fused convolution, described instead of stored.
//
// y = act(scale * raw + shift + residual). The norm's backward needs `raw` anyway, so y itself need not be kept for the
// layers that follow: a convolution reads raw and applies scale, shift and activation while it packs (Prologue), in the
// forward pass and again for its weight gradient; anybody else calls materialise(). So a fused convolution keeps one
// activation-sized tensor where conv, norm and ReLU by themselves keep three.
//
// At a residual join y depends on another join's y. Those chains are cut at kMaxDepth: a deeper one keeps the shortcut's
// tensor, so computing a value again costs at most kMaxDepth elementwise passes.
#pragma once

#include <memory>

#include "autograd/variable.h"
#include "kernels/activation.h"

namespace fovea {

struct Activated;

/// What an op keeps of an input for its backward function: the tensor, or the description of it.
class Saved {
 public:
  Saved() = default;
  explicit Saved(const Variable& x);   // the description if x has one, else the tensor
  explicit Saved(Tensor x) : tensor_(std::move(x)) {}
  bool defined() const { return tensor_.defined() || activated_ != nullptr; }
  /// The value: kept, or computed now into fresh memory.
  Tensor tensor() const;
  /// Null when the tensor itself is kept.
  const Activated* activated() const { return activated_.get(); }

 private:
  Tensor tensor_;
  std::shared_ptr<const Activated> activated_;
};

struct Activated {
  static constexpr int kMaxDepth = 2;
  Tensor raw;            // (N, P, Q, K), what the convolution wrote
  Tensor scale, shift;   // (K), acc_dtype
  kernels::Activation activation = kernels::Activation::none;
  Saved residual;   // or undefined
  int depth = 0;    // residual joins that materialise() passes through
  Tensor materialise() const;
};

}   // namespace fovea
