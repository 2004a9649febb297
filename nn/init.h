// init.h: initial weights whose scale keeps the variance of what flows through a deep network.
//
// He et al. 2015, "Delving Deep into Rectifiers" (arXiv:1502.01852). A layer y_l = W_l x_l with n_l = fan_in terms a sum has
//   Var[y_l] = n_l Var[w_l] E[x_l^2],   and   E[x_l^2] = 1/2 Var[y_{l-1}]   when x_l = relu(y_{l-1}) with y_{l-1} symmetric (Eq. (8)),
// so Var[y_l] = 1/2 n_l Var[w_l] Var[y_{l-1}], and neither explodes nor vanishes over many layers when 1/2 n_l Var[w_l] = 1,
// Eq. (10): Var[w] = 2 / fan_in. The same argument for the gradients, back to front, gives 2 / fan_out, Eq. (14).
#pragma once

#include "tensor/tensor.h"

namespace fovea::nn {

/// Which variance is kept: of activations (fan_in) or of gradients (fan_out).
enum class Fan { in, out };

/// Terms in the sum behind one output, or behind one input's gradient. weight (K, R, S, C / groups) or (out, in):
/// fan_in = R S C / groups, fan_out = K R S (for groups > 1 too, as PyTorch counts).
std::int64_t fan_of(const Shape& weight, Fan fan);

constexpr double kReluGain = 1.4142135623730951;   // sqrt(2): relu halves E[x^2], the gain makes up for it

/// N(0, std^2) with std = gain / sqrt(fan). float32 on the CPU, like all initial weights.
Tensor he_normal(const Shape& weight, Fan fan, double gain, RandomKey key);
/// U(-b, b) with b = gain sqrt(3 / fan): the same variance gain^2 / fan.
Tensor he_uniform(const Shape& weight, Fan fan, double gain, RandomKey key);
/// U(-bound, bound)
Tensor uniform(const Shape& shape, double bound, RandomKey key);

}   // namespace fovea::nn
