// The two attention layers: PyTorch's parameters by name, its numbers, first weights, pictures, what is refused.
#include <gtest/gtest.h>

#include <cmath>

#include "nn/attention.h"
#include "nn/state.h"
#include "nn/window_attention.h"
#include "tests/op_testing.h"

namespace fovea::nn {
namespace {

std::vector<std::string> names(Module& m) {
  std::vector<std::string> list;
  for (const auto& [name, t] : state_dict(m).tensors) list.push_back(name);
  return list;
}

/// Loads the stored inputs x1, x2, ... of a case as these parameters, in float64; returns x0.
Variable load(const Stored& stored, const std::string& name, Module& m, const std::vector<std::string>& parameters) {
  m.to(DType::f64, Device::reference);
  TensorFile file;
  for (std::size_t i = 0; i < parameters.size(); ++i) file.tensors.emplace_back(parameters[i], stored[name + ".x" + std::to_string(i + 1)]);
  const LoadReport report = load_state_dict(m, file);
  EXPECT_EQ(report.matched.size(), parameters.size());
  EXPECT_TRUE(report.wrong_shape.empty());
  return Variable(stored[name + ".x0"].clone(), true);
}

void expect_output_and_gradients(const Stored& stored, const std::string& name, Module& m, const Variable& x) {
  const Variable y = m(x);
  EXPECT_LE(relative_error(y.value(), stored[name + ".y"]), 1e-9);
  y.backward(stored[name + ".dy"]);
  EXPECT_LE(relative_error(x.grad(), stored[name + ".dx0"]), 1e-9);
}

TEST(MultiheadAttention, IsPyTorchs) {
  const Stored stored("attention");
  MultiheadAttention layer({.channels = 12, .heads = 3});
  const std::vector<std::string> parameters{"in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias"};
  EXPECT_EQ(names(layer), parameters);   // the script asserts PyTorch's
  const Variable x = load(stored, "multihead", layer, parameters);
  expect_output_and_gradients(stored, "multihead", layer, x);
  EXPECT_LE(relative_error(layer.attention_weights(x), stored["multihead.weights"]), 1e-9);
  int i = 1;
  for (const auto& [name, p] : layer.parameters())
    EXPECT_LE(relative_error(p->value.grad(), stored["multihead.dx" + std::to_string(i++)]), 1e-9) << name;
}

TEST(MultiheadAttention, StartsAsPyTorchs) {
  MultiheadAttention layer({.channels = 64, .heads = 4});
  const auto p = layer.parameters();
  const auto w = p[0].second->value.value().to_vector<double>();
  double largest = 0, square = 0;
  for (const double v : w) largest = std::max(largest, std::abs(v)), square += v * v;
  const double bound = std::sqrt(6. / 256);   // Glorot: fan_in 64, fan_out 192
  EXPECT_LE(largest, bound);
  EXPECT_GT(largest, 0.99 * bound);
  EXPECT_NEAR(square / double(w.size()), bound * bound / 3, 0.02 * bound * bound);
  for (const std::size_t bias : {1, 3})
    for (const double v : p[bias].second->value.value().to_vector<double>()) EXPECT_EQ(v, 0);
  EXPECT_EQ(layer.describe(), "MultiheadAttention(64, heads 4)");
  EXPECT_EQ(MultiheadAttention({.channels = 4, .heads = 2, .bias = false}).parameter_count(), 4 * 4 * 4);
}

TEST(MultiheadAttention, RefusesWhatDoesNotFit) {
  EXPECT_THROW(MultiheadAttention({.channels = 0}), ShapeError);
  EXPECT_THROW(MultiheadAttention({.channels = 4, .heads = 3}), ShapeError);
  EXPECT_THROW(MultiheadAttention({.channels = 4, .heads = 0}), ShapeError);
  MultiheadAttention layer({.channels = 4});
  EXPECT_THROW(layer(Variable(Tensor::zeros({2, 3, 5}))), ShapeError);
  EXPECT_THROW(layer(Variable(Tensor::zeros({2, 4}))), ShapeError);
  EXPECT_THROW(layer.attention_weights(Variable(Tensor::zeros({2, 4}))), ShapeError);
}

TEST(ShiftedWindowAttention, IsTorchvisions) {
  const Stored stored("window_attention");
  const std::string name = "image9x11_window3x4_shift1x2_heads2";
  ShiftedWindowAttention layer({.channels = 6, .heads = 2, .window = {3, 4}, .shift = {1, 2}});
  EXPECT_EQ(names(layer), (std::vector<std::string>{"relative_position_bias_table", "relative_position_index", "qkv.weight", "qkv.bias",
                                                    "proj.weight", "proj.bias"}));   // the script asserts torchvision's
  const std::vector<std::string> order{"qkv.weight", "qkv.bias", "relative_position_bias_table", "proj.weight", "proj.bias"};
  const Variable x = load(stored, name, layer, order);
  expect_output_and_gradients(stored, name, layer, x);
  for (const auto& [parameter, p] : layer.parameters()) {   // qkv.bias has two gradients: of pixels, and of padding
    const auto i = 1 + std::find(order.begin(), order.end(), parameter) - order.begin();
    EXPECT_LE(relative_error(p->value.grad(), stored[name + ".dx" + std::to_string(i)]), 1e-9) << parameter;
  }
  EXPECT_EQ(layer.attention_weights(x).shape(), (Shape{1, 9, 2, 12, 12}));
}

TEST(ShiftedWindowAttention, StartsAsTorchvisions) {
  ShiftedWindowAttention layer({.channels = 32, .heads = 32, .window = 7, .shift = 3});
  EXPECT_EQ(layer.describe(), "ShiftedWindowAttention(32, heads 32, window 7, shift 3)");
  double square = 0;
  const auto table = layer.parameters()[0].second->value.value();
  ASSERT_EQ(table.shape(), (Shape{169, 32}));
  for (const double v : table.to_vector<double>()) square += v * v;
  EXPECT_NEAR(std::sqrt(square / (169 * 32)), 0.02, 0.001);   // a hundredth of it is the spread of 5408 numbers
  ShiftedWindowAttention bare({.channels = 4, .heads = 2, .window = {2, 3}, .qkv_bias = false, .proj_bias = false});
  EXPECT_EQ(bare.parameter_count(), 3 * 5 * 2 + 12 * 4 + 4 * 4);
  EXPECT_EQ(bare(Variable(Tensor::randn({1, 3, 3, 4}, {}))).shape(), (Shape{1, 3, 3, 4}));   // padding without a bias is 0
  EXPECT_EQ(bare.describe(), "ShiftedWindowAttention(4, heads 2, window 2 x 3, no qkv bias, no proj bias)");
}

TEST(ShiftedWindowAttention, RefusesWhatDoesNotFit) {
  EXPECT_THROW(ShiftedWindowAttention({.channels = 0}), ShapeError);
  EXPECT_THROW(ShiftedWindowAttention({.channels = 4, .heads = 3}), ShapeError);
  EXPECT_THROW(ShiftedWindowAttention({.channels = 4, .window = 0}), ShapeError);
  EXPECT_THROW(ShiftedWindowAttention({.channels = 4, .window = 3, .shift = 3}), ShapeError);
  EXPECT_THROW(ShiftedWindowAttention({.channels = 4, .window = 3, .shift = {0, -1}}), ShapeError);
  ShiftedWindowAttention layer({.channels = 4});
  EXPECT_THROW(layer(Variable(Tensor::zeros({2, 3, 3, 5}))), ShapeError);
  EXPECT_THROW(layer(Variable(Tensor::zeros({2, 3, 4}))), ShapeError);
}

}   // namespace
}   // namespace fovea::nn
