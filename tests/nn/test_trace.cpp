// Trace: what each module of a network did, and Device::meta under whole modules.
#include "nn/trace.h"

#include <gtest/gtest.h>

#include "autograd/multiply_adds.h"
#include "autograd/recompute.h"
#include "autograd/reductions.h"
#include "nn/attention.h"
#include "nn/conv2d_norm_activation.h"
#include "nn/linear.h"
#include "nn/pooling.h"
#include "nn/sequential.h"
#include "nn/state.h"
#include "nn/window_attention.h"

namespace fovea::nn {
namespace {

std::int64_t work(Module& m, const Shape& x) {
  const MultiplyAdds done;
  m(Variable(Tensor::zeros(x)));
  return done.count();
}

TEST(MultiplyAdds, AreThoseOfTheFormulas) {
  for (const Device device : {Device::cpu, Device::meta}) {
    const DefaultDevice where(device);
    Conv2d conv({.in = 6, .out = 8, .kernel = 3, .stride = 2, .padding = 1, .groups = 2});
    EXPECT_EQ(work(conv, {2, 7, 9, 6}), 2 * 4 * 5 * 8 * (3 * 3 * 3))
        << name_of(device);   // 4 x 5 outputs of 8 channels, 3 of 6 inputs each
    Linear linear({.in = 5, .out = 7});
    EXPECT_EQ(work(linear, {2, 3, 5}), 2 * 3 * 5 * 7) << name_of(device);
    MultiheadAttention attention({.channels = 8, .heads = 2});
    EXPECT_EQ(work(attention, {2, 5, 8}), 2 * (5 * 8 * 24 + 2 * 5 * 5 * 8 + 5 * 8 * 8)) << name_of(device);
    // 5 x 6 pixels in windows of 4: four of them, three padded, 16 tokens each
    ShiftedWindowAttention windows({.channels = 8, .heads = 2, .window = 4, .shift = 2});
    EXPECT_EQ(work(windows, {1, 5, 6, 8}), 30 * 8 * 24 + 4 * 2 * 16 * 16 * 8 + 30 * 8 * 8) << name_of(device);
  }
}

TEST(Trace, TellsWhatEachLayerDidFusedOnesToo) {
  const DefaultDevice meta(Device::meta);
  Sequential net;
  auto& block = net.add<Conv2dNormActivation>({.in = 3, .out = 16, .kernel = 3, .stride = 2, .activation = kernels::Activation::relu});
  auto& pool = net.add<GlobalAvgPool2d>();
  auto& head = net.add<Linear>({.in = 16, .out = 10});
  const Module &conv = *block.children()[0], &norm = *block.children()[1];
  Variable y;
  const Trace trace;
  y = net(Variable(Tensor::zeros({2, 8, 8, 3})));
  EXPECT_EQ(trace.line(conv).multiply_adds, 2 * 4 * 4 * 16 * 27);
  EXPECT_EQ(trace.line(head).multiply_adds, 2 * 16 * 10);
  EXPECT_EQ(trace.line(net).multiply_adds, 0);   // nothing but its children's
  EXPECT_EQ(trace.line(block).output, (Shape{2, 4, 4, 16}));
  EXPECT_EQ(trace.line(norm).runs, 1);
  EXPECT_FALSE(trace.line(norm).output.has_value());   // fused away
  EXPECT_EQ(trace.line(net).output, (Shape{2, 10}));
  EXPECT_EQ(trace.kept(conv), 2u * 4 * 4 * 16 * 4 + 4 * 64);   // the raw output; mean, 1 / deviation, scale, shift
  EXPECT_EQ(trace.kept(norm), 0u);
  EXPECT_EQ(trace.kept(pool), 2u * 16 * 4);   // the head's input
  EXPECT_EQ(trace.kept(head), 128u);          // 80 bytes of logits
  EXPECT_THROW(Trace(), ShapeError);          // one at a time
}

TEST(Trace, OfABatchOfOneIsAsOfMany) {
  const DefaultDevice meta(Device::meta);
  Linear net({.in = 4, .out = 4});
  Trace trace;
  for (int i = 0; i < 3; ++i) net(Variable(Tensor::zeros({1, 4})));
  EXPECT_EQ(trace.line(net).runs, 3);
  EXPECT_EQ(trace.line(net).multiply_adds, 48);
  EXPECT_EQ(trace.kept(net), 0u);   // nobody holds what came out
  EXPECT_EQ(trace.line(Linear({.in = 4, .out = 4})).runs, 0);
}

TEST(Meta, ANetworkOfShapesHasAStateOfShapesAndNoBackwardPass) {
  const DefaultDevice meta(Device::meta);
  Conv2dNormActivation net({.in = 3, .out = 5});
  EXPECT_EQ(state_dict(net).tensors[0].second.shape(), (Shape{5, 3, 3, 3}));
  const Variable y = sum(net(Variable(Tensor::zeros({2, 8, 8, 3}))));
  EXPECT_TRUE(y.requires_grad());
  EXPECT_THROW(y.backward(), ShapeError);
}

TEST(Sequential, RecomputedLayersGiveTheSameBitsAndKeepLess) {
  std::vector<std::vector<float>> gradients[2];
  std::size_t kept[2];
  for (const bool recompute : {false, true}) {
    manual_seed(3);
    Sequential net;
    for (int i = 0; i < 3; ++i) net.add<Conv2dNormActivation>({.in = 8, .out = 8, .activation = kernels::Activation::silu});
    Sequential two;
    two.set_recompute(recompute);
    for (int i = 0; i < 3; ++i) {
      auto& inner = two.add<Sequential>();
      for (int j = 0; j < 3; ++j) inner.add<Linear>({.in = 8, .out = 8});
    }
    const Variable x(Tensor::randn({2, 9, 9, 8}, RandomKey{.seed = 1}));
    const Variable start = net(x);
    const std::size_t before = memory_statistics().in_use;
    const Variable y = two(start);
    kept[recompute] = memory_statistics().in_use - before;
    sum(y).backward();
    for (Sequential* part : {&net, &two})
      for (const auto& [name, p] : part->parameters()) gradients[recompute].push_back(p->value.grad().to_vector<float>());
  }
  EXPECT_EQ(gradients[0], gradients[1]);
  EXPECT_LT(2 * kept[true], kept[false]);
}

}   // namespace
}   // namespace fovea::nn
