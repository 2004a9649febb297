// The stored logits are sharp enough: mistakes that people make, built from the networks' own layers, each miss them. Every network is first run
// layer by layer without a mistake, which must give the logits; then with one.
#include <functional>

#include "autograd/activation.h"
#include "autograd/arithmetic.h"
#include "autograd/linear.h"
#include "autograd/pooling.h"
#include "autograd/shape_ops.h"
#include "nn/activation.h"
#include "nn/conv2d.h"
#include "nn/linear.h"
#include "nn/sequential.h"
#include "nn/window_attention.h"
#include "tensor/safetensors.h"
#include "tests/vision/model_formula.h"
#include "vision/analysis/layer_suspects.h"
#include "vision/models/convnext.h"
#include "vision/models/swin.h"

namespace fovea::vision {
namespace {

constexpr double kBound = 1e-5;   // of test_model_logits.cpp

/// A layer that is run in another way; undefined: as it is.
using Mistake = std::function<Variable(nn::Module& m, const Variable& x)>;

/// Sequences, ConvNeXt blocks (no scaling of the branch but layer_scale) and Swin blocks run layer by layer, others whole.
Variable run(nn::Module& m, const Variable& x, const Mistake& mistake) {
  if (const Variable y = mistake(m, x); y.defined()) return y;
  const auto child = [&](std::size_t i, const Variable& z) { return run(*m.children()[i], z, mistake); };
  if (dynamic_cast<ConvNeXtBlock*>(&m)) {
    const Variable scale = m.parameters()[0].second->value;
    return child(0, x) * reshape(scale, {scale.dim(0)}) + x;
  }
  if (dynamic_cast<SwinBlock*>(&m)) {   // norm1, attn, stochastic depth, norm2, mlp
    const Variable y = child(1, child(0, x)) + x;
    return child(4, child(3, y)) + y;
  }
  if (!dynamic_cast<nn::Sequential*>(&m)) return m(x);
  Variable y = x;
  for (std::size_t i = 0; i < m.children().size(); ++i) y = child(i, y);
  return y;
}

struct Network {
  std::unique_ptr<Classifier> net;
  Variable x;
  Tensor logits;

  explicit Network(const std::string& key) {
    static const TensorFile file = read_safetensors(FOVEA_SOURCE_DIR "/tests/parity/model_logits.safetensors");
    const std::int64_t size = std::stoll(key.substr(key.find('@') + 1));
    net = empty_network(key.substr(0, key.find('@')), size);
    fill(*net, file.find(key + ".exponents"));
    net->eval();
    x = Variable(picture(size));
    logits = *file.find(key);
  }
  nn::Module& child(std::size_t i) { return *net->children()[i]; }
};

/// Runs it twice: the first must give the logits, the second must not.
void expect_found(const Tensor& logits, const std::function<Variable(const Mistake&)>& forward, const Mistake& mistake,
                  const std::string& what) {
  const NoGrad no_grad;
  const double right = relative_difference(forward([](nn::Module&, const Variable&) { return Variable(); }).value(), logits);
  const double wrong = relative_difference(forward(mistake).value(), logits);
  EXPECT_LE(right, kBound) << what;
  EXPECT_GT(wrong, kBound) << what;
  testing::Test::RecordProperty("error", detail::join(wrong));
}

TEST(ModelMistakes, GeluByTanh) {
  Network n("convnext_tiny@64");
  expect_found(
      n.logits, [&](const Mistake& m) { return run(n.child(1), global_avg_pool(run(n.child(0), n.x, m)), m); },
      [](nn::Module& m, const Variable& x) {
        return dynamic_cast<nn::GELU*>(&m) ? gelu(x, {.approximate = Approximate::tanh}) : Variable();
      },
      "tanh");
}

TEST(ModelMistakes, NoShiftMask) {
  Network n("swin_t@96");
  expect_found(
      n.logits, [&](const Mistake& m) { return run(n.child(2), global_avg_pool(run(n.child(1), run(n.child(0), n.x, m), m)), m); },
      [](nn::Module& m, const Variable& x) {
        const auto* attention = dynamic_cast<nn::ShiftedWindowAttention*>(&m);
        if (!attention || attention->options().shift == Size2(0)) return Variable();
        const auto& qkv = dynamic_cast<nn::Linear&>(*m.children()[0]);
        return (*m.children()[1])(window_attention_without_mask(linear(x, qkv.weight(), qkv.bias()), qkv.bias(),
                                                                m.own_parameters()[0]->value, attention->options().heads, 7, 3));
      },
      "mask");
}

/// A ResNet's stem and stages; the stem's convolution with other padding.
TEST(ModelMistakes, PaddingBehindOnly) {
  Network n("resnet50@64");
  expect_found(
      n.logits,
      [&](const Mistake& m) {
        Variable y = relu(run(n.child(1), run(n.child(0), n.x, m), m));
        for (std::size_t i = 2; i < n.net->children().size(); ++i) y = run(n.child(i), y, m);
        return y;
      },
      [](nn::Module& m, const Variable& x) {
        const auto* conv = dynamic_cast<nn::Conv2d*>(&m);
        if (!conv || m.name() != "conv1" || x.dim(3) != 3) return Variable();
        const Variable padded = pad(x, {.axis = 1, .before = 2, .after = 3}, {.axis = 2, .before = 2, .after = 3});   // instead of 3 and 3
        return conv2d(padded, conv->weight(), {}, {.stride = 2});
      },
      "padding");
}

/// sqrt(variance + 1e-3) instead of sqrt(variance + 1e-5), in all norms, or in the deepest alone.
TEST(ModelMistakes, EpsilonOfBatchNorm) {
  for (const std::string& where : {std::string(), std::string("layer4.2.bn3.")}) {
    Network n("resnet50@64");
    TensorFile weights = nn::state_dict(*n.net);
    for (auto& [name, t] : weights.tensors)
      if (name.starts_with(where) && name.ends_with("running_var"))
        for (std::int64_t i = 0; i < t.elements(); ++i) t.data<float>()[i] += 1e-3f - 1e-5f;
    expect_found(
        n.logits,
        [&](const Mistake& m) {
          if (m(*n.net, n.x).defined()) nn::load_state_dict(*n.net, weights);
          return (*n.net)(n.x);
        },
        [](nn::Module&, const Variable& x) { return x; }, "epsilon " + where);
  }
}

}   // namespace
}   // namespace fovea::vision
