// layer_suspects.cpp: one function per kind of layer, each a list of alternatives that are run and compared.
#include "vision/analysis/layer_suspects.h"

#include <array>
#include <functional>
#include <set>

#include "autograd/arithmetic.h"
#include "autograd/layer_norm.h"
#include "autograd/linear.h"
#include "autograd/pooling.h"
#include "autograd/shape_ops.h"
#include "nn/activation.h"
#include "nn/batch_norm.h"
#include "nn/conv2d.h"
#include "nn/layer_norm.h"
#include "nn/linear.h"
#include "nn/pooling.h"
#include "nn/window_attention.h"
#include "vision/analysis/compare_activations.h"

namespace fovea::vision {
namespace {

constexpr double kEpsilons[] = {0, 1e-12, 1e-8, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2};
constexpr std::pair<Activation, const char*> kActivations[] = {{Activation::none, "no activation"},
                                                               {Activation::relu, "ReLU"},
                                                               {Activation::relu6, "ReLU6"},
                                                               {Activation::silu, "SiLU"},
                                                               {Activation::sigmoid, "Sigmoid"},
                                                               {Activation::tanh, "Tanh"},
                                                               {Activation::hard_sigmoid, "Hardsigmoid"},
                                                               {Activation::hard_swish, "Hardswish"}};

/// Runs alternatives, and keeps the names of those that fit.
class Trial {
 public:
  Trial(Tensor expected, double tolerance) : expected_(std::move(expected)), tolerance_(tolerance) {}

  /// An alternative that its operation refuses does not fit.
  void attempt(const std::string& what, const std::function<Variable()>& alternative) {
    try {
      const NoGrad no_grad;
      const Tensor y = alternative().value();
      if (y.shape() == expected_.shape() && relative_difference(y, expected_) <= tolerance_) fits_.push_back("fits " + what);
    } catch (const ShapeError&) {
    }
  }
  const Tensor& expected() const { return expected_; }
  std::vector<std::string> take() { return std::move(fits_); }

