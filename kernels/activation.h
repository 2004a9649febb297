// activation.h: the pointwise nonlinearities: each formula with its derivative, written once, generic over V: double or the
// lanes of cpu/simd.h. Alone they run at the speed of memory (8 B an element forward, 12 B backward in float32); a
// convolution, GEMM or batch norm applies any of them on its way (fusion.h).
//
// A formula is a struct with value(x) and gradient(x, dy) = value'(x) dy. Where the derivative can be had from the output y,
// kFromOutput is true and gradient_from_output(y, dy) says how: then y, which the next layer keeps anyway, is all that is kept.
#pragma once

#include <type_traits>

#include "kernels/backend.h"
#include "kernels/bfloat16.h"
#include "kernels/math.h"

namespace fovea::kernels {

/// y = x
struct Identity {
  static constexpr bool kFromOutput = true, kFewInstructions = true;
  template <class V> FOVEA_INLINE static V value(V x) { return x; }
  template <class V> FOVEA_INLINE static V gradient(V, V dy) { return dy; }
  template <class V> FOVEA_INLINE static V gradient_from_output(V, V dy) { return dy; }
};

/// y = max(0, x),  y' = 1 where x > 0, else 0. Nair & Hinton 2010, "Rectified Linear Units Improve Restricted Boltzmann Machines". A NaN
/// stays a NaN, so that a training that diverges shows it. x and y are positive at the same places.
struct Relu {
  static constexpr bool kFromOutput = true, kFewInstructions = true;
  template <class V> FOVEA_INLINE static V value(V x) { return max(V(0.f), x); }
  template <class V> FOVEA_INLINE static V gradient(V x, V dy) { return where_positive(x, dy); }
  template <class V> FOVEA_INLINE static V gradient_from_output(V y, V dy) { return where_positive(y, dy); }
};

/// y = min(max(0, x), 6),  y' = 1 where 0 < x < 6, else 0. Krizhevsky 2010, "Convolutional Deep Belief Networks on CIFAR-10".
struct Relu6 {
  static constexpr bool kFromOutput = true, kFewInstructions = true;
  template <class V> FOVEA_INLINE static V value(V x) { return min(V(6.f), max(V(0.f), x)); }
  template <class V> FOVEA_INLINE static V gradient(V x, V dy) { return where_positive(x, where_positive(V(6.f) - x, dy)); }
  template <class V> FOVEA_INLINE static V gradient_from_output(V y, V dy) { return gradient(y, dy); }
};

/// y = x where x > 0, else slope x;  y' = 1 or slope. Maas et al. 2013, "Rectifier Nonlinearities Improve Neural Network Acoustic
/// Models".
struct LeakyRelu {
  static constexpr bool kFromOutput = false;   // a negative slope would hide the sign of x
  double slope;
  template <class V> FOVEA_INLINE V value(V x) const { return where_positive(x, x, V(slope) * x); }
  template <class V> FOVEA_INLINE V gradient(V x, V dy) const { return where_positive(x, dy, V(slope) * dy); }
};

/// y = 1 / (1 + e^-x),  y' = y (1 - y)
struct Sigmoid {
  static constexpr bool kFromOutput = true, kFewInstructions = false;
  template <class V> FOVEA_INLINE static V value(V x) { return sigmoid(x); }
  template <class V> FOVEA_INLINE static V gradient(V x, V dy) { return gradient_from_output(value(x), dy); }
  template <class V> FOVEA_INLINE static V gradient_from_output(V y, V dy) { return dy * (y * (V(1.f) - y)); }
};

/// y = tanh x,  y' = 1 - y^2
struct Tanh {
  static constexpr bool kFromOutput = true, kFewInstructions = false;
  template <class V> FOVEA_INLINE static V value(V x) { return tanh(x); }
  template <class V> FOVEA_INLINE static V gradient(V x, V dy) { return gradient_from_output(value(x), dy); }
  template <class V> FOVEA_INLINE static V gradient_from_output(V y, V dy) { return dy * (V(1.f) - y * y); }
};

/// y = x s with s = 1 / (1 + e^-x),  y' = s (1 + x (1 - s)). Elfwing et al. 2018, "Sigmoid-Weighted Linear Units" (SiLU and dSiLU);
/// Ramachandran et al. 2017, "Searching for Activation Functions" (swish, beta = 1). -inf gives NaN, as in PyTorch.
struct Silu {
  static constexpr bool kFromOutput = false, kFewInstructions = false;
  template <class V> FOVEA_INLINE static V value(V x) { return x * sigmoid(x); }
  template <class V> FOVEA_INLINE static V gradient(V x, V dy) {
    const V s = sigmoid(x);
    return dy * (s * (V(1.f) + x * (V(1.f) - s)));
  }
};

/// y = x Phi(x) with Phi(x) = Prob[N(0, 1) <= x] = (1 + erf(x / sqrt 2)) / 2,  y' = Phi(x) + x e^(-x^2 / 2) / sqrt(2 pi).
/// Hendrycks & Gimpel 2016, "Gaussian Error Linear Units", section 2. Both are functions of math.h, in lanes one quotient each.
struct Gelu {
  static constexpr bool kFromOutput = false, kFewInstructions = false;
  template <class V> FOVEA_INLINE static V value(V x) { return x * normal_cdf(x); }
  template <class V> FOVEA_INLINE static V gradient(V x, V dy) { return dy * gelu_slope(x); }
};

/// y = x (1 + tanh u) / 2 with u = sqrt(2 / pi) (x + 0.044715 x^3): the paper's approximation, section 2. (1 + tanh u) / 2 is
/// s = 1 / (1 + e^-2u), which loses nothing where tanh u is near -1;  y' = s + x s (1 - s) 2u'. From |x| = 12 on, s is 0 or 1
/// whatever x^2 is: held there, it cannot overflow.
struct GeluTanh {
  static constexpr bool kFromOutput = false, kFewInstructions = false;
  static constexpr double kTwice = 1.59576912160573071176;   // 2 sqrt(2 / pi)
  template <class V> FOVEA_INLINE static V square(V x) { return min(V(144.f), x * x); }
  template <class V> FOVEA_INLINE static V share(V x) { return sigmoid(V(kTwice) * x * (V(1.f) + V(0.044715) * square(x))); }
  template <class V> FOVEA_INLINE static V value(V x) { return x * share(x); }
  template <class V> FOVEA_INLINE static V gradient(V x, V dy) {
    const V s = share(x), slope = V(kTwice) * (V(1.f) + V(3 * 0.044715) * square(x));
    return dy * (s + x * (s * (V(1.f) - s)) * slope);
  }
};

/// y = relu6(x + 3) / 6,  y' = 1/6 where -3 < x < 3, else 0: a sigmoid of straight lines. Howard et al. 2019, "Searching for
/// MobileNetV3", section 5.2. The input is kept, as an output that is rounded to 1 would hide a gradient of 1/6.
struct HardSigmoid {
  static constexpr bool kFromOutput = false, kFewInstructions = true;
  template <class V> FOVEA_INLINE static V value(V x) { return Relu6::value(x + V(3.f)) * V(1. / 6); }
  template <class V> FOVEA_INLINE static V gradient(V x, V dy) { return Relu6::gradient(x + V(3.f), dy * V(1. / 6)); }
};

/// y = x relu6(x + 3) / 6;  y' = 0 below -3, (2x + 3) / 6 up to 3, then 1. Howard et al. 2019, section 5.2 (h-swish).
struct HardSwish {
  static constexpr bool kFromOutput = false, kFewInstructions = true;
  template <class V> FOVEA_INLINE static V value(V x) { return x * HardSigmoid::value(x); }
  template <class V> FOVEA_INLINE static V gradient(V x, V dy) {
    const V slope = where_positive(V(3.f) - x, V(1. / 3) * x + V(0.5f), V(1.f));
    return where_positive(x + V(3.f), dy * slope);
  }
};

/// The functions without parameters, chosen at run time.
enum class Activation { none, relu, relu6, silu, gelu, gelu_tanh, sigmoid, tanh, hard_sigmoid, hard_swish };

/// f(formula) for the formula that `a` names.
template <class F> FOVEA_INLINE auto with_formula(Activation a, const F& f) {
  switch (a) {
    case Activation::relu: return f(Relu{});
    case Activation::relu6: return f(Relu6{});
    case Activation::silu: return f(Silu{});
    case Activation::gelu: return f(Gelu{});
    case Activation::gelu_tanh: return f(GeluTanh{});
    case Activation::sigmoid: return f(Sigmoid{});
    case Activation::tanh: return f(Tanh{});
    case Activation::hard_sigmoid: return f(HardSigmoid{});
    case Activation::hard_swish: return f(HardSwish{});
    case Activation::none: break;
  }
  return f(Identity{});
}
/// Does activation_backward want the output of activation_forward, not its input?
FOVEA_INLINE bool from_output(Activation a) {
  return with_formula(a, [](auto formula) { return decltype(formula)::kFromOutput; });
}

// Inside other kernels (products on the CPU have cpu/output.h). What networks have there and takes a few instructions is inlined in their loops,
// ReLU first; the others stand behind a call, which keeps their registers out of the way. Each use needs exp and its kin (math.h, cpu/math.h).

/// How a V reaches such a call: lanes by reference, as GCC copies a vector struct that is passed by value in pieces, and reading it whole
/// again stalls; a number in a register, as a device has its address in slow memory only.
template <class V> using ByCall = std::conditional_t<std::is_arithmetic_v<V>, V, const V&>;
template <class V> FOVEA_NOINLINE V activate_by_call(Activation a, ByCall<V> x) {
  return with_formula(
      a, [&](auto formula) __attribute__((always_inline)) { return formula.value(x); });
}
template <class V> FOVEA_NOINLINE V activate_gradient_by_call(Activation a, ByCall<V> x, ByCall<V> dy) {
  return with_formula(
      a, [&](auto formula) __attribute__((always_inline)) { return formula.gradient(x, dy); });
}
/// act(x). The branch is the same for a whole tensor, so it predicts perfectly. Numbers rather than lanes are a device's, in whose products
/// registers are scarce: there all but ReLU is a call.
template <class V> FOVEA_INLINE V activate(Activation a, V x) {
  if (a == Activation::none) return x;
  if (__builtin_expect(a == Activation::relu, 1)) return Relu::value(x);
  if constexpr (!std::is_arithmetic_v<V>) {
    if (a == Activation::relu6) return Relu6::value(x);
    if (a == Activation::hard_swish) return HardSwish::value(x);
  }
  return activate_by_call<V>(a, x);
}
/// dL/dx from the activation's input x and dL/dy.
template <class V> FOVEA_INLINE V activate_gradient(Activation a, V x, V dy) {
  if (a == Activation::none) return dy;
  if (__builtin_expect(a == Activation::relu, 1)) return Relu::gradient(x, dy);
  if (a == Activation::relu6) return Relu6::gradient(x, dy);
  if (a == Activation::hard_swish) return HardSwish::gradient(x, dy);
  return activate_gradient_by_call<V>(a, x, dy);
}

/// y = act(x). y may be x.
template <class T> void activation_forward(Reference, Activation a, const T* x, T* y, std::int64_t n);
template <class T> void activation_forward(Cpu, Activation a, const T* x, T* y, std::int64_t n);
template <class T> void activation_forward(Cuda, Activation a, const T* x, T* y, std::int64_t n);
/// dx = act'(x) dy; kept is y where from_output(a), else x. dx may be dy.
template <class T> void activation_backward(Reference, Activation a, const T* kept, const T* dy, T* dx, std::int64_t n, bool accumulate);
template <class T> void activation_backward(Cpu, Activation a, const T* kept, const T* dy, T* dx, std::int64_t n, bool accumulate);
template <class T> void activation_backward(Cuda, Activation a, const T* kept, const T* dy, T* dx, std::int64_t n, bool accumulate);

/// The same with a parameter: y = x > 0 ? x : slope x. Backward needs x.
template <class T> void leaky_relu_forward(Reference, double slope, const T* x, T* y, std::int64_t n);
template <class T> void leaky_relu_forward(Cpu, double slope, const T* x, T* y, std::int64_t n);
template <class T> void leaky_relu_forward(Cuda, double slope, const T* x, T* y, std::int64_t n);
template <class T> void leaky_relu_backward(Reference, double slope, const T* x, const T* dy, T* dx, std::int64_t n, bool accumulate);
template <class T> void leaky_relu_backward(Cpu, double slope, const T* x, const T* dy, T* dx, std::int64_t n, bool accumulate);
template <class T> void leaky_relu_backward(Cuda, double slope, const T* x, const T* dy, T* dx, std::int64_t n, bool accumulate);

}   // namespace fovea::kernels
