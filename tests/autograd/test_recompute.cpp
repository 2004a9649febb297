// test_recompute.cpp: a segment that runs twice: the same gradients, bit for bit, from less memory.
#include "autograd/arithmetic.h"
#include "autograd/recompute.h"
#include "autograd/reductions.h"

#include <gtest/gtest.h>

#include <cstring>

#include "autograd/activation.h"
#include "autograd/conv.h"
#include "autograd/dot.h"
#include "autograd/dropout.h"
#include "autograd/norm.h"
#include "tensor/allocator.h"

namespace fovea {
namespace {

/// A network of residual blocks with batch norm and dropout, and what a step leaves behind.
struct Network {
  Variable w[2], gamma{Tensor::full({8}, 1.25), true}, beta{Tensor::full({8}, 0.1), true};
  Tensor running_mean = Tensor::zeros({8}), running_var = Tensor::full({8}, 1);
  bool training = true;

  Network() {
    for (std::uint64_t i = 0; i < 2; ++i) w[i] = Variable(scaled(Tensor::randn({8, 3, 3, 8}, RandomKey{4, i})), true);
  }
  static Tensor scaled(Tensor t) {
    for (std::int64_t i = 0; i < t.elements(); ++i) t.data<float>()[i] *= 0.2f;
    return t;
  }
  BatchNormConfig norm() const {
    return {.gamma = gamma, .beta = beta, .running_mean = running_mean, .running_var = running_var, .training = training};
  }
  Variable block(const Variable& x) const {
    const Variable y = conv_norm_act(x, w[0], {.padding = 1}, norm(), {.activation = Activation::relu});
    return conv_norm_act(dropout(y, 0.3), w[1], {.padding = 1}, norm(), {.activation = Activation::silu, .residual = &x});
  }
  Variable stem(const Variable& x) const { return conv_norm_act(x, w[0], {.padding = 1}, norm(), {.activation = Activation::relu}); }
};

struct Step {
  std::vector<Tensor> results;   // loss, gradients, running statistics
  std::uint64_t keys = 0;
};

template <class Segment> Step step(const Segment& segment, DType dtype, bool training, bool input_wants_gradient) {
  manual_seed(77);
  Network net;
  net.training = training;
  const Variable x(Tensor::randn({2, 9, 7, 8}, RandomKey{1}).to(dtype), input_wants_gradient);
  Variable y = segment([&](const Variable& v) { return net.stem(v); }, x);   // its output is an Activated: the next reads its prologue
  for (int i = 0; i < 3; ++i) y = segment([&](const Variable& v) { return net.block(v); }, y);
  y = dropout(y, 0.5);   // keys go on where they would have without recomputation
  const Variable loss = mean(y);
  loss.backward();
  Step s;
  s.results = {loss.value(), net.w[0].grad(), net.w[1].grad(), net.gamma.grad(), net.beta.grad(), net.running_mean, net.running_var};
  if (input_wants_gradient) s.results.push_back(x.grad());
  s.keys = default_generator().used();
  return s;
}

const auto kPlain = [](auto f, const Variable& x) { return f(x); };
const auto kRecomputed = [](auto f, const Variable& x) { return recompute(f, x); };

TEST(Recompute, GivesTheSameBits) {
  for (const DType dtype : {DType::f32, DType::bf16})
    for (const bool training : {true, false})
      for (const bool input_wants_gradient : {true, false}) {
        const Step plain = step(kPlain, dtype, training, input_wants_gradient),
                   again = step(kRecomputed, dtype, training, input_wants_gradient);
        ASSERT_EQ(plain.results.size(), again.results.size());
        for (std::size_t i = 0; i < plain.results.size(); ++i) {
          ASSERT_TRUE(again.results[i].defined()) << i;
          EXPECT_EQ(std::memcmp(plain.results[i].raw(), again.results[i].raw(), plain.results[i].bytes()), 0)
              << "result " << i << ", " << name_of(dtype) << ", training " << training << ", gradient of x " << input_wants_gradient;
        }
        EXPECT_EQ(plain.keys, again.keys);
      }
}

TEST(Recompute, Nests) {
  const auto twice = [](auto f, const Variable& x) { return recompute([f](const Variable& v) { return recompute(f, v); }, x); };
  const Step plain = step(kPlain, DType::f32, true, true), again = step(twice, DType::f32, true, true);
  for (std::size_t i = 0; i < plain.results.size(); ++i)
    EXPECT_EQ(std::memcmp(plain.results[i].raw(), again.results[i].raw(), plain.results[i].bytes()), 0) << i;
}

TEST(Recompute, KeepsTheInputsOfItsSegmentsAlone) {
  const std::int64_t n = 1 << 18;
  const auto segment = [](const Variable& x) {
    Variable y = x;
    for (int i = 0; i < 6; ++i) y = silu(scale(y, 1.1));   // each silu keeps its input
    return y;
  };
  const auto measure = [&](bool recomputed) {
    const Variable x(Tensor::full({n}, 0.5), true);
    const std::size_t before = memory_statistics().in_use;
    Variable y = x;
    for (int i = 0; i < 4; ++i) y = recomputed ? recompute(segment, y) : segment(y);
    const std::size_t kept = memory_statistics().in_use - before;
    reset_peak_memory();
    mean(y).backward();
    return std::pair(kept / static_cast<std::size_t>(4 * n), (memory_statistics().peak - before) / static_cast<std::size_t>(4 * n));
  };
  const auto [plain, plain_peak] = measure(false);
  const auto [recomputed, recomputed_peak] = measure(true);
  EXPECT_GE(plain, 24u);       // 4 segments of 6 inputs
  EXPECT_LE(recomputed, 4u);   // the segments' outputs
  EXPECT_GE(plain_peak, 24u);
  EXPECT_LE(recomputed_peak, 4u + 6u + 4u);   // and one segment at a time, with the gradients on their way
}

TEST(Recompute, WithoutAGradientItIsTheFunctionItself) {
  int runs = 0;
  const auto f = [&](const Variable& x) { return ++runs, scale(x, 2); };
  EXPECT_FALSE(recompute(f, Variable(Tensor::full({3}, 1))).requires_grad());
  {
    const NoGrad inference;
    EXPECT_FALSE(recompute(f, Variable(Tensor::full({3}, 1), true)).requires_grad());
  }
  EXPECT_EQ(runs, 2);
  const Variable x(Tensor::full({3}, 1), true);
  const Variable y = recompute(f, x);
  EXPECT_EQ(runs, 3);
  const Variable loss = mean(y);
  {
    const NoGrad outside;   // where backward is called from does not matter
    loss.backward();
  }
  EXPECT_EQ(runs, 4);
  EXPECT_NEAR(x.grad().to_vector<double>()[2], 2. / 3, 1e-7);
  EXPECT_FALSE(replaying());
}

TEST(Recompute, SaysThatItRunsAgainAndPutsThingsBackAfterAnError) {
  std::vector<bool> seen;
  const Variable x(Tensor::full({3}, 1), true);
  const Variable y = recompute(
      [&](const Variable& v) {
        seen.push_back(replaying());
        default_generator().next();
        if (seen.size() == 2) throw Error("second run");
        return scale(v, 2);
      },
      x);
  const std::uint64_t used = default_generator().used();
  EXPECT_THROW(mean(y).backward(), Error);
  EXPECT_EQ(seen, (std::vector<bool>{false, true}));
  EXPECT_FALSE(replaying());
  EXPECT_EQ(default_generator().used(), used);
}

TEST(Recompute, RefusesASecondRunOfAnotherShape) {
  int runs = 0;
  const Variable x(Tensor::full({4}, 1), true);
  const Variable y = recompute([&](const Variable& v) { return runs++ == 0 ? scale(v, 2) : mean(v); }, x);
  EXPECT_THROW(mean(y).backward(), ShapeError);
}

}   // namespace
}   // namespace fovea
