// Each layer: shapes, a truth from plain loops, and what it refuses.
#include <gtest/gtest.h>

#include <cmath>

#include "autograd/reductions.h"
#include "nn/activation.h"
#include "nn/batch_norm.h"
#include "nn/conv2d.h"
#include "nn/flatten.h"
#include "nn/linear.h"
#include "nn/pooling.h"
#include "nn/sequential.h"

namespace fovea::nn {
namespace {

TEST(Conv2d, ShapeFollowsTheFormula) {
  Conv2d conv({.in = 4, .out = 6, .kernel = {3, 2}, .stride = {2, 1}, .padding = {1, 0}, .dilation = {1, 3}, .groups = 2});
  // P = floor((7 + 2 - 2 - 1) / 2) + 1 = 4, Q = floor((9 - 3 - 1) / 1) + 1 = 6
  EXPECT_EQ(conv(Variable(Tensor::randn({2, 7, 9, 4}, {}))).shape(), (Shape{2, 4, 6, 6}));
  EXPECT_EQ(conv.weight().shape(), (Shape{6, 3, 2, 2}));
  EXPECT_EQ(conv.parameter_count(), 6 * 3 * 2 * 2 + 6);
  EXPECT_EQ(conv.describe(), "Conv2d(4 -> 6, kernel 3 x 2, stride 2 x 1, padding 1 x 0, dilation 1 x 3, groups 2)");
}

TEST(Conv2d, MatchesPlainLoopsWithBias) {
  Conv2d conv({.in = 2, .out = 3, .kernel = 2});
  conv.parameters()[1].second->value.assign(Tensor::from<float>({1, 2, 3}, {3}));
  const Tensor x = Tensor::randn({1, 3, 4, 2}, RandomKey{.seed = 5});
  const Tensor y = conv(Variable(x)).value();
  ASSERT_EQ(y.shape(), (Shape{1, 2, 3, 3}));
  const auto xs = x.to_vector<double>(), ws = conv.weight().value().to_vector<double>(), ys = y.to_vector<double>();
  for (int p = 0; p < 2; ++p)
    for (int q = 0; q < 3; ++q)
      for (int k = 0; k < 3; ++k) {
        double sum = k + 1;
        for (int r = 0; r < 2; ++r)
          for (int s = 0; s < 2; ++s)
            for (int c = 0; c < 2; ++c)
              sum +=
                  xs[static_cast<std::size_t>(((p + r) * 4 + q + s) * 2 + c)] * ws[static_cast<std::size_t>(((k * 2 + r) * 2 + s) * 2 + c)];
        EXPECT_NEAR(ys[static_cast<std::size_t>((p * 3 + q) * 3 + k)], sum, 1e-5);   // 8 products of size about 1 in float32
      }
}

TEST(Conv2d, RefusesBadOptions) {
  EXPECT_THROW(Conv2d({.in = 0, .out = 3}), ShapeError);
  EXPECT_THROW(Conv2d({.in = 3, .out = 4, .groups = 2}), ShapeError);
  EXPECT_THROW(Conv2d({.in = 4, .out = 4, .groups = 0}), ShapeError);
  EXPECT_THROW(Conv2d({.in = 4, .out = 4, .kernel = 0}), ShapeError);
  EXPECT_THROW(Conv2d({.in = 4, .out = 4, .stride = {1, 0}}), ShapeError);
  EXPECT_THROW(Conv2d({.in = 4, .out = 4, .padding = -1}), ShapeError);
  EXPECT_THROW(Conv2d({.in = 4, .out = 4, .dilation = 0}), ShapeError);
  Conv2d conv({.in = 4, .out = 4});
  EXPECT_THROW(conv(Variable(Tensor::zeros({4, 4}))), ShapeError);
}

TEST(BatchNorm2d, TrainingUsesTheBatchAndUpdatesRunningStatistics) {
  BatchNorm2d bn({.channels = 2, .eps = 1e-3, .momentum = 0.25});
  bn.parameters()[0].second->value.assign(Tensor::from<float>({2, 3}, {2}));
  bn.parameters()[1].second->value.assign(Tensor::from<float>({-1, 1}, {2}));
  const Tensor x = Tensor::from<float>({1, 10, 2, 20, 3, 40, 6, 30}, {2, 1, 2, 2});
  const std::vector<double> y = bn(Variable(x)).value().to_vector<double>();
  // Channel 0: 1 2 3 6, mean 3, biased variance 3.5, unbiased 14 / 3. Channel 1: 10 20 40 30, mean 25, variances 125 and 500 / 3.
  const double xs[2][4] = {{1, 2, 3, 6}, {10, 20, 40, 30}}, mean[] = {3, 25}, var[] = {3.5, 125}, gamma[] = {2, 3}, beta[] = {-1, 1};
  for (int c = 0; c < 2; ++c)
    for (int i = 0; i < 4; ++i)
      EXPECT_NEAR(y[static_cast<std::size_t>(2 * i + c)], gamma[c] * (xs[c][i] - mean[c]) / std::sqrt(var[c] + 1e-3) + beta[c], 1e-5);
  const auto rm = bn.running_mean().to_vector<double>(), rv = bn.running_var().to_vector<double>();
  EXPECT_NEAR(rm[0], 0.25 * 3, 1e-6);
  EXPECT_NEAR(rm[1], 0.25 * 25, 1e-5);
  EXPECT_NEAR(rv[0], 0.75 + 0.25 * 14 / 3, 1e-6);
  EXPECT_NEAR(rv[1], 0.75 + 0.25 * 500 / 3, 1e-4);
  EXPECT_EQ(bn.num_batches_tracked(), 1);
}

TEST(BatchNorm2d, EvaluationUsesRunningStatisticsAndChangesNothing) {
  BatchNorm2d bn({.channels = 1});
  bn.buffers()[0].second->value.fill(2);
  bn.buffers()[1].second->value.fill(4);
  bn.eval();
  const Variable y = bn(Variable(Tensor::from<float>({2, 6}, {1, 1, 2, 1})));
  EXPECT_NEAR(y.value().to_vector<double>()[0], 0, 1e-6);
  EXPECT_NEAR(y.value().to_vector<double>()[1], 4 / std::sqrt(4 + 1e-5), 1e-6);
  EXPECT_EQ(bn.running_mean().item(), 2);
  EXPECT_EQ(bn.running_var().item(), 4);
  EXPECT_EQ(bn.num_batches_tracked(), 0);
}

TEST(BatchNorm2d, RefusesWhatHasNoVariance) {
  BatchNorm2d bn({.channels = 3});
  EXPECT_THROW(bn(Variable(Tensor::zeros({1, 1, 1, 3}))), ShapeError);
  EXPECT_THROW(bn(Variable(Tensor::zeros({2, 2, 2, 4}))), ShapeError);
  EXPECT_EQ(bn.num_batches_tracked(), 0);
  bn.eval();
  EXPECT_NO_THROW(bn(Variable(Tensor::zeros({1, 1, 1, 3}))));
  EXPECT_THROW(BatchNorm2d({.channels = 0}), ShapeError);
  EXPECT_THROW(BatchNorm2d({.channels = 3, .eps = 0}), ShapeError);
  EXPECT_THROW(BatchNorm2d({.channels = 3, .momentum = 1.5}), ShapeError);
  EXPECT_THROW(BatchNorm2d({.channels = 3, .momentum = std::nan("")}), ShapeError);
}

TEST(Linear, IsXTimesTheTransposedWeightPlusBias) {
  Linear layer({.in = 3, .out = 2});
  layer.parameters()[0].second->value.assign(Tensor::from<float>({1, 2, 3, 4, 5, 6}, {2, 3}));
  layer.parameters()[1].second->value.assign(Tensor::from<float>({10, 20}, {2}));
  const Variable y = layer(Variable(Tensor::from<float>({1, 0, -1, 2, 2, 2}, {2, 3})));
  EXPECT_EQ(y.value().to_vector<float>(), (std::vector<float>{8, 18, 22, 50}));
  EXPECT_THROW(layer(Variable(Tensor::zeros({2, 4}))), ShapeError);
  EXPECT_THROW(layer(Variable(Tensor::zeros({}))), ShapeError);
  EXPECT_EQ(layer(Variable(Tensor::zeros({5, 1, 4, 3}))).shape(), (Shape{5, 1, 4, 2}));
  EXPECT_EQ(layer(Variable(Tensor::from<float>({2, 2, 2}, {3}))).value().to_vector<float>(), (std::vector<float>{22, 50}));
  EXPECT_EQ(Linear({.in = 3, .out = 2, .bias = false}).parameter_count(), 6);
  EXPECT_THROW(Linear({.in = 3}), ShapeError);
}

TEST(ReLU, CutsOffWhatIsNegative) {
  ReLU relu;
  EXPECT_EQ(relu(Variable(Tensor::from<float>({-1, 0, 2}, {3}))).value().to_vector<float>(), (std::vector<float>{0, 0, 2}));
}

TEST(Pooling, MaximumAndMean) {
  const Variable x(Tensor::from<float>({1, 2, 3, 4, 5, 6, 7, 8, 9}, {1, 3, 3, 1}));
  MaxPool2d pool({.kernel = 3, .stride = 2, .padding = 1});
  EXPECT_EQ(pool(x).shape(), (Shape{1, 2, 2, 1}));
  EXPECT_EQ(pool(x).value().to_vector<float>(), (std::vector<float>{5, 6, 8, 9}));
  GlobalAvgPool2d mean;
  EXPECT_EQ(mean(x).shape(), (Shape{1, 1}));
  EXPECT_EQ(mean(x).value().item(), 5);
}

TEST(Flatten, IsChannelMajor) {
  Flatten flatten;
  // (1, 1, 2, 3): pixel 0 has channels 1 2 3, pixel 1 has 4 5 6
  const Variable y = flatten(Variable(Tensor::from<float>({1, 2, 3, 4, 5, 6}, {1, 1, 2, 3})));
  EXPECT_EQ(y.shape(), (Shape{1, 6}));
  EXPECT_EQ(y.value().to_vector<float>(), (std::vector<float>{1, 4, 2, 5, 3, 6}));
}

TEST(Sequential, RunsItsLayersInOrder) {
  Sequential net;
  net.add<Linear>({.in = 1, .out = 1, .bias = false}).parameters()[0].second->value.assign(Tensor::full({1, 1}, -2));
  net.add<ReLU>();
  EXPECT_EQ(net(Variable(Tensor::from<float>({-3, 5}, {2, 1}))).value().to_vector<float>(), (std::vector<float>{6, 0}));
  Sequential empty;
  EXPECT_EQ(empty(Variable(Tensor::full({2}, 7))).value().to_vector<float>(), (std::vector<float>{7, 7}));
}

}   // namespace
}   // namespace fovea::nn
