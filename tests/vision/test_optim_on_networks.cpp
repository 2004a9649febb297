// Optimisers on a real network: groups from its names and shapes, a checkpoint that keeps the memory of any of them, frozen layers,
// running statistics of averaged weights.
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>

#include "autograd/dot.h"
#include "nn/batch_norm.h"
#include "optim/adamw.h"
#include "optim/average.h"
#include "optim/statistics.h"
#include "tensor/safetensors.h"
#include "tests/temporary_folder.h"
#include "vision/models/models.h"
#include "vision/training/checkpoint.h"

namespace fovea::vision {
namespace {

std::unique_ptr<nn::Module> network() {
  manual_seed(5);
  return build("resnet8_mnist", {.classes = 3, .channels = 1});
}

void step(optim::Optimizer& o, std::uint64_t seed) {
  o.zero_grad();
  for (optim::Parameter& p : o.arena().parameters()) dot(p.value, Tensor::randn(p.value.shape(), RandomKey{.seed = seed})).backward();
  o.step();
}

TEST(OptimOnNetworks, NormsAndBiasesAreNotDecayed) {
  const auto net = network();
  const auto parameters = optim::Parameters(net->parameters()).weight_decay(0, optim::undecayed);
  for (const optim::Parameter& p : parameters.list())
    EXPECT_EQ(p.weight_decay.has_value(),
              p.name.find("conv") == std::string::npos && p.name != "fc.weight" && !p.name.ends_with("downsample.0.weight"))
        << p.name;
}

TEST(OptimOnNetworks, CheckpointKeepsGroupsAndFrozenLayersApart) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "last.safetensors";
  const ModelCard card{.model = "resnet8_mnist",
                       .height = 28,
                       .width = 28,
                       .channels = 1,
                       .class_names = {"a", "b", "c"},
                       .mean = {0.1f},
                       .std = {0.3f},
                       .recipe = ""};
  const auto make = [](nn::Module& net) {
    net.parameters()[0].second->value.set_requires_grad(false);
    return std::make_unique<optim::AdamW>(optim::Parameters(net.parameters()).weight_decay(0, optim::undecayed), optim::AdamWOptions{});
  };
  const auto net = network(), resumed = network();
  const auto adamw = make(*net), other = make(*resumed);
  for (std::uint64_t t = 0; t < 3; ++t) step(*adamw, t);
  save_training(path, *net, card, *adamw, {});
  load_training(path, *resumed, card, *other);
  step(*adamw, 7), step(*other, 7);
  const auto a = net->parameters(), b = resumed->parameters();
  for (std::size_t i = 0; i < a.size(); ++i)
    EXPECT_EQ(a[i].second->value.value().to_vector<float>(), b[i].second->value.value().to_vector<float>()) << a[i].first;
  const TensorFile file = read_safetensors(path);
  EXPECT_NE(file.find("optimizer.v.fc.weight"), nullptr);
  EXPECT_EQ(file.find("optimizer.v." + a[0].first), nullptr);   // frozen
}

// The same as a norm that averages over all batches by itself.
TEST(OptimOnNetworks, StatisticsOfABatchNorm) {
  nn::BatchNorm2d norm({.channels = 3}), averaging({.channels = 3, .momentum = std::nullopt});
  const auto batch = [](std::uint64_t seed) { return Variable(Tensor::randn({2, 3, 3, 3}, RandomKey{.seed = seed})); };
  for (std::uint64_t t = 100; t < 110; ++t) norm.forward(batch(t));   // a past to be forgotten
  Tensor mean = norm.running_mean(), variance = norm.running_var();
  optim::Statistics statistics({{mean, 0.1}, {variance, 0.1}});
  const NoGrad none;
  for (std::uint64_t t = 0; t < 5; ++t) {
    statistics.begin_batch();
    norm.forward(batch(t));
    statistics.end_batch();
    averaging.forward(batch(t));
  }
  statistics.finish();
  for (std::size_t c = 0; c < 3; ++c) {
    EXPECT_NEAR(norm.running_mean().to_vector<double>()[c], averaging.running_mean().to_vector<double>()[c], 1e-6);
    EXPECT_NEAR(norm.running_var().to_vector<double>()[c], averaging.running_var().to_vector<double>()[c], 1e-6);
  }
}

}   // namespace
}   // namespace fovea::vision