 private:
  Tensor expected_;
  double tolerance_;
  std::vector<std::string> fits_;
};

void batch_norm_suspects(Trial& trial, const nn::BatchNorm2d& m, const Variable& x) {
  const auto with = [&](const std::function<void(BatchNormConfig&)>& change) {
    return [&m, &x, change] {
      BatchNormConfig c = m.config();
      c.running_mean = c.running_mean.clone(), c.running_var = c.running_var.clone();   // training writes them
      change(c);
      return batch_norm(x, c);
    };
  };
  for (const double eps : kEpsilons)
    if (eps != m.options().eps)
      trial.attempt(detail::join("with eps ", eps, " (here ", m.options().eps, ")"), with([eps](auto& c) { c.eps = eps; }));
  trial.attempt(
      m.training() ? "with the running statistics: evaluation, not training" : "with the batch's statistics: training, not evaluation",
      with([](auto& c) { c.training = !c.training; }));
  trial.attempt("without weight and bias", with([](auto& c) {
                  c.gamma = Variable(Tensor::full(c.gamma.shape(), 1)), c.beta = Variable(Tensor::zeros(c.beta.shape()));
                }));
}

void layer_norm_suspects(Trial& trial, const nn::LayerNorm& m, const Variable& x) {
  Variable gamma, beta;
  for (const auto& p : m.own_parameters()) (p->name == "weight" ? gamma : beta) = p->value;
  for (const double eps : kEpsilons)
    if (eps != m.options().eps)
      trial.attempt(detail::join("with eps ", eps, " (here ", m.options().eps, ")"), [&] { return layer_norm(x, gamma, beta, eps); });
  if (gamma.defined()) trial.attempt("without weight and bias", [&] { return layer_norm(x, {}, {}, m.options().eps); });
}

void conv_suspects(Trial& trial, const nn::Conv2d& m, const Variable& x) {
  const nn::Conv2dOptions& o = m.options();
  const auto with = [&](Conv2dConfig c) {
    return [&m, &x, &trial, c] {
      const kernels::Conv2dShape s = conv2d_shape("conv2d", x.shape(), m.weight().shape(), c);   // before the work: most do not fit
      require(trial.expected().shape() == Shape{s.n, s.p(), s.q(), s.k}, "conv2d: another shape");
      return conv2d(x, m.weight(), m.bias(), c);
    };
  };
  std::set<std::array<std::int64_t, 3>> tried{{o.padding.h, o.stride.h, o.dilation.h}};
  const auto attempt = [&](std::int64_t padding, std::int64_t stride, std::int64_t dilation) {
    if (!tried.insert({padding, stride, dilation}).second) return;
    std::string what = "with";
    if (padding != o.padding.h) what += detail::join(" padding ", padding, " (here ", o.padding.h, ")");
    if (stride != o.stride.h) what += detail::join(" stride ", stride, " (here ", o.stride.h, ")");
    if (dilation != o.dilation.h) what += detail::join(" dilation ", dilation, " (here ", o.dilation.h, ")");
    trial.attempt(what, with({.stride = stride, .padding = padding, .dilation = dilation, .groups = o.groups}));
  };
  for (std::int64_t padding = 0; padding <= o.kernel.h; ++padding) {   // with one other number beside it at most
    attempt(padding, o.stride.h, o.dilation.h);
    for (const std::int64_t stride : {1, 2, 4}) attempt(padding, stride, o.dilation.h);
    for (const std::int64_t dilation : {1, 2}) attempt(padding, o.stride.h, dilation);
  }
  trial.attempt("with TensorFlow's \"SAME\" padding, the odd pixel behind", [&] {
    const auto total = [](std::int64_t size, std::int64_t kernel, std::int64_t stride, std::int64_t dilation) {
      return std::max<std::int64_t>(((size + stride - 1) / stride - 1) * stride + dilation * (kernel - 1) + 1 - size, 0);
    };
    const std::int64_t h = total(x.dim(1), o.kernel.h, o.stride.h, o.dilation.h), w = total(x.dim(2), o.kernel.w, o.stride.w, o.dilation.w);
    const Variable padded = pad(x, {.axis = 1, .before = h / 2, .after = h - h / 2}, {.axis = 2, .before = w / 2, .after = w - w / 2});
    return conv2d(padded, m.weight(), m.bias(), {.stride = o.stride, .dilation = o.dilation, .groups = o.groups});
  });
  if (m.has_bias()) trial.attempt("without bias", [&] { return conv2d(x, m.weight(), {}, m.config()); });
  if (o.in == 3)
    trial.attempt("with the input's channels reversed (BGR, not RGB)", [&] {
      std::vector<Variable> channels = chunk(x, 3, -1);
      return conv2d(concatenate({channels[2], channels[1], channels[0]}, -1), m.weight(), m.bias(), m.config());
    });
}

void linear_suspects(Trial& trial, const nn::Linear& m, const Variable& x) {
  if (m.options().in == m.options().out)
    trial.attempt("with the weight transposed", [&] { return linear(x, transpose(m.weight(), 0, 1), m.bias()); });
  if (m.options().bias) trial.attempt("without bias", [&] { return linear(x, m.weight(), {}); });
}

/// Every activation of y, and what y may be combined with.
void activation_suspects(Trial& trial, const Variable& y, const std::string& of) {
  for (const auto& [a, name] : kActivations) trial.attempt(detail::join("with ", name, of), [&, form = a] { return activate(y, form); });
  trial.attempt("with GELU by erf" + of, [&] { return gelu(y); });
  trial.attempt("with GELU by tanh" + of, [&] { return gelu(y, {.approximate = Approximate::tanh}); });
  trial.attempt("with GELU by sigmoid(1.702 x)" + of, [&] { return y * sigmoid(scale(y, 1.702)); });
}

void pool_suspects(Trial& trial, const nn::Module& m, const Variable& x) {
  if (const auto* max = dynamic_cast<const nn::MaxPool2d*>(&m)) {
    MaxPool2dConfig c = max->options();
    c.ceil_mode = !c.ceil_mode;
    trial.attempt(c.ceil_mode ? "with its size rounded up" : "with its size rounded down", [&] { return max_pool2d(x, c); });
    for (std::int64_t padding = 0; padding <= c.kernel.h / 2; ++padding) {
      if (padding == c.padding.h) continue;
      trial.attempt(detail::join("with padding ", padding, " (here ", c.padding.h, ")"), [&] {
        MaxPool2dConfig other = max->options();
        other.padding = padding;
        return max_pool2d(x, other);
      });
    }
  }
  if (const auto* avg = dynamic_cast<const nn::AvgPool2d*>(&m)) {
    for (const bool ceil : {false, true})
      for (const bool count : {false, true})
        trial.attempt(detail::join("with its size rounded ", ceil ? "up" : "down", ", padding ", count ? "" : "not ", "counted"), [&] {
          AvgPool2dConfig other = avg->options();
          other.ceil_mode = ceil, other.count_include_pad = count;
          return avg_pool2d(x, other);
        });
  }
}

/// The last `n` of an axis come first.
Variable rolled(const Variable& x, int axis, std::int64_t n) {
  if (n == 0) return x;
  return concatenate({slice(x, {.axis = axis, .begin = x.dim(axis) - n}), slice(x, {.axis = axis, .end = x.dim(axis) - n})}, axis);
}

void window_suspects(Trial& trial, const nn::ShiftedWindowAttention& m, const Variable& x) {
  const nn::ShiftedWindowAttentionOptions& o = m.options();
  const auto& qkv = dynamic_cast<const nn::Linear&>(*m.children()[0]);
  const auto& proj = dynamic_cast<const nn::Linear&>(*m.children()[1]);
  const Variable& table = m.own_parameters()[0]->value;
  const auto from = [&](const Variable& attended) { return linear(attended, proj.weight(), proj.bias()); };
  const Variable projected = linear(x, qkv.weight(), qkv.bias());
  if (!(o.shift == Size2(0))) {
    trial.attempt("without the shift",
                  [&] { return from(window_attention(projected, qkv.bias(), table, {.heads = o.heads, .window = o.window})); });
    trial.attempt("with the shift but without its mask",
                  [&] { return from(window_attention_without_mask(projected, qkv.bias(), table, o.heads, o.window.h, o.shift.h)); });
  } else {
    trial.attempt("with a shift of half a window", [&] {
      const Size2 shift(o.window.h / 2, o.window.w / 2);
      return from(window_attention(projected, qkv.bias(), table, {.heads = o.heads, .window = o.window, .shift = shift}));
    });
  }
}

void composite_suspects(Trial& trial, const Variable& x, const Variable& before) {
  activation_suspects(trial, before, " of its last layer's output");
  if (before.shape() == x.shape()) {
    activation_suspects(trial, before + x, " of its last layer's output and the shortcut");
    trial.attempt("with the shortcut added", [&] { return before + x; });
  }
  for (const auto& [a, name] : kActivations)   // squeeze and excitation
    trial.attempt(detail::join("with ", name, " as the gate"), [&, form = a] { return x * activate(before, form); });
}

/// The factor that brings y nearest to `expected`, in the sense of least squares.
double best_factor(const Tensor& y, const Tensor& expected) {
  const std::vector<double> a = y.to_vector<double>(), b = expected.to_vector<double>();
  double ab = 0, aa = 0;
  for (std::size_t i = 0; i < a.size(); ++i) ab += a[i] * b[i], aa += a[i] * a[i];
  return aa > 0 ? ab / aa : 0;
}

/// Of any layer: what it gave, `ours`, is right but for a factor or the order of its axes.
void general_suspects(Trial& trial, const Tensor& ours) {
  const Tensor& expected = trial.expected();
  if (!(ours.shape() == expected.shape())) return;
  const double factor = best_factor(ours, expected);
  if (factor != 0) trial.attempt(detail::join("with its output times ", factor), [&] { return scale(Variable(ours), factor); });
  if (ours.rank() != 4) return;
  trial.attempt("with rows and columns exchanged", [&] { return transpose(Variable(ours), 1, 2); });
  trial.attempt("as (N, H, W, C) numbers in a tensor whose shape says (N, C, H, W)", [&] {
    const Shape& s = ours.shape();
    return Variable(from_layout(ours.reshape({s[0], s[3], s[1], s[2]}), ImageLayout::nchw));
  });
}

}   // namespace

Variable window_attention_without_mask(const Variable& qkv, const Variable& qkv_bias, const Variable& table, std::int64_t heads,
                                       std::int64_t window, std::int64_t shift) {
  // Padded to whole windows first: a pixel of the padding is an image pixel whose q, k and v are the biases.
  const std::int64_t height = qkv.dim(1), width = qkv.dim(2);
  const auto rest = [&](std::int64_t n) { return (window - n % window) % window; };
  Variable z = qkv - qkv_bias;
  if (rest(height) > 0 || rest(width) > 0) z = pad(z, {.axis = 1, .after = rest(height)}, {.axis = 2, .after = rest(width)});
  z = z + qkv_bias;
  const std::int64_t down = z.dim(1) > window ? shift : 0, right = z.dim(2) > window ? shift : 0;
  z = rolled(rolled(z, 1, z.dim(1) - down), 2, z.dim(2) - right);
  z = window_attention(z, qkv_bias, table, {.heads = heads, .window = window});
  z = rolled(rolled(z, 1, down), 2, right);
  return slice(z, {.axis = 1, .end = height}, {.axis = 2, .end = width});
}

std::vector<std::string> layer_suspects(const nn::Module& m, const Tensor& input, const Tensor& before, const Tensor& ours,
                                        const Tensor& expected, double tolerance) {
  Trial trial(expected, tolerance);
  const Variable x(input);
  if (const auto* bn = dynamic_cast<const nn::BatchNorm2d*>(&m))
    batch_norm_suspects(trial, *bn, x);
  else if (const auto* ln = dynamic_cast<const nn::LayerNorm*>(&m))
    layer_norm_suspects(trial, *ln, x);
  else if (const auto* conv = dynamic_cast<const nn::Conv2d*>(&m))
    conv_suspects(trial, *conv, x);
  else if (const auto* full = dynamic_cast<const nn::Linear*>(&m))
    linear_suspects(trial, *full, x);
  else if (const auto* window = dynamic_cast<const nn::ShiftedWindowAttention*>(&m))
    window_suspects(trial, *window, x);
  else if (dynamic_cast<const nn::ActivationLayer*>(&m) || dynamic_cast<const nn::GELU*>(&m) || dynamic_cast<const nn::LeakyReLU*>(&m))
    activation_suspects(trial, x, "");
  else if (!m.children().empty() && before.defined())
    composite_suspects(trial, x, Variable(before));
  else
    pool_suspects(trial, m, x);
  // timm's BatchNormAct2d, for one, has the activation inside.
  if (m.children().empty() && !m.own_parameters().empty()) activation_suspects(trial, Variable(ours), " after it");
  general_suspects(trial, ours);
  return trial.take();
}

}   // namespace fovea::vision
