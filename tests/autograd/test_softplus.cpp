#include "autograd/softplus.h"

#include <gtest/gtest.h>

#include <cmath>

#include "autograd/dot.h"
#include "autograd/gradcheck.h"

namespace fovea {
namespace {

TEST(Softplus, GradientMatchesCentralDifferences) {
  for (const Shape& shape : {Shape{1}, Shape{3, 5}, Shape{2, 1, 3, 2}}) {
    const Tensor x = Tensor::randn(shape, RandomKey{.seed = 7}, DType::f64, Device::reference);
    EXPECT_EQ(gradcheck([](const std::vector<Variable>& in) { return softplus(in[0]); }, {x}), "");
  }
}

TEST(Softplus, KnownValues) {
  const Variable y = softplus(Variable(Tensor::from<double>({0, 1, -1, 800, -800}, {5}, Device::reference)));
  const std::vector<double> v = y.value().to_vector<double>();
  EXPECT_DOUBLE_EQ(v[0], std::log(2.));
  EXPECT_DOUBLE_EQ(v[1], 1.3132616875182228);
  EXPECT_DOUBLE_EQ(v[2], 0.31326168751822286);
  EXPECT_EQ(v[3], 800);   // e^800 would overflow
  EXPECT_EQ(v[4], 0);
}

// Whole op, both directions, Cpu against Reference on the same float32 numbers; 37 is no multiple of 16 lanes.
TEST(Softplus, CpuEqualsReference) {
  const Tensor x = Tensor::randn({37}, RandomKey{.seed = 3}), u = Tensor::randn({37}, RandomKey{.seed = 4});
  const auto run = [&](Device device) {
    Variable in(x.clone().to(device), true);
    const Variable y = softplus(in);
    dot(y, u.to(device)).backward();
    return std::pair(y.value().to_vector<double>(), in.grad().to_vector<double>());
  };
  const auto [y, dx] = run(Device::cpu);
  const auto [y_reference, dx_reference] = run(Device::reference);
  for (std::size_t i = 0; i < y.size(); ++i) {   // own exp and log1p: a few units in the last place, 6e-8 each
    EXPECT_NEAR(y[i], y_reference[i], 5e-7 * std::max(1., y_reference[i]));
    EXPECT_NEAR(dx[i], dx_reference[i], 5e-7 * std::max(1., std::abs(dx_reference[i])));
  }
}

}   // namespace
}   // namespace fovea
