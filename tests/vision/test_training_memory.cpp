// What a training forward pass keeps: for each fused convolution its raw output and four numbers a channel, and no activated copy.
#include <gtest/gtest.h>

#include <cstdlib>

#include "autograd/loss.h"
#include "nn/batch_norm.h"
#include "nn/conv2d.h"
#include "optim/sgd.h"
#include "vision/models/models.h"

namespace fovea::vision {
namespace {

/// What a tensor of so many bytes takes: the allocator serves it with a block of one of its sizes.
std::size_t block(std::int64_t bytes) {
  const std::size_t before = memory_statistics().in_use;
  const Tensor t = Tensor::empty({bytes}, DType::u8);
  return memory_statistics().in_use - before;
}

TEST(TrainingMemory, AFusedConvolutionKeepsItsRawOutputOnly) {
  const auto net = build("resnet18");
  const std::int64_t n = 2;
  const Variable x(Tensor::randn({n, 64, 64, 3}, RandomKey{.seed = 1}));   // counted by who made it, before the pass
  (*net)(x);                                                               // parameters' derived forms, if any, are there now
  const std::size_t before = memory_statistics().in_use;
  const Variable y = (*net)(x);
  const std::size_t kept = memory_statistics().in_use - before;

  // Table 1 at 64 x 64 pixels: {convolutions, side of their output, channels}
  struct Stage {
    int convolutions;
    std::int64_t side, channels;
  };
  std::size_t expected = 0, raw = 0;
  for (const Stage& s : {Stage{1, 32, 64}, {4, 16, 64}, {5, 8, 128}, {5, 4, 256}, {5, 2, 512}})   // a projection in the last three
    for (int i = 0; i < s.convolutions; ++i) {
      raw += block(n * s.side * s.side * s.channels * 4);
      expected += 4 * block(s.channels * 4);   // mean, 1 / deviation, scale, shift
    }
  expected += raw;
  expected += block(n * 16 * 16 * 64 * 4) + block(n * 16 * 16 * 64);   // the maximum pool's output and byte argmax
  expected += block(n * 512 * 4) + block(n * 10 * 4);                  // features, logits
  EXPECT_NEAR(static_cast<double>(kept), static_cast<double>(expected), 0.02 * static_cast<double>(expected));
  // An activated copy of each would show: it is as large as the raw output.
  EXPECT_GT(static_cast<double>(raw), 0.7 * static_cast<double>(expected));
}

/// Unfused, each convolution keeps what conv, norm and ReLU keep by themselves: the same test sees the difference.
TEST(TrainingMemory, UnfusedLayersKeepMore) {
  const auto net = build("resnet18");
  const Variable x(Tensor::randn({2, 64, 64, 3}, RandomKey{.seed = 1}));
  const auto kept = [&] {
    const std::size_t before = memory_statistics().in_use;
    const Variable y = (*net)(x);
    return static_cast<double>(memory_statistics().in_use - before);
  };
  kept();
  const double fused = kept();
  std::vector<nn::Module::HookHandle> handles;
  net->apply([&](nn::Module& m) { handles.push_back(m.on_forward([](const nn::Module&, const Variable&, const Variable&) {})); });
  EXPECT_GT(kept(), 1.7 * fused);
}

/// From its third step on a training asks the system for nothing: each step finds the blocks of the step before.
TEST(TrainingMemory, AWarmStepTakesNothingFromTheSystem) {
  if (std::getenv("FOVEA_ALLOCATOR")) GTEST_SKIP() << "FOVEA_ALLOCATOR is set";
  const auto net = build("resnet8_mnist", {.channels = 1});
  std::vector<Variable> parameters;
  for (auto& [name, p] : net->parameters()) parameters.push_back(p->value);
  optim::SGD sgd(parameters, {.lr = 0.01, .momentum = 0.9});
  const Tensor labels = Tensor::zeros({16}, DType::i64);
  std::vector<std::size_t> taken;
  for (int step = 0; step < 6; ++step) {
    const Variable x(Tensor::randn({16, 28, 28, 1}, RandomKey{.seed = 1, .stream = static_cast<std::uint64_t>(step)}));
    sgd.zero_grad();
    cross_entropy((*net)(x), labels).backward();
    sgd.step();
    taken.push_back(memory_statistics().from_system);
  }
#ifndef __SANITIZE_ADDRESS__   // under it every block is the system's, so that it can watch them
  EXPECT_EQ(taken[5], taken[1]);
#endif
}

}   // namespace
}   // namespace fovea::vision
