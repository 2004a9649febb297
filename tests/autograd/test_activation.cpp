// test_activation.cpp: every activation as an op, against PyTorch, and behind a convolution and a norm.
#include "autograd/activation.h"
#include "autograd/arithmetic.h"

#include "autograd/dot.h"
#include "autograd/norm.h"
#include "tensor/allocator.h"
#include "tests/op_testing.h"

namespace fovea {
namespace {

using Op = Variable (*)(const Variable&);
struct Named {
  const char* name;
  Op op;
};
constexpr Named kOps[] = {
    {"relu", relu},
    {"relu6", relu6},
    {"silu", silu},
    {"gelu", [](const Variable& x) { return gelu(x); }},
    {"gelu_tanh", [](const Variable& x) { return gelu(x, {.approximate = Approximate::tanh}); }},
    {"sigmoid", sigmoid},
    {"tanh", tanh},
    {"hard_sigmoid", hard_sigmoid},
    {"hard_swish", hard_swish},
    {"leaky_relu", [](const Variable& x) { return leaky_relu(x); }},
    {"leaky_relu_steep", [](const Variable& x) { return leaky_relu(x, -1.5); }},
};

const Activation kFused[] = {Activation::relu6, Activation::hard_swish, Activation::silu, Activation::gelu, Activation::sigmoid};

BatchNormConfig norm_of(const Inputs& in, std::size_t gamma, bool training) {
  const Tensor like = in[gamma].value();
  return {.gamma = in[gamma],
          .beta = in[gamma + 1],
          .running_mean = Tensor::full(like.shape(), 0.25, like.dtype(), like.device()),
          .running_var = Tensor::full(like.shape(), 1.5, like.dtype(), like.device()),
          .training = training};
}

std::vector<OpCase> cases() {
  std::vector<OpCase> all;
  for (const Named& n : kOps)   // times 3, to reach the bends at 3 and 6; 5 x 7 elements: no multiple of 16 lanes
    all.push_back({n.name, {{5, 7}}, [op = n.op](const Inputs& in) { return op(scale(in[0], 3)); }});
  for (const Activation a : kFused)
    for (const bool training : {true, false}) {
      const std::string suffix = "_" + std::to_string(static_cast<int>(a)) + (training ? "_training" : "_frozen");
      all.push_back({"conv_norm_act" + suffix, {{2, 4, 5, 3}, {17, 3, 3, 3}, {17}, {17}}, [=](const Inputs& in) {
                       return conv_norm_act(in[0], in[1], {.padding = 1}, norm_of(in, 2, training), {.activation = a});
                     }});
      // The second convolution reads the first one's output through its prologue, and the third the join as a tensor.
      all.push_back({"chain" + suffix,
                     {{2, 3, 3, 4}, {4, 3, 3, 4}, {4}, {4}},
                     [=](const Inputs& in) {
                       const Variable y = conv_norm_act(in[0], in[1], {.padding = 1}, norm_of(in, 2, training), {.activation = a});
                       const ConvNormActOptions join{.activation = a, .residual = &in[0]};
                       const Variable z = conv_norm_act(y, in[1], {.padding = 1}, norm_of(in, 2, training), join);
                       return conv_norm_act(z, in[1], {.padding = 1}, norm_of(in, 2, training), {.activation = a});
                     },
                     {0},
                     5e-5,
                     0.2});   // three layers in a row, rounded to bfloat16, stretched by their norms; masks may flip
    }
  return all;
}
INSTANTIATE_TEST_SUITE_P(Activation, EachOp, testing::ValuesIn(cases()), op_name);

TEST(ActivationParity, EqualsPyTorch) {
  const Stored stored("activations");
  for (const Named& n : kOps) expect_parity(stored, {n.name, {}, [op = n.op](const Inputs& in) { return op(in[0]); }});
}

// Whoever can have the gradient from the output keeps that alone: the input may go as soon as its owner lets it.
TEST(ActivationOp, KeepsTheOutputWhereItCan) {
  const std::int64_t n = 1 << 18;
  const auto kept_beside_output = [&](Op op) {
    Variable leaf(Tensor::zeros({n}), true);
    const std::size_t before = memory_statistics().in_use;
    const Variable y = op(scale(leaf, 2));   // the scaled copy dies, unless op keeps it
    return memory_statistics().in_use - before - static_cast<std::size_t>(4 * n);
  };
  for (const Op op : {relu, relu6, sigmoid, static_cast<Op>(fovea::tanh)}) EXPECT_LT(kept_beside_output(op), 4096u);
  for (const Op op : {silu, hard_swish, hard_sigmoid}) EXPECT_GE(kept_beside_output(op), static_cast<std::size_t>(4 * n));
}

TEST(ActivationOp, FusedEqualsUnfused) {
  const Tensor x = Tensor::randn({2, 5, 5, 3}, RandomKey{1}), w = Tensor::randn({6, 3, 3, 3}, RandomKey{2});
  for (const Activation a : kFused) {
    const Inputs in{Variable(x.clone(), true), Variable(w.clone(), true), Variable(Tensor::full({6}, 1), true),
                    Variable(Tensor::zeros({6}), true)};
    const Variable fused = conv_norm_act(in[0], in[1], {.padding = 1}, norm_of(in, 2, true), {.activation = a});
    const Variable apart = activate(batch_norm(conv2d(in[0], in[1], Variable(), {.padding = 1}), norm_of(in, 2, true)), a);
    EXPECT_LE(relative_error(fused.value(), apart.value()), 1e-6);
  }
}

TEST(ActivationOp, SlopesAreFinite) {
  EXPECT_THROW(leaky_relu(Variable(Tensor::zeros({3})), std::nan("")), ShapeError);
  EXPECT_EQ(silu(Variable(Tensor::zeros({0, 3}))).shape(), (Shape{0, 3}));   // nothing in, nothing out
}

}   // namespace
}   // namespace fovea
