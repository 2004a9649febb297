// clip.h: gradients made smaller before a step. Each takes the optimiser's arena: clip_norm(adamw.arena(), 1.0); adamw.step();
#pragma once

#include "optim/arena.h"

namespace fovea::optim {

enum class NonFinite {
  scale,   // multiply all the same, which makes every gradient NaN or 0 (PyTorch's error_if_nonfinite = false)
  keep,    // leave the gradients: the caller looks at the norm, and may leave out the step
  error,   // throw Error
};

/// All gradients times min(1, max_norm / (norm + 1e-6)), where norm is that of all of them as one vector; returns norm, a float64 scalar where
/// the gradients are, so that on a GPU nobody waits for it (but with NonFinite::error).
/// Pascanu et al. 2013, "On the difficulty of training recurrent neural networks" (arXiv:1211.5063), Algorithm 1; the 1e-6 is
/// PyTorch's. Without a gradient the norm is 0. Reads 4 B for each float32 gradient, and moves 8 B more when it clips. Throws
/// ShapeError unless max_norm is above 0; infinity only measures.
Tensor clip_norm(Arena& arena, double max_norm, NonFinite non_finite = NonFinite::scale);

/// Each gradient to [-limit, limit]; a NaN stays one. Throws ShapeError unless limit is above 0.
void clip_value(Arena& arena, double limit);

struct AdaptiveClipOptions {
  double limit = 0.01;   // the paper's lambda
  double eps = 1e-3;     // stands for smaller norms of w, so that what starts as 0 can move
};
/// For each unit i:  G_i = G_i * limit |W_i| / |G_i|  where |G_i| > limit |W_i|, with |W_i| at least eps.
/// Brock et al. 2021, "High-Performance Large-Scale Image Recognition Without Normalization" (arXiv:2102.06171), Eq. (3).
/// A unit is what makes one output: a row of a linear weight (out, in), a filter of a convolution (K, R, S, C/groups), that is the
/// first axis; a vector (bias, scale) is one unit, as in the authors' code. The paper leaves out the last linear layer:
/// Parameters(...).no_adaptive_clipping(starts_with({"fc."})). Throws ShapeError unless limit and eps are above 0.
void clip_adaptive(Arena& arena, const AdaptiveClipOptions& o = {});

}   // namespace fovea::optim
