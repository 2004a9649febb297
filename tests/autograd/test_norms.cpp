// test_norms.cpp: batch norm, layer norm, local response norm: gradients, Cpu against Reference, PyTorch's numbers, bad input.
#include "autograd/layer_norm.h"
#include "autograd/local_response_norm.h"
#include "autograd/norm.h"
#include "tests/op_testing.h"

namespace fovea {
namespace {

BatchNormConfig norm_of(const Inputs& in, const Tensor& mean, const Tensor& var, bool training) {
  const DType dtype = acc_dtype(in[0].dtype());
  return {.gamma = in[1],
          .beta = in[2],
          .running_mean = mean.to(dtype).to(in[0].device()).clone(),
          .running_var = var.to(dtype).to(in[0].device()).clone(),
          .training = training};
}

std::vector<OpCase> layer_norms() {
  return {
      {"layer_norm", {{2, 3, 17}, {17}, {17}}, [](const Inputs& in) { return layer_norm(in[0], in[1], in[2]); }},
      {"layer_norm_plain", {{5, 33}}, [](const Inputs& in) { return layer_norm(in[0], {}, {}, 1e-6); }},
      {"layer_norm_no_bias", {{7, 5}, {5}}, [](const Inputs& in) { return layer_norm(in[0], in[1], {}, 1e-3); }},
  };
}

std::vector<OpCase> local_response_norms() {
  const auto with = [](LocalResponse o) { return [o](const Inputs& in) { return local_response_norm(in[0], o); }; };
  return {
      {"local_response_norm_paper", {{2, 2, 3, 19}}, with({.size = 5, .alpha = 5e-4, .beta = 0.75, .k = 2})},
      {"local_response_norm_strong", {{2, 2, 1, 17}}, with({.size = 5, .alpha = 1, .beta = 0.75, .k = 1})},
      {"local_response_norm_even", {{2, 7}}, with({.size = 4, .alpha = 0.7, .beta = 0.5, .k = 0.5})},
      {"local_response_norm_wider_than_x", {{2, 2, 2, 3}}, with({.size = 9, .alpha = 2, .beta = 1.2, .k = 1})},
  };
}

std::vector<OpCase> batch_norms() {
  std::vector<OpCase> cases;
  for (const bool training : {true, false})
    cases.push_back({training ? "batch_norm_training" : "batch_norm_frozen", {}, [=](const Inputs& in) {
                       const Stored stored("norms");
                       return batch_norm(in[0], norm_of(in, stored["running_mean"], stored["running_var"], training));
                     }});
  return cases;
}

std::vector<OpCase> norms() {
  std::vector<OpCase> cases = layer_norms();
  cases.push_back({"layer_norm_one_channel", {{4, 1}, {1}, {1}}, [](const Inputs& in) { return layer_norm(in[0], in[1], in[2]); }});
  cases.push_back({"layer_norm_many_rows", {{150, 3}, {3}, {3}}, [](const Inputs& in) { return layer_norm(in[0], in[1], in[2], 0.1); }});
  for (const OpCase& c : local_response_norms()) cases.push_back(c);
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Norms, EachOp, testing::ValuesIn(norms()), op_name);

TEST(Norms, EqualPyTorch) {
  const Stored stored("norms");
  for (const auto& cases : {layer_norms(), local_response_norms(), batch_norms()})
    for (const OpCase& c : cases) expect_parity(stored, c);
}

// Frozen parameters: their gradients are left out, x's is the same.
TEST(LayerNormOp, FrozenParameters) {
  const Tensor x = Tensor::randn({4, 6}, RandomKey{1}), dy = Tensor::randn({4, 6}, RandomKey{2}), gamma = Tensor::randn({6}, RandomKey{3});
  Tensor dx;
  for (const bool frozen : {false, true}) {
    Variable in(x, true), weight(gamma, !frozen), bias(gamma, !frozen);
    layer_norm(in, weight, bias).backward(dy.clone());
    EXPECT_EQ(weight.has_grad(), !frozen);
    EXPECT_EQ(bias.has_grad(), !frozen);
    if (!frozen) dx = in.grad();
    EXPECT_EQ(in.grad().to_vector<float>(), dx.to_vector<float>());
  }
}

TEST(Norms, EmptyBatches) {
  Variable x(Tensor::zeros({0, 3, 8}), true), weight(Tensor::full({8}, 1), true);
  const Variable y = layer_norm(x, weight);
  EXPECT_EQ(y.shape(), (Shape{0, 3, 8}));
  y.backward(Tensor::zeros({0, 3, 8}));
  EXPECT_EQ(weight.grad().to_vector<float>(), std::vector<float>(8));
  EXPECT_EQ(local_response_norm(x).shape(), (Shape{0, 3, 8}));
}

TEST(Norms, RefuseBadInput) {
  const Variable x(Tensor::zeros({2, 4})), four(Tensor::zeros({4})), five(Tensor::zeros({5}));
  EXPECT_THROW(layer_norm(x, five), ShapeError);
  EXPECT_THROW(layer_norm(x, four, five), ShapeError);
  EXPECT_THROW(layer_norm(x, Variable(Tensor::zeros({4}, DType::bf16))), ShapeError);
  EXPECT_THROW(layer_norm(x, four, four, 0), ShapeError);
  EXPECT_THROW(layer_norm(Variable(Tensor::zeros({2, 0}))), ShapeError);
  EXPECT_THROW(layer_norm(Variable(Tensor::zeros({}))), ShapeError);
  EXPECT_THROW(layer_norm(Variable(Tensor::zeros({2, 4}, DType::i64))), ShapeError);
  EXPECT_THROW(local_response_norm(x, {.size = 0}), ShapeError);
  EXPECT_THROW(local_response_norm(x, {.size = 129}), ShapeError);
  EXPECT_THROW(local_response_norm(x, {.alpha = -1}), ShapeError);
  EXPECT_THROW(local_response_norm(x, {.k = 0}), ShapeError);
}

}   // namespace
}   // namespace fovea
