// What torchvision's and timm's networks are made of, layer by layer: epsilon and momentum of every norm, dropout, the form of GELU, and of every
// convolution kernel, stride, padding and groups. Counted by tests/parity/model_facts.py.
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <map>

#include "nn/activation.h"
#include "nn/batch_norm.h"
#include "nn/conv2d.h"
#include "nn/dropout.h"
#include "nn/layer_norm.h"
#include "vision/models/models.h"

namespace fovea::vision {
namespace {

/// How often each fact holds in a network.
using Facts = std::map<std::string, int>;

std::map<std::string, Facts> published() {
  std::ifstream in(FOVEA_SOURCE_DIR "/tests/parity/model_facts.txt");
  std::map<std::string, Facts> all;
  std::string line, model;
  while (std::getline(in, line)) {
    if (line.starts_with("model "))
      model = line.substr(6);
    else
      all[model][line.substr(line.find(' ') + 1)] = std::stoi(line);
  }
  return all;
}

/// As Python's %g.
std::string g(double x) {
  char text[32];
  std::snprintf(text, sizeof text, "%g", x);
  return text;
}

Facts facts(nn::Module& net) {
  Facts found;
  net.apply([&](nn::Module& m) {
    if (const auto* bn = dynamic_cast<nn::BatchNorm2d*>(&m))
      ++found["BatchNorm2d eps " + g(bn->options().eps) + " momentum " + g(bn->options().momentum.value_or(0))];
    else if (const auto* ln = dynamic_cast<nn::LayerNorm*>(&m))
      ++found["LayerNorm eps " + g(ln->options().eps)];
    else if (const auto* dropout = dynamic_cast<nn::Dropout*>(&m)) {
      if (dropout->options().p > 0) ++found["Dropout " + g(dropout->options().p)];
    } else if (const auto* conv = dynamic_cast<nn::Conv2d*>(&m)) {
      const auto& o = conv->options();
      EXPECT_TRUE(o.kernel.h == o.kernel.w && o.stride.h == o.stride.w && o.padding.h == o.padding.w) << m.path();
      ++found[detail::join("Conv2d kernel ", o.kernel.h, " stride ", o.stride.h, " padding ", o.padding.h, " groups ", o.groups)];
    } else if (const auto* gelu = dynamic_cast<nn::GELU*>(&m))
      ++found[gelu->options().approximate == Approximate::tanh ? "GELU tanh" : "GELU none"];
  });
  return found;
}

TEST(ModelFacts, EveryLayerHasThePublishedNumbers) {
  const auto expected = published();
  EXPECT_EQ(expected.size(), 89u);
  const DefaultDevice meta(Device::meta);
  for (const auto& [name, counts] : expected) {
    EXPECT_EQ(facts(*build(name, {.classes = 10})), counts) << name;
  }
}

}   // namespace
}   // namespace fovea::vision
