#include "nn/squeeze_excitation.h"

#include <gtest/gtest.h>

#include "tests/op_testing.h"

namespace fovea::nn {
namespace {

TEST(SqueezeExcitation, EqualsTorchvision) {
  const Stored stored("squeeze_excitation");
  const auto check = [&](const char* name, const SqueezeExcitationOptions& o) {
    expect_parity(stored, {name, {}, [&](const Inputs& in) {
                             SqueezeExcitation layer(o);
                             auto parameters = layer.parameters();
                             for (std::size_t i = 0; i < 4; ++i) parameters[i].second->value = in[i + 1];
                             return layer(in[0]);
                           }});
  };
  check("senet", {.channels = 17, .squeeze = 3});
  check("efficientnet", {.channels = 6, .squeeze = 2, .activation = Activation::silu});
  check("mobilenet_v3", {.channels = 9, .squeeze = 4, .scale_activation = Activation::hard_sigmoid});
}

TEST(SqueezeExcitation, HasTorchvisionsNames) {
  SqueezeExcitation layer({.channels = 8, .squeeze = 2});
  std::vector<std::string> names;
  for (const auto& [name, p] : layer.parameters()) names.push_back(name);
  EXPECT_EQ(names, (std::vector<std::string>{"fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"}));
  EXPECT_EQ(layer.parameter_count(), 8 * 2 + 2 + 2 * 8 + 8);
  EXPECT_EQ(layer.describe(), "SqueezeExcitation(8 -> 2)");
}

TEST(SqueezeExcitation, RefusesWhatItCannotTake) {
  EXPECT_THROW(SqueezeExcitation({.channels = 8}), ShapeError);
  SqueezeExcitation layer({.channels = 8, .squeeze = 2});
  EXPECT_THROW(layer(Variable(Tensor::zeros({2, 3, 3, 7}))), ShapeError);
  EXPECT_THROW(layer(Variable(Tensor::zeros({2, 8}))), ShapeError);
}

}   // namespace
}   // namespace fovea::nn
