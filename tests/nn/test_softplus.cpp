#include "nn/softplus.h"

#include <gtest/gtest.h>

#include <cmath>

#include "nn/linear.h"
#include "nn/sequential.h"

namespace fovea::nn {
namespace {

TEST(SoftplusLayer, StandsBetweenOtherLayers) {
  Sequential net;
  net.add<Linear>({.in = 1, .out = 1, .bias = false}).parameters()[0].second->value.assign(Tensor::full({1, 1}, 2));
  net.add<Softplus>();
  const Variable y = net(Variable(Tensor::from<float>({-1, 0, 3}, {3, 1})));
  const double expected[] = {std::log1p(std::exp(-2.)), std::log(2.), std::log1p(std::exp(6.))};
  for (std::size_t i = 0; i < 3; ++i) EXPECT_NEAR(y.value().to_vector<double>()[i], expected[i], 1e-6 * std::max(1., expected[i]));
  EXPECT_EQ(net.children()[1]->describe(), "Softplus");
  EXPECT_EQ(net.parameter_count(), 1);
}

}   // namespace
}   // namespace fovea::nn
