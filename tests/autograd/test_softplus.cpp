#include "autograd/softplus.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/op_testing.h"

namespace fovea {
namespace {

std::vector<OpCase> cases() {
  std::vector<OpCase> list;   // own exp and log1p: a few units in the last place, 6e-8 each
  for (const auto& [name, shape] : {std::pair{"one", Shape{1}}, {"matrix", {3, 5}}, {"images", {2, 1, 3, 2}}, {"past_16_lanes", {37}}})
    list.push_back({std::string("softplus_") + name, {shape}, [](const Inputs& in) { return softplus(in[0]); }, {0}, 5e-7});
  return list;
}
INSTANTIATE_TEST_SUITE_P(Softplus, EachOp, testing::ValuesIn(cases()), op_name);

TEST(Softplus, KnownValues) {
  const Variable y = softplus(Variable(Tensor::from<double>({0, 1, -1, 800, -800}, {5}, Device::reference)));
  const std::vector<double> v = y.value().to_vector<double>();
  EXPECT_DOUBLE_EQ(v[0], std::log(2.));
  EXPECT_DOUBLE_EQ(v[1], 1.3132616875182228);
  EXPECT_DOUBLE_EQ(v[2], 0.31326168751822286);
  EXPECT_EQ(v[3], 800);   // e^800 would overflow
  EXPECT_EQ(v[4], 0);
}

}   // namespace
}   // namespace fovea
