#include "nn/channel_shuffle.h"

#include <gtest/gtest.h>

#include "tensor/error.h"

namespace fovea::nn {
namespace {

TEST(ChannelShuffle, SendsEachGroupToAllGroups) {
  ChannelShuffle shuffle({.groups = 2});
  const Variable x(Tensor::from<float>({0, 1, 2, 3, 4, 5}, {1, 1, 1, 6}));
  EXPECT_EQ(shuffle(x).value().to_vector<float>(), (std::vector<float>{0, 3, 1, 4, 2, 5}));
  EXPECT_EQ(shuffle.describe(), "ChannelShuffle(2 groups)");
  EXPECT_EQ(shuffle.parameter_count(), 0);
  EXPECT_THROW(ChannelShuffle({.groups = 0}), ShapeError);
  EXPECT_THROW(shuffle(Variable(Tensor::zeros({1, 5}))), ShapeError);
}

}   // namespace
}   // namespace fovea::nn
