#include "nn/dropout.h"

#include <gtest/gtest.h>

#include <cmath>

#include "nn/sequential.h"

namespace fovea::nn {
namespace {

TEST(DropoutLayer, IsNoiseInTrainingAndTheIdentityInEvaluation) {
  manual_seed(1);
  Sequential net;
  net.add<Dropout>({.p = 0.25});
  net.add<StochasticDepth>({.p = 0.5, .mode = DropMode::row});
  const Variable x(Tensor::full({200, 50}, 1));
  const Variable y = (*net.children()[0])(x), z = (*net.children()[1])(x);
  double mean = 0, rows = 0;
  const auto values = y.value().to_vector<double>(), kept = z.value().to_vector<double>();
  for (const double v : values) mean += v / 1e4;
  EXPECT_NEAR(mean, 1, 5 * std::sqrt(0.25 / 0.75 / 1e4));   // the expectation stays: five sigma
  for (std::size_t r = 0; r < 200; ++r) {
    for (std::size_t c = 1; c < 50; ++c) EXPECT_EQ(kept[50 * r + c], kept[50 * r]);   // a row as a whole
    rows += kept[50 * r] != 0;
  }
  EXPECT_NEAR(rows / 200, 0.5, 5 * 0.5 / std::sqrt(200.));
  net.eval();
  EXPECT_EQ(net(x).value().raw(), x.value().raw());   // x itself, not a copy
  EXPECT_EQ(net.children()[0]->describe(), "Dropout(0.25)");
  EXPECT_EQ(net.children()[1]->describe(), "StochasticDepth(0.5, row)");
}

TEST(DropoutLayer, AtTheEnds) {
  const Variable x(Tensor::full({4, 3}, 2));
  EXPECT_EQ(Dropout({.p = 0})(x).value().raw(), x.value().raw());
  for (const float v : Dropout({.p = 1})(x).value().to_vector<float>()) EXPECT_EQ(v, 0);
  for (const float v : StochasticDepth({.p = 1, .mode = DropMode::batch})(x).value().to_vector<float>()) EXPECT_EQ(v, 0);
  EXPECT_THROW(Dropout({.p = 1.5}), ShapeError);
  EXPECT_THROW(StochasticDepth({.p = -1}), ShapeError);
}

}   // namespace
}   // namespace fovea::nn
