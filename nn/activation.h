// activation.h: the pointwise nonlinearities as layers, under PyTorch's names. No parameters, any shape; formulas, gradients and
// sources are in kernels/activation.h.
#pragma once

#include "autograd/activation.h"
#include "nn/module.h"

namespace fovea::nn {

struct NoOptions {};

/// What the layers without options share.
class ActivationLayer : public Module {
 public:
  using Options = NoOptions;
  Variable forward(const Variable& x) override { return activate(x, activation_); }
  std::string describe() const override { return name_; }

 protected:
  ActivationLayer(const char* name, Activation a) : name_(name), activation_(a) {}

 private:
  const char* name_;
  Activation activation_;
};

/// y = max(x, 0). Nair & Hinton 2010.
struct ReLU : ActivationLayer {
  explicit ReLU(const Options& = {}) : ActivationLayer("ReLU", Activation::relu) {}
};
/// y = min(max(x, 0), 6). Krizhevsky 2010.
struct ReLU6 : ActivationLayer {
  explicit ReLU6(const Options& = {}) : ActivationLayer("ReLU6", Activation::relu6) {}
};
/// y = x sigmoid(x). Elfwing et al. 2018; Ramachandran et al. 2017.
struct SiLU : ActivationLayer {
  explicit SiLU(const Options& = {}) : ActivationLayer("SiLU", Activation::silu) {}
};
/// y = 1 / (1 + e^-x)
struct Sigmoid : ActivationLayer {
  explicit Sigmoid(const Options& = {}) : ActivationLayer("Sigmoid", Activation::sigmoid) {}
};
/// y = tanh x
struct Tanh : ActivationLayer {
  explicit Tanh(const Options& = {}) : ActivationLayer("Tanh", Activation::tanh) {}
};
/// y = relu6(x + 3) / 6. Howard et al. 2019.
struct Hardsigmoid : ActivationLayer {
  explicit Hardsigmoid(const Options& = {}) : ActivationLayer("Hardsigmoid", Activation::hard_sigmoid) {}
};
/// y = x relu6(x + 3) / 6. Howard et al. 2019.
struct Hardswish : ActivationLayer {
  explicit Hardswish(const Options& = {}) : ActivationLayer("Hardswish", Activation::hard_swish) {}
};

/// y = x Prob[N(0, 1) <= x], by erf or, with .approximate = Approximate::tanh, by tanh. Hendrycks & Gimpel 2016.
class GELU : public Module {
 public:
  using Options = GeluOptions;
  explicit GELU(const Options& o = {}) : o_(o) {}
  Variable forward(const Variable& x) override { return gelu(x, o_); }
  std::string describe() const override { return o_.approximate == Approximate::tanh ? "GELU(tanh)" : "GELU"; }

  const Options& options() const { return o_; }

 private:
  Options o_;
};

struct LeakyReLUOptions {
  double negative_slope = 0.01;
};
/// y = x where x > 0, else negative_slope x. Maas et al. 2013.
class LeakyReLU : public Module {
 public:
  using Options = LeakyReLUOptions;
  explicit LeakyReLU(const Options& o = {});
  Variable forward(const Variable& x) override { return leaky_relu(x, o_.negative_slope); }
  std::string describe() const override;

 private:
  Options o_;
};

}   // namespace fovea::nn
