// Costs of networks, found on Device::meta, against what really running them takes.
#include "vision/analysis/network_cost.h"

#include <gtest/gtest.h>

#include "autograd/dot.h"
#include "autograd/loss.h"
#include "autograd/multiply_adds.h"
#include "optim/adamw.h"
#include "optim/sgd.h"

namespace fovea::vision {
namespace {

/// What the graph of a real training pass holds.
std::size_t really_kept(const std::string& model, const ModelOptions& o, std::int64_t size, std::int64_t batch) {
  const auto net = build(model, o);
  const Variable x(Tensor::zeros({batch, size, size, o.channels}));
  (*net)(x);   // parameters' derived forms, if any, are there now
  net->take_auxiliary();
  const std::size_t before = memory_statistics().in_use;
  const Variable y = (*net)(x);
  return memory_statistics().in_use - before;
}

TEST(NetworkCost, KeptIsWhatARealTrainingPassHolds) {
  struct Case {
    const char* model;
    std::int64_t size;
  };
  for (const Case& c : {Case{"resnet18", 96},
                        {"vgg11_bn", 64},
                        {"googlenet", 64},
                        {"mobilenet_v3_small", 64},
                        {"efficientnet_b0", 64},
                        {"vit_tiny_p16", 64},
                        {"swin_t", 64},
                        {"convnext_tiny", 64},
                        {"se_resnet18", 64}})
    for (const bool recompute : {false, true}) {
      ModelOptions o{
          .classes = 10, .image_size = c.size, .auxiliary_heads = model(c.model).accepts.auxiliary_heads, .recompute = recompute};
      if (recompute && !model(c.model).accepts.recompute) continue;
      const NetworkCost cost = network_cost(c.model, o, c.size, 2);
      ASSERT_EQ(cost.cannot_train, "") << c.model;
      EXPECT_EQ(cost.total().kept, really_kept(c.model, o, c.size, 2)) << c.model << (recompute ? ", recomputed" : "");
    }
}

/// On Reference, whose kernels need no workspaces here: those are not in the count.
TEST(NetworkCost, InferenceTakesWhatARealPassTakes) {
  const NetworkCost cost = network_cost("resnet18", {.classes = 10}, 32, 2);
  const auto net = build("resnet18", {.classes = 10});
  net->to(DType::f32, Device::reference);
  net->eval();
  const NoGrad no_grad;
  const std::size_t before = memory_statistics().in_use;
  reset_peak_memory();
  const Variable x(Tensor::zeros({2, 32, 32, 3}, DType::f32, Device::reference));
  (*net)(x);
  EXPECT_EQ(cost.inference_peak, memory_statistics().peak - before);
}

TEST(NetworkCost, MultiplyAddsAreThoseOfARealPass) {
  const auto net = build("se_resnet18", {.classes = 10});
  net->eval();
  const MultiplyAdds work;
  (*net)(Variable(Tensor::zeros({2, 64, 64, 3})));
  const std::int64_t real = work.count();   // before network_cost() adds its passes
  EXPECT_EQ(network_cost("se_resnet18", {.classes = 10}, 64, 2).total().multiply_adds, real);
}

TEST(NetworkCost, LinesAddUpAndAreWhatThePaperSays) {
  const NetworkCost cost = network_cost("resnet50", {.classes = 1000}, 224, 1);
  std::int64_t parameters = 0, multiply_adds = 0;
  std::size_t kept = 0;
  const LayerCost* layer3 = nullptr;
  const LayerCost* norm = nullptr;
  for (const LayerCost& l : cost.layers) {
    if (l.depth == 1) parameters += l.parameters, multiply_adds += l.multiply_adds, kept += l.kept;
    if (l.path == "layer3") layer3 = &l;
    if (l.path == "layer3.1.bn2") norm = &l;
  }
  EXPECT_EQ(parameters, 25'557'032);
  EXPECT_EQ(multiply_adds, 4'089'184'256);
  EXPECT_EQ(kept, cost.total().kept);
  ASSERT_TRUE(layer3 && norm);
  EXPECT_EQ(layer3->output, (Shape{1, 14, 14, 1024}));   // He et al. 2016, Table 1
  EXPECT_EQ(norm->ran, LayerCost::Ran::fused);
  EXPECT_EQ(norm->parameters, 512);
}

/// An optimiser's arenas are the same memory, byte for byte.
TEST(NetworkCost, OptimisersTakeWhatTheyReallyTake) {
  const auto costs = optimizer_costs("resnet18", {.classes = 10});
  ASSERT_EQ(costs.size(), 6u);
  for (const OptimizerCost& c : costs) {
    EXPECT_GE(c.parameters, 4u * 11'181'642) << c.optimizer;
    EXPECT_LT(static_cast<double>(c.parameters), 4.6 * 11'181'642) << c.optimizer;   // a block may be an eighth larger than asked for
    EXPECT_EQ(c.parameters, c.gradients) << c.optimizer;
    const bool two = c.optimizer.starts_with("adam") || c.optimizer == "lamb" || c.optimizer == "rmsprop";
    EXPECT_EQ(c.state, (two ? 2 : 1) * c.parameters) << c.optimizer;
  }
  const auto net = build("resnet18", {.classes = 10});
  const std::size_t before = memory_statistics().by_tag["optimiser"];
  const optim::AdamW adamw(optim::Parameters(net->parameters()), {});
  EXPECT_EQ(memory_statistics().by_tag["optimiser"] - before, costs[2].state);
}

TEST(NetworkCost, FindsTheSmallestSize) {
  EXPECT_EQ(size_that_works("alexnet", {}, 1), 63);
  EXPECT_EQ(size_that_works("vgg11", {}, 1), 32);
  EXPECT_EQ(size_that_works("resnet18", {}, 1), 1);
  EXPECT_EQ(size_that_works("vit_b_16", {}, 100), 112);   // patches must fit
  EXPECT_THROW(network_cost("vgg11", {}, 31, 1), ShapeError);
  EXPECT_NO_THROW(network_cost("vgg11", {}, 32, 1));
  EXPECT_NE(network_cost("resnet18", {}, 32, 1).cannot_train, "");   // one value a channel in the last stage
  EXPECT_EQ(network_cost("resnet18", {}, 32, 2).cannot_train, "");
}

TEST(Recompute, NetworksGiveTheSameBitsAndKeepLess) {
  for (const std::string name : {"resnet18", "resnet20_he_cifar", "efficientnet_b0", "vit_tiny_p16", "swin_t", "convnext_tiny"}) {
    std::vector<std::vector<float>> results[2];
    for (const bool recompute : {false, true}) {
      manual_seed(5);
      const double depth = model(name).accepts.stochastic_depth ? 0.3 : 0;   // random keys are replayed
      const auto net =
          build(name, {.classes = 3, .image_size = 32, .small_images = true, .stochastic_depth = depth, .recompute = recompute});
      const Variable y = (*net)(Variable(Tensor::randn({2, 32, 32, 3}, RandomKey{.seed = 1})));
      dot(y, Tensor::randn({2, 3}, RandomKey{.seed = 2})).backward();
      results[recompute].push_back(y.value().to_vector<float>());
      for (const auto& [parameter, p] : net->parameters()) results[recompute].push_back(p->value.grad().to_vector<float>());
      for (const auto& [buffer, b] : net->buffers()) results[recompute].push_back(b->value.to_vector<float>());
    }
    EXPECT_EQ(results[0], results[1]) << name;
    const auto kept = [&](bool recompute) {
      return network_cost(name, {.classes = 3, .image_size = 32, .small_images = true, .recompute = recompute}, 32, 2).total().kept;
    };
    EXPECT_LT(static_cast<double>(kept(true)), 0.8 * static_cast<double>(kept(false))) << name;
  }
}

}   // namespace
}   // namespace fovea::vision
