#include "nn/activation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "nn/sequential.h"

namespace fovea::nn {
namespace {

TEST(ActivationLayers, ComputeWhatTheirNamesSay) {
  Sequential net;
  net.add<ReLU>(), net.add<ReLU6>(), net.add<LeakyReLU>({.negative_slope = 0.5}), net.add<SiLU>(), net.add<GELU>();
  net.add<GELU>({.approximate = Approximate::tanh}), net.add<Sigmoid>(), net.add<Tanh>(), net.add<Hardsigmoid>(), net.add<Hardswish>();
  // torch.nn.ReLU()(torch.tensor([-1., 2., 7.])) and so on.
  const double expected[10][3] = {{0, 2, 7},
                                  {0, 2, 6},
                                  {-0.5, 2, 7},
                                  {-0.2689414, 1.7615942, 6.9936227},
                                  {-0.1586553, 1.9544997, 7},
                                  {-0.1588080, 1.9545977, 7},
                                  {0.2689414, 0.8807970, 0.9990890},
                                  {-0.7615942, 0.9640276, 0.9999983},
                                  {0.3333333, 0.8333333, 1},
                                  {-0.3333333, 1.6666667, 7}};
  const char* names[] = {"ReLU", "ReLU6", "LeakyReLU(0.5)", "SiLU", "GELU", "GELU(tanh)", "Sigmoid", "Tanh", "Hardsigmoid", "Hardswish"};
  const Variable x(Tensor::from<float>({-1, 2, 7}, {3}));
  ASSERT_EQ(net.children().size(), 10u);
  for (std::size_t i = 0; i < 10; ++i) {
    const auto y = (*net.children()[i])(x).value().to_vector<double>();
    for (std::size_t j = 0; j < 3; ++j) EXPECT_NEAR(y[j], expected[i][j], 1e-6) << names[i];
    EXPECT_EQ(net.children()[i]->describe(), names[i]);
  }
  EXPECT_EQ(net.parameter_count(), 0);
}

TEST(ActivationLayers, RefuseASlopeThatIsNoNumber) {
  EXPECT_THROW(LeakyReLU({.negative_slope = std::numeric_limits<double>::infinity()}), ShapeError);
}

}   // namespace
}   // namespace fovea::nn
