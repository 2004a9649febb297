// test_gradients.cpp: the ops that a residual network is made of, by themselves and in a row.
#include "autograd/arithmetic.h"
#include "autograd/conv.h"
#include "autograd/dot.h"
#include "autograd/linear.h"
#include "autograd/loss.h"
#include "autograd/norm.h"
#include "autograd/pooling.h"
#include "autograd/reductions.h"
#include "autograd/shape_ops.h"
#include "tests/op_testing.h"

namespace fovea {
namespace {

BatchNormConfig norm_of(const Inputs& in, std::size_t gamma, bool training, double running_var = 1.5) {
  const Tensor like = in[gamma].value();
  return {.gamma = in[gamma],
          .beta = in[gamma + 1],
          .running_mean = Tensor::full(like.shape(), 0.25, like.dtype(), like.device()),
          .running_var = Tensor::full(like.shape(), running_var, like.dtype(), like.device()),
          .training = training};
}

const Tensor kLabels = Tensor::from(std::vector<std::int64_t>{2, 0, 4}, {3});

std::vector<OpCase> op_cases() {
  std::vector<OpCase> cases{
      {"add", {{3, 5}, {3, 5}}, [](const Inputs& in) { return add(in[0], in[1]); }, {0, 1}},
      {"scale", {{2, 7}}, [](const Inputs& in) { return scale(in[0], -1.5); }},
      {"relu", {{4, 5}}, [](const Inputs& in) { return relu(in[0]); }},
      {"mean", {{3, 4}}, [](const Inputs& in) { return mean(in[0]); }},
      {"reshape",
       {{2, 6}},
       [](const Inputs& in) {
         return scale(reshape(in[0], {3, -1}), 2);
       }},
      {"flatten", {{2, 3, 2, 3}}, [](const Inputs& in) { return flatten(in[0]); }},
      {"linear", {{3, 5}, {4, 5}, {4}}, [](const Inputs& in) { return linear(in[0], in[1], in[2]); }},
      {"linear_without_bias", {{1, 3}, {2, 3}}, [](const Inputs& in) { return linear(in[0], in[1], Variable()); }},
      {"conv2d", {{2, 5, 4, 3}, {4, 3, 3, 3}, {4}}, [](const Inputs& in) { return conv2d(in[0], in[1], in[2], {.padding = 1}); }},
      {"conv2d_strided",
       {{1, 7, 6, 2}, {3, 3, 2, 2}},
       [](const Inputs& in) {
         return conv2d(in[0], in[1], Variable(), {.stride = {2, 3}, .padding = {1, 0}});
       }},
      {"conv2d_grouped_dilated",
       {{1, 6, 6, 4}, {6, 2, 3, 2}},
       [](const Inputs& in) {
         return conv2d(in[0], in[1], Variable(), {.padding = 2, .dilation = {1, 2}, .groups = 2});
       }},
      {"batch_norm_training", {{3, 2, 2, 5}, {5}, {5}}, [](const Inputs& in) { return batch_norm(in[0], norm_of(in, 1, true)); }},
      {"batch_norm_frozen", {{3, 2, 2, 5}, {5}, {5}}, [](const Inputs& in) { return batch_norm(in[0], norm_of(in, 1, false)); }},
      {"max_pool2d", {{2, 5, 6, 3}}, [](const Inputs& in) { return max_pool2d(in[0], {.kernel = 3, .stride = 2, .padding = 1}); }},
      {"global_avg_pool", {{2, 3, 4, 5}}, [](const Inputs& in) { return global_avg_pool(in[0]); }},
      {"cross_entropy", {{3, 5}}, [](const Inputs& in) { return cross_entropy(in[0], kLabels, {.label_smoothing = 0.1}); }},
  };
  for (const bool training : {true, false})
    for (const Activation activation : {Activation::none, Activation::relu}) {
      const std::string suffix = std::string(training ? "_training" : "_frozen") + (activation == Activation::relu ? "_relu" : "");
      cases.push_back({"conv_norm_act" + suffix, {{2, 4, 5, 3}, {4, 3, 3, 3}, {4}, {4}}, [=](const Inputs& in) {
                         return conv_norm_act(in[0], in[1], {.padding = 1}, norm_of(in, 2, training), {.activation = activation});
                       }});
      cases.push_back({"conv_norm_act_residual" + suffix,
                       {{2, 4, 4, 3}, {4, 1, 1, 3}, {4}, {4}, {2, 2, 2, 4}},
                       [=](const Inputs& in) {
                         return conv_norm_act(in[0], in[1], {.stride = 2}, norm_of(in, 2, training),
                                              {.activation = activation, .residual = &in[4]});
                       },
                       {0, 4}});
    }
  // Two fused convolutions and a shortcut around them: the second reads the first's raw output through its prologue, and the block's input
  // is a fused output too, so a join depends on a join.
  cases.push_back({"residual_blocks", {{2, 4, 4, 3}, {3, 3, 3, 3}, {3}, {3}, {3, 3, 3, 3}, {3}, {3}}, [](const Inputs& in) {
                     Variable x = in[0];
                     for (int block = 0; block < 4; ++block) {
                       const Variable y = conv_norm_act(x, in[1], {.padding = 1}, norm_of(in, 2, true), {.activation = Activation::relu});
                       x = conv_norm_act(y, in[4], {.padding = 1}, norm_of(in, 5, true), {.activation = Activation::relu, .residual = &x});
                     }
                     return x;
                   }});
  cases.back().bf16 = 0.5;   // eight convolutions with norms in a row, whose masks may flip
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Ops, EachOp, testing::ValuesIn(op_cases()), op_name);

TEST(ConvNormAct, FusedEqualsUnfused) {
  for (const bool training : {true, false})
    for (const bool with_residual : {false, true}) {
      const auto make = [&] {
        Inputs in;
        const std::vector<Shape> shapes{{3, 7, 5, 6}, {19, 3, 3, 6}, {19}, {19}, {3, 7, 5, 19}};
        for (std::size_t i = 0; i < shapes.size(); ++i) in.emplace_back(Tensor::randn(shapes[i], RandomKey{3, i}), true);
        return in;
      };
      const Inputs a = make(), b = make();
      const BatchNormConfig norm_a = norm_of(a, 2, training), norm_b = norm_of(b, 2, training);
      const Variable fused =
          conv_norm_act(a[0], a[1], {.padding = 1}, norm_a, {.activation = Activation::relu, .residual = with_residual ? &a[4] : nullptr});
      Variable unfused = batch_norm(conv2d(b[0], b[1], Variable(), {.padding = 1}), norm_b);
      unfused = relu(with_residual ? add(unfused, b[4]) : unfused);
      EXPECT_LT(relative_error(fused.value(), unfused.value()), 1e-6);
      const Tensor dy = Tensor::randn(fused.shape(), RandomKey{4});
      fused.backward(dy.clone());
      unfused.backward(dy.clone());
      for (std::size_t i = 0; i < (with_residual ? 5u : 4u); ++i)
        EXPECT_LT(relative_error(a[i].grad(), b[i].grad()), 1e-5) << "input " << i;   // float32 sums of 105 terms in another order
      EXPECT_LT(relative_error(norm_a.running_mean, norm_b.running_mean), 1e-6);
      EXPECT_LT(relative_error(norm_a.running_var, norm_b.running_var), 1e-6);
    }
}

TEST(ConvNormAct, KeepsItsRawOutputAndNothingElse) {
  const Variable x(Tensor::randn({2, 32, 32, 16}, RandomKey{1})), w(Tensor::randn({16, 3, 3, 16}, RandomKey{2}), true);
  const Variable gamma(Tensor::full({16}, 1), true), beta(Tensor::zeros({16}), true);
  const BatchNormConfig norm{.gamma = gamma, .beta = beta, .running_mean = Tensor::zeros({16}), .running_var = Tensor::full({16}, 1)};
  const auto block = [&](const Variable& in) {
    const Variable y = conv_norm_act(in, w, {.padding = 1}, norm, {.activation = Activation::relu});
    return conv_norm_act(y, w, {.padding = 1}, norm, {.activation = Activation::relu, .residual = &in});
  };
  const std::size_t activation = x.value().bytes(), before = memory_statistics().in_use;
  Variable y = block(block(x));
  const std::size_t kept = memory_statistics().in_use - before;
  EXPECT_GE(kept, 4 * activation);                    // four convolutions, four raw outputs
  EXPECT_LT(kept, 4 * activation + activation / 4);   // and vectors of 16 channels
  mean(y).backward();
}

TEST(Ops, BadInputSaysExpectedAndActual) {
  const Variable x(Tensor::zeros({2, 8, 8, 3})), w(Tensor::zeros({4, 3, 3, 5}));
  try {
    conv2d(x, w, Variable(), {});
    FAIL();
  } catch (const ShapeError& e) {
    EXPECT_STREQ(e.what(), "conv2d: expected x with 5 channels, got (2, 8, 8, 3)");
  }
  const Variable w3(Tensor::zeros({4, 3, 3, 3}));
  EXPECT_THROW(conv2d(Variable(Tensor::zeros({2, 2, 8, 3})), w3, Variable(), {}), ShapeError);   // smaller than the kernel
  EXPECT_THROW(conv2d(x, w3, Variable(Tensor::zeros({5})), {}), ShapeError);                     // bias of another length
  EXPECT_THROW(conv2d(x, w3, Variable(), {.stride = 0}), ShapeError);
  EXPECT_THROW(conv2d(x, w3, Variable(), {.groups = 3}), ShapeError);
  EXPECT_THROW(conv2d(Variable(Tensor::zeros({2, 8, 8, 3}, DType::f64)), w3, Variable(), {}), ShapeError);   // float64 on cpu
  EXPECT_THROW(conv2d(Variable(Tensor::zeros({2, 8, 8, 3}, DType::f32, Device::reference)), w3, Variable(), {}),
               ShapeError);   // devices differ
  EXPECT_THROW(linear(Variable(Tensor::zeros({2, 3})), Variable(Tensor::zeros({4, 5})), Variable()), ShapeError);
  EXPECT_THROW(max_pool2d(x, {.kernel = 2, .padding = 2}), ShapeError);
  EXPECT_THROW(cross_entropy(Variable(Tensor::zeros({3, 4})), kLabels), ShapeError);   // a label past the last class
  EXPECT_THROW(cross_entropy(Variable(Tensor::zeros({3, 5})), kLabels, {.label_smoothing = 1}), ShapeError);
  const Variable one(Tensor::full({3}, 1));
  const BatchNormConfig norm{.gamma = one, .beta = one, .running_mean = one.value(), .running_var = one.value()};
  EXPECT_THROW(batch_norm(Variable(Tensor::zeros({1, 1, 1, 3})), norm), ShapeError);   // one value per channel
  EXPECT_THROW(batch_norm(Variable(Tensor::zeros({2, 4})), norm), ShapeError);
}

}   // namespace
}   // namespace fovea
