// activation.h: the pointwise nonlinearities on Variables of any shape. The formulas, their gradients and their sources are in
// kernels/activation.h. Each keeps one tensor: its output where the gradient can be had from it, else its input.
#pragma once

#include "autograd/variable.h"
#include "kernels/activation.h"

namespace fovea {

using kernels::Activation;

/// The one that `a` names: activate(x, Activation::silu) is silu(x); none is x itself.
Variable activate(const Variable& x, Activation a);

Variable relu(const Variable& x);           // max(x, 0)
Variable relu6(const Variable& x);          // min(max(x, 0), 6)
Variable silu(const Variable& x);           // x sigmoid(x)
Variable sigmoid(const Variable& x);        // 1 / (1 + e^-x)
Variable tanh(const Variable& x);           // the hyperbolic tangent
Variable hard_sigmoid(const Variable& x);   // relu6(x + 3) / 6
Variable hard_swish(const Variable& x);     // x relu6(x + 3) / 6

/// x where x > 0, else slope x.
Variable leaky_relu(const Variable& x, double slope = 0.01);

enum class Approximate { none, tanh };
struct GeluOptions {
  Approximate approximate = Approximate::none;
};
/// x times the probability that N(0, 1) is below x: by erf, or its approximation by tanh (which GPT-2 and some ViT files mean).
Variable gelu(const Variable& x, const GeluOptions& o = {});

}   // namespace fovea
