#include <gtest/gtest.h>

#include <thread>

#include "autograd/activation.h"
#include "autograd/arithmetic.h"
#include "autograd/dot.h"
#include "autograd/reductions.h"
#include "autograd/shape_ops.h"
#include "autograd/variable.h"

namespace fovea {
namespace {

Variable parameter(std::vector<float> values) {
  const auto n = static_cast<std::int64_t>(values.size());
  return Variable(Tensor::from(values, {n}), true);
}

TEST(Engine, ChainRuleByHand) {   // L = mean(2 relu(x) + x): dL/dx = (2 [x > 0] + 1) / 4
  const Variable x = parameter({-1, 2, 0, 3});
  mean(add(scale(relu(x), 2), x)).backward();
  EXPECT_EQ(x.grad().to_vector<float>(), (std::vector<float>{0.25f, 0.75f, 0.25f, 0.75f}));
}

TEST(Engine, AValueUsedOftenSumsItsGradients) {
  const Variable x = parameter({1, 2});
  Variable y = relu(x);
  mean(add(add(y, y), add(y, scale(y, 5)))).backward();   // 8 y
  EXPECT_EQ(x.grad().to_vector<float>(), (std::vector<float>{4, 4}));
}

TEST(Engine, SharedGradientIsNotOverwritten) {   // add hands one dy to both sides; a sum may not grow in the other's memory
  const Variable a = parameter({1, 1}), b = parameter({1, 1});
  const Variable u = scale(a, 1), v = scale(b, 1);
  const Variable w = scale(u, 3);   // a statement each: the engine meets add(u, v) first, then adds w's part to u's gradient
  const Variable s = add(u, v);
  mean(add(w, s)).backward();
  EXPECT_EQ(a.grad().to_vector<float>(), (std::vector<float>{2, 2}));
  EXPECT_EQ(b.grad().to_vector<float>(), (std::vector<float>{0.5f, 0.5f}));
}

TEST(Engine, GradientsAddUpUntilZeroGrad) {
  Variable x = parameter({1, 2});
  mean(x).backward();
  mean(x).backward();
  EXPECT_EQ(x.grad().to_vector<float>(), (std::vector<float>{1, 1}));
  x.zero_grad();
  EXPECT_FALSE(x.has_grad());
  mean(x).backward();
  EXPECT_EQ(x.grad().to_vector<float>(), (std::vector<float>{0.5f, 0.5f}));
}

TEST(Engine, GradientsGoToTheOptimisersSlot) {
  Variable x = parameter({1, 2});
  Tensor values = Tensor::zeros({2}), grads = Tensor::full({2}, 7);   // what an earlier step left there
  x.move_to(values, grads);
  EXPECT_EQ(values.to_vector<float>(), (std::vector<float>{1, 2}));
  mean(x).backward();
  EXPECT_EQ(grads.to_vector<float>(), (std::vector<float>{0.5f, 0.5f}));
  mean(scale(x, 2)).backward();
  EXPECT_EQ(grads.to_vector<float>(), (std::vector<float>{1.5f, 1.5f}));
  x.zero_grad();
  mean(x).backward();
  EXPECT_EQ(grads.to_vector<float>(), (std::vector<float>{0.5f, 0.5f}));
  EXPECT_TRUE(x.grad().shares_storage(grads));
}

TEST(Engine, GradientReusesMemoryThatNobodyElseHolds) {
  const Variable x = parameter(std::vector<float>(1000, 1.f));
  const Variable y = scale(relu(scale(scale(x, 2), 3)), 4);
  Tensor dy = Tensor::full({1000}, 1);
  const void* memory = dy.raw();
  y.backward(std::move(dy));
  EXPECT_EQ(x.grad().raw(), memory);   // one buffer went through four ops
  EXPECT_EQ(x.grad().to_vector<float>()[999], 24);
}

TEST(Engine, WhatAnOpKeptIsFreedAsBackwardPasses) {
  const Variable x = parameter(std::vector<float>(1 << 16, 1.f));
  const std::size_t before = memory_statistics().in_use;
  {
    const Variable loss = mean(relu(relu(relu(x))));
    EXPECT_GE(memory_statistics().in_use, before + 3 * (4u << 16));   // each relu keeps its output
    loss.backward();
    EXPECT_LT(memory_statistics().in_use, before + 2 * (4u << 16));   // x.grad is left, and the scalar
  }
}

TEST(Engine, DeepGraphsNeedNoStack) {
  const Variable x = parameter({1});
  {
    Variable y = x;
    for (int i = 0; i < 200000; ++i) y = scale(y, 1);
    y.backward();
    EXPECT_EQ(x.grad().item(), 1);
  }
  Variable dropped = x;   // and none to be forgotten
  for (int i = 0; i < 200000; ++i) dropped = scale(dropped, 1);
}

TEST(Engine, NoGradRecordsNothing) {
  const Variable x = parameter({1, 2});
  {
    const NoGrad no_grad;
    EXPECT_FALSE(relu(x).requires_grad());
    std::thread([&] { EXPECT_TRUE(relu(x).requires_grad()); }).join();   // a matter of this thread only
  }
  EXPECT_TRUE(relu(x).requires_grad());
  EXPECT_FALSE(relu(x.detach()).requires_grad());
  EXPECT_FALSE(relu(Variable(Tensor::zeros({2}))).requires_grad());
}

TEST(Engine, MisuseIsSaid) {
  const Variable x = parameter({1, 2});
  EXPECT_THROW(relu(x).backward(), ShapeError);                       // not a scalar
  EXPECT_THROW(Variable(Tensor::zeros({})).backward(), ShapeError);   // nothing to differentiate
  const Variable y = mean(x);
  y.backward();
  EXPECT_THROW(y.backward(), Error);   // freed
  EXPECT_THROW(Variable().value(), ShapeError);
  EXPECT_THROW(add(x, parameter({1, 2, 3})), ShapeError);
  Variable r = relu(x);
  EXPECT_THROW(r.set_requires_grad(false), ShapeError);
}

TEST(Engine, DerivedFormsFollowTheVersion) {
  Variable w = parameter({1, 2});
  int made = 0;
  const auto doubled = [&] {
    return w.derived("doubled", [&](const Tensor& t) {
      ++made;
      Tensor d = t.clone();
      for (int i = 0; i < 2; ++i) d.data<float>()[i] *= 2;
      return d;
    });
  };
  EXPECT_EQ(doubled().to_vector<float>(), (std::vector<float>{2, 4}));
  doubled();
  EXPECT_EQ(made, 1);
  w.assign(Tensor::from(std::vector<float>{5, 6}, {2}));
  EXPECT_EQ(doubled().to_vector<float>(), (std::vector<float>{10, 12}));
  EXPECT_EQ(made, 2);
}

TEST(ShapeOps, FlattenIsChannelMajor) {   // (1, 1, 2, 3): pixel 0 has channels 0 1 2, pixel 1 has 3 4 5
  const Variable x(Tensor::from(std::vector<float>{0, 1, 2, 3, 4, 5}, {1, 1, 2, 3}), true);
  const Variable y = flatten(x);
  EXPECT_EQ(y.shape(), (Shape{1, 6}));
  EXPECT_EQ(y.value().to_vector<float>(), (std::vector<float>{0, 3, 1, 4, 2, 5}));
  y.backward(Tensor::from(std::vector<float>{10, 13, 11, 14, 12, 15}, {1, 6}));
  EXPECT_EQ(x.grad().to_vector<float>(), (std::vector<float>{10, 11, 12, 13, 14, 15}));
}

TEST(ShapeOps, ConvertRoundsAndComesBack) {
  const Variable x(Tensor::from(std::vector<float>{1.00390625f, 3}, {2}), true);   // 1 + 2^-8: a tie in bfloat16
  const Variable y = convert(x, DType::bf16);
  EXPECT_EQ(y.value().to_vector<float>(), (std::vector<float>{1, 3}));
  mean(y).backward();
  EXPECT_EQ(x.grad().dtype(), DType::f32);
  EXPECT_EQ(x.grad().to_vector<float>(), (std::vector<float>{0.5f, 0.5f}));
}

}   // namespace
}   // namespace fovea
