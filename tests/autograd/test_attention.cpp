// Attention and linear on tokens: gradients, backends, threads; PyTorch's numbers; what is refused.
#include "autograd/attention.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "autograd/gradcheck.h"
#include "autograd/linear.h"
#include "tests/op_testing.h"

namespace fovea {
namespace {

Variable fused(const Inputs& in, std::int64_t heads) { return attention(in[0], in.size() > 1 ? in[1] : Variable(), {.heads = heads}); }
Variable separate(const Inputs& in, const AttentionOptions& o) {
  return attention(in[0], in[1], in[2], in.size() > 3 ? in[3] : Variable(), o);
}

std::vector<OpCase> cases() {
  return {
      {"fused", {{2, 5, 3 * 3 * 4}}, [](const Inputs& in) { return fused(in, 3); }},
      {"fused_bias", {{2, 7, 3 * 2 * 3}, {2, 7, 7}}, [](const Inputs& in) { return fused(in, 2); }},
      {"fused_one_head_one_channel", {{3, 17, 3}}, [](const Inputs& in) { return fused(in, 1); }},
      {"fused_50_tokens", {{1, 50, 3 * 33}}, [](const Inputs& in) { return fused(in, 1); }},   // two blocks of queries
      {"separate", {{2, 3, 8}, {2, 6, 8}, {2, 6, 8}}, [](const Inputs& in) { return separate(in, {}); }, {0, 1, 2}},
      {"grouped_bias",
       {{4, 3, 6}, {4, 5, 6}, {4, 5, 6}, {2, 2, 3, 5}},
       [](const Inputs& in) { return separate(in, {.heads = 2, .scale = 0.7}); },
       {0, 1, 2}},
      {"one_token", {{1, 1, 3}}, [](const Inputs& in) { return fused(in, 1); }},
      {"linear_tokens", {{2, 3, 5}, {4, 5}, {4}}, [](const Inputs& in) { return linear(in[0], in[1], in[2]); }},
      {"linear_vector", {{5}, {4, 5}, {4}}, [](const Inputs& in) { return linear(in[0], in[1], in[2]); }},
  };
}
INSTANTIATE_TEST_SUITE_P(Attention, EachOp, testing::ValuesIn(cases()), op_name);

TEST(Attention, EqualsPyTorch) {
  const Stored stored("attention");
  for (const OpCase& c : cases())
    if (stored.has(c.name + ".y")) expect_parity(stored, c);
}

TEST(Attention, OneTensorCanBeQueryKeyAndValue) {
  const auto self = [](const Inputs& in) { return attention(in[0], in[0], in[0], Variable(), {.heads = 2}); };
  const OpCase c{"self", {{2, 5, 6}}, self};
  EXPECT_EQ(gradcheck(self, random_inputs(c)), "");
  expect_same_results(run_op(c, random_inputs(c), {}, DType::f32, Device::cpu, DType::f32),
                      run_op(c, random_inputs(c), {}, DType::f64, Device::reference, DType::f32), 2e-5, "");
}

TEST(Attention, OnlyWhatIsWantedGetsAGradient) {
  const OpCase c{"", {{2, 3, 4}, {2, 5, 4}, {2, 5, 4}, {1, 3, 5}}, nullptr};
  const std::vector<Tensor> x = random_inputs(c);
  for (const Device device : {Device::reference, Device::cpu}) {
    const auto gradients = [&](const std::vector<bool>& wanted) {
      Inputs in;
      for (std::size_t i = 0; i < 4; ++i) in.emplace_back(x[i].to(DType::f32).to(device).clone(), wanted[i]);
      const Variable y = separate(in, {});
      y.backward(Tensor::full(y.shape(), 1, DType::f32, device));
      return std::vector<Tensor>{in[0].grad(), in[1].grad(), in[2].grad(), in[3].grad()};
    };
    const std::vector<Tensor> all = gradients({true, true, true, true});
    for (std::size_t only = 0; only < 4; ++only) {
      std::vector<bool> wanted(4);
      wanted[only] = true;
      const std::vector<Tensor> one = gradients(wanted);
      for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(one[i].defined(), i == only);
      EXPECT_EQ(one[only].to_vector<float>(), all[only].to_vector<float>());
    }
  }
}

TEST(Attention, WeightsAreTheSoftmaxAndGiveTheOutput) {
  const Tensor q = Tensor::randn({2, 3, 8}, RandomKey{1}), k = Tensor::randn({2, 5, 8}, RandomKey{2}),
               v = Tensor::randn({2, 5, 8}, RandomKey{3}), bias = Tensor::randn({2, 3, 5}, RandomKey{4});
  const AttentionOptions o{.heads = 2};
  const auto y = attention(Variable(q), Variable(k), Variable(v), Variable(bias), o).value().to_vector<double>();
  for (const Device device : {Device::reference, Device::cpu}) {
    const Tensor weights = attention_weights(q.to(device), k.to(device), bias.to(device), o);
    ASSERT_EQ(weights.shape(), (Shape{2, 2, 3, 5}));
    const auto p = weights.to_vector<double>(), values = v.to_vector<double>();
    for (std::size_t b = 0; b < 2; ++b)
      for (std::size_t h = 0; h < 2; ++h)
        for (std::size_t i = 0; i < 3; ++i) {
          double total = 0;
          for (std::size_t j = 0; j < 5; ++j) total += p[((b * 2 + h) * 3 + i) * 5 + j];
          EXPECT_NEAR(total, 1, 1e-6);
          for (std::size_t c = 0; c < 4; ++c) {
            double sum = 0;
            for (std::size_t j = 0; j < 5; ++j) sum += p[((b * 2 + h) * 3 + i) * 5 + j] * values[(b * 5 + j) * 8 + h * 4 + c];
            EXPECT_NEAR(y[(b * 3 + i) * 8 + h * 4 + c], sum, 2e-6);   // five products in float32
          }
        }
  }
}

TEST(Attention, ABiasOfMinusInfinityForbids) {
  const float inf = std::numeric_limits<float>::infinity();
  const Tensor qkv = Tensor::randn({1, 2, 3}, RandomKey{5});
  const Tensor bias = Tensor::from<float>({0, -inf, -inf, 0}, {1, 2, 2});
  for (const Device device : {Device::reference, Device::cpu}) {
    Variable x(qkv.clone().to(device), true);
    const Variable y = attention(x, Variable(bias.to(device)), {});
    const auto in = qkv.to_vector<float>();
    EXPECT_EQ(y.value().to_vector<float>(), (std::vector<float>{in[2], in[5]}));   // each token sees itself alone
    y.backward(Tensor::full(y.shape(), 1, DType::f32, device));
    const auto dx = x.grad().to_vector<float>();
    for (std::size_t i = 0; i < 6; ++i) EXPECT_NEAR(dx[i], i % 3 == 2, 1e-6);   // P = exp(S - lse) is 1 but for lse's rounding
  }
}

TEST(Attention, AnEmptyBatchHasAnEmptyOutput) {
  for (const Device device : {Device::reference, Device::cpu}) {
    Variable x(Tensor::zeros({0, 4, 6}, DType::f32, device), true);
    EXPECT_EQ(attention(x, Variable(), {.heads = 2}).shape(), (Shape{0, 4, 2}));
    Variable q(Tensor::zeros({2, 0, 4}, DType::f32, device), true), k(Tensor::full({2, 3, 4}, 1, DType::f32, device), true);
    const Variable y = attention(q, k, k, Variable(), {.heads = 2});
    EXPECT_EQ(y.shape(), (Shape{2, 0, 4}));
    y.backward(Tensor::zeros({2, 0, 4}, DType::f32, device));
    EXPECT_EQ(k.grad().to_vector<float>(), std::vector<float>(24, 0.f));
  }
}

TEST(Attention, RefusesWhatDoesNotFit) {
  const auto zeros = [](Shape shape, DType dtype = DType::f32) { return Variable(Tensor::zeros(shape, dtype)); };
  const Variable none;
  EXPECT_THROW(attention(zeros({4, 6}), none, {}), ShapeError);
  EXPECT_THROW(attention(zeros({1, 4, 7}), none, {}), ShapeError);
  EXPECT_THROW(attention(zeros({1, 4, 6}), none, {.heads = 3}), ShapeError);
  EXPECT_THROW(attention(zeros({1, 4, 6}), none, {.heads = 0}), ShapeError);
  EXPECT_THROW(attention(zeros({1, 0, 6}), none, {}), ShapeError);
  EXPECT_THROW(attention(zeros({1, 4, 6}), zeros({2, 4, 4}), {}), ShapeError);
  EXPECT_THROW(attention(zeros({1, 4, 6}), zeros({1, 4, 3}), {}), ShapeError);
  EXPECT_THROW(attention(zeros({1, 4, 6}), zeros({4, 4}), {}), ShapeError);
  EXPECT_THROW(attention(zeros({3, 4, 6}), zeros({2, 1, 4, 4}), {}), ShapeError);   // 2 does not divide 3
  EXPECT_THROW(attention(zeros({1, 4, 6}), zeros({1, 4, 4}, DType::bf16), {}), ShapeError);
  EXPECT_THROW(attention(zeros({1, 4, 6}), zeros({2, 5, 6}), zeros({2, 5, 6}), none, {}), ShapeError);
  EXPECT_THROW(attention(zeros({1, 4, 6}), zeros({1, 5, 6}), zeros({1, 4, 6}), none, {}), ShapeError);
  EXPECT_THROW(attention(zeros({1, 4, 6}), zeros({1, 5, 6}, DType::bf16), zeros({1, 5, 6}), none, {}), ShapeError);
  EXPECT_THROW(attention_weights(Tensor::zeros({1, 4, 7}), Tensor(), {}), ShapeError);
}

}   // namespace
}   // namespace fovea
