// init.h: initial weights whose scale keeps the variance of what flows through a deep network.
//
// Glorot & Bengio 2010, "Understanding the difficulty of training deep feedforward neural networks". A layer y = W x with fan_in
// terms a sum has Var[y] = fan_in Var[w] E[x^2]; where the activation is near the identity, E[x^2] = Var[x], and activations keep
// their variance when fan_in Var[w] = 1, Eq. (10). Back to front, gradients keep theirs when fan_out Var[w] = 1, Eq. (11). Both hold
// on average with Var[w] = 2 / (fan_in + fan_out), Eq. (12): xavier.
//
// He et al. 2015, "Delving Deep into Rectifiers" (arXiv:1502.01852). ReLU loses half: with x_l = relu(y_{l-1}), y_{l-1} symmetric,
//   Var[y_l] = n_l Var[w_l] E[x_l^2], Eq. (7),   and   E[x_l^2] = 1/2 Var[y_{l-1}],
// so Var[y_l] = 1/2 n_l Var[w_l] Var[y_{l-1}], Eq. (8), which neither explodes nor vanishes over many layers when 1/2 n_l Var[w_l] = 1,
// Eq. (10): Var[w] = 2 / fan_in. The same argument for the gradients, back to front, gives 2 / fan_out, Eq. (14).
//
// All of these give float32 on the CPU; constants come from Tensor::full. A layer's own choice is replaced by assign():
//   net.parameter("head.weight").assign(truncated_normal({10, 384}, 0, 0.02, -2, 2, default_generator().next()));
#pragma once

#include "nn/module.h"
#include "tensor/tensor.h"

namespace fovea::nn {

/// While one lives on this thread, all of these give zeros: for networks whose weights are loaded next, or only counted. Keys are drawn
/// all the same.
class NoInit {
 public:
  NoInit();
  ~NoInit();
  NoInit(const NoInit&) = delete;
  NoInit& operator=(const NoInit&) = delete;

 private:
  bool previous_;
};

/// Which variance is kept: of activations (fan_in) or of gradients (fan_out).
enum class Fan { in, out };

/// Terms in the sum behind one output, or behind one input's gradient. weight (K, R, S, C / groups) or (out, in):
/// fan_in = R S C / groups, fan_out = K R S (for groups > 1 too, as PyTorch counts).
std::int64_t fan_of(const Shape& weight, Fan fan);

constexpr double kReluGain = 1.4142135623730951;   // sqrt(2): relu halves E[x^2], the gain makes up for it
/// sqrt(2 / (1 + slope^2)): the same for a leaky ReLU. He et al. 2015, Eq. (15).
double leaky_relu_gain(double slope);

/// N(0, std^2) with std = gain / sqrt(fan).
Tensor he_normal(const Shape& weight, Fan fan, double gain, RandomKey key);
/// U(-b, b) with b = gain sqrt(3 / fan): the same variance gain^2 / fan.
Tensor he_uniform(const Shape& weight, Fan fan, double gain, RandomKey key);

/// N(0, std^2) with std = gain sqrt(2 / (fan_in + fan_out)).
Tensor xavier_normal(const Shape& weight, double gain, RandomKey key);
/// U(-b, b) with b = gain sqrt(6 / (fan_in + fan_out)): the same variance. Glorot & Bengio 2010, Eq. (16), for gain 1.
Tensor xavier_uniform(const Shape& weight, double gain, RandomKey key);

/// Rows, or columns where there are fewer, that are orthogonal and of length gain: W W^T = gain^2 I (or W^T W), so W changes no
/// length at all, not just on average. weight (out, ...) as a matrix of `out` rows; uniformly distributed over all such.
/// Saxe et al. 2014, "Exact solutions to the nonlinear dynamics of learning in deep linear neural networks".
Tensor orthogonal(const Shape& weight, double gain, RandomKey key);

/// N(mean, std^2) under the condition a <= w <= b: absolute bounds, as in PyTorch's trunc_normal_. Transformers start so, with std 0.02.
Tensor truncated_normal(const Shape& shape, double mean, double std, double a, double b, RandomKey key);
/// N(0, std^2)
Tensor normal(const Shape& shape, double std, RandomKey key);
/// U(-bound, bound)
Tensor uniform(const Shape& shape, double bound, RandomKey key);

/// Sets a norm's weight (gamma) to 0. On the last norm of each residual branch: then every block starts as the identity, and the
/// network as a shallow one. Goyal et al. 2017, "Accurate, Large Minibatch SGD", section 5.1.
void zero_gamma(Module& norm);

}   // namespace fovea::nn
