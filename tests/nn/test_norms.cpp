// test_norms.cpp: layer norm, local response norm and softmax as layers; batch norm's running statistics against PyTorch's.
#include "nn/batch_norm.h"
#include "nn/layer_norm.h"
#include "nn/local_response_norm.h"
#include "nn/softmax.h"
#include "tests/op_testing.h"

namespace fovea::nn {
namespace {

TEST(LayerNormLayer, HasPyTorchsNames) {
  LayerNorm norm({.channels = 5, .eps = 1e-6});
  const auto parameters = norm.parameters();
  ASSERT_EQ(parameters.size(), 2u);
  EXPECT_EQ(parameters[0].first, "weight");
  EXPECT_EQ(parameters[1].first, "bias");
  EXPECT_EQ(parameters[0].second->value.value().to_vector<float>(), std::vector<float>(5, 1));
  EXPECT_EQ(parameters[1].second->value.value().to_vector<float>(), std::vector<float>(5, 0));
  EXPECT_TRUE(norm.buffers().empty());
  EXPECT_EQ(norm.describe(), "LayerNorm(5, eps 1e-06)");
  LayerNorm weight_only({.channels = 5, .bias = false}), plain({.channels = 5, .affine = false});
  EXPECT_EQ(weight_only.parameter_count(), 5);
  EXPECT_EQ(weight_only.describe(), "LayerNorm(5, no bias)");
  EXPECT_EQ(plain.parameter_count(), 0);
  EXPECT_EQ(plain.describe(), "LayerNorm(5, not affine)");
}

TEST(LayerNormLayer, NormalisesEachTokenAlikeInTrainingAndEvaluation) {
  LayerNorm norm({.channels = 2, .eps = 1e-12});
  norm.parameters()[0].second->value.assign(Tensor::from<float>({2, 3}, {2}));
  norm.parameters()[1].second->value.assign(Tensor::from<float>({0, 1}, {2}));
  const Variable x(Tensor::from<float>({1, 3, 8, 4}, {1, 2, 2}));
  for (const bool training : {true, false}) {
    norm.train(training);
    EXPECT_EQ(norm(x).value().to_vector<float>(), (std::vector<float>{-2, 4, 2, -2}));   // x^ is -1, 1 and 1, -1
  }
}

TEST(LayerNormLayer, RefusesBadInput) {
  EXPECT_THROW(LayerNorm({.channels = 0}), ShapeError);
  EXPECT_THROW(LayerNorm({.channels = 3, .eps = 0}), ShapeError);
  EXPECT_THROW(LayerNorm({.channels = 3})(Variable(Tensor::zeros({2, 4}))), ShapeError);
}

TEST(LocalResponseNormLayer, UsesItsOptions) {
  LocalResponseNorm norm({.size = 3, .alpha = 3, .beta = 1, .k = 2});
  const std::vector<float> y = norm(Variable(Tensor::from<float>({1, 2, 3}, {1, 1, 1, 3}))).value().to_vector<float>();
  const float want[] = {1.f / 7, 2.f / 16, 3.f / 15};
  for (std::size_t i = 0; i < 3; ++i) EXPECT_NEAR(y[i], want[i], 1e-6);
  EXPECT_EQ(norm.describe(), "LocalResponseNorm(size 3, alpha 3, beta 1, k 2)");
  EXPECT_EQ(norm.parameter_count(), 0);
  EXPECT_THROW(LocalResponseNorm({.size = 0}), ShapeError);
}

TEST(SoftmaxLayers, WorkOnTheLastAxis) {
  const Variable x(Tensor::from<float>({0, 0, 1, 1}, {1, 2, 2}));
  EXPECT_EQ(Softmax()(x).value().to_vector<float>(), std::vector<float>(4, 0.5f));
  for (const float v : LogSoftmax()(x).value().to_vector<float>()) EXPECT_NEAR(v, -std::log(2.), 1e-7);
  EXPECT_EQ(Softmax().describe(), "Softmax");
  EXPECT_EQ(LogSoftmax().describe(), "LogSoftmax");
}

TEST(BatchNormLayer, RunningStatisticsEqualPyTorch) {
  const Stored stored("norms");
  for (const bool average : {false, true}) {
    BatchNorm2d bn({.channels = 3, .momentum = average ? std::nullopt : std::optional<double>(0.3)});
    EXPECT_EQ(bn.describe(), average ? "BatchNorm2d(3, average of all batches)" : "BatchNorm2d(3, momentum 0.3)");
    bn.to(DType::f64, Device::reference);
    const std::string key = average ? "running_average." : "running_momentum.";
    for (int i = 0; i < 3; ++i) bn(Variable(stored[key + "x" + std::to_string(i)]));
    EXPECT_LE(relative_error(bn.running_mean(), stored[key + "mean"]), 1e-12);
    EXPECT_LE(relative_error(bn.running_var(), stored[key + "var"]), 1e-12);
    EXPECT_EQ(bn.num_batches_tracked(), 3);
  }
}

}   // namespace
}   // namespace fovea::nn
