// Names, paths, hooks, errors and modes of modules.
#include "nn/module.h"

#include <gtest/gtest.h>

#include "autograd/dot.h"
#include "autograd/recompute.h"
#include "autograd/reductions.h"
#include "nn/activation.h"
#include "nn/batch_norm.h"
#include "nn/conv2d.h"
#include "nn/flatten.h"
#include "nn/identity.h"
#include "nn/linear.h"
#include "nn/pooling.h"
#include "nn/sequential.h"

namespace fovea::nn {
namespace {

Variable image(Shape shape) { return Variable(Tensor::randn(shape, RandomKey{.seed = 3})); }

/// A parent that names its children itself, and may be given a wrong number of channels for the second convolution.
class Block : public Module {
 public:
  struct Options {
    std::int64_t second_in = 4;
  };
  explicit Block(const Options& o)
      : conv1_(add<Conv2d>("conv1", {.in = 3, .out = 4})), conv2_(add<Conv2d>("conv2", {.in = o.second_in, .out = 5, .bias = false})) {}
  Variable forward(const Variable& x) override { return conv2_(conv1_(x)); }
  std::string describe() const override { return "Block"; }
  using Module::add;
  using Module::add_buffer;
  using Module::add_parameter;

 private:
  Conv2d &conv1_, &conv2_;
};

template <class E> std::string message_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const E& e) {
    return e.what();
  }
  return "no exception";
}

TEST(Module, NamesInOrderOfRegistration) {
  Sequential net;
  net.add<Block>();
  net.add<BatchNorm2d>({.channels = 5});
  std::vector<std::string> names;
  for (const auto& [name, p] : net.parameters()) names.push_back(name);
  EXPECT_EQ(names, (std::vector<std::string>{"0.conv1.weight", "0.conv1.bias", "0.conv2.weight", "1.weight", "1.bias"}));
  names.clear();
  for (const auto& [name, b] : net.buffers()) names.push_back(name);
  EXPECT_EQ(names, (std::vector<std::string>{"1.running_mean", "1.running_var", "1.num_batches_tracked"}));
  EXPECT_EQ(net.parameter_count(), 3 * 9 * 4 + 4 + 4 * 9 * 5 + 5 + 5);
  EXPECT_EQ(net.path(), "");
  EXPECT_EQ(net.children()[0]->children()[1]->path(), "0.conv2");
  // Names are relative to the module that is asked.
  EXPECT_EQ(net.children()[0]->parameters()[0].first, "conv1.weight");
}

TEST(Module, RefusesNamesThatAreTakenOrHaveDots) {
  Block block({});
  EXPECT_THROW(block.add<ReLU>("conv1"), ShapeError);
  EXPECT_THROW(block.add<ReLU>(""), ShapeError);
  EXPECT_THROW(block.add<ReLU>("a.b"), ShapeError);
  block.add_buffer("mean", Tensor::zeros({2}));
  EXPECT_THROW(block.add_parameter("mean", Tensor::zeros({2})), ShapeError);
  EXPECT_THROW(block.add<ReLU>("mean"), ShapeError);
}

TEST(Module, ErrorNamesTheInnermostModuleOnce) {
  Sequential net;
  net.add<Sequential>().add<Block>({.second_in = 256});
  EXPECT_EQ(message_of<ShapeError>([&] { net(image({8, 5, 5, 3})); }), "0.0.conv2: expected x with 256 channels, got (8, 3, 3, 4)");
  // A layer that stands alone is named by its type.
  Conv2d conv({.in = 3, .out = 4});
  EXPECT_EQ(message_of<ShapeError>([&] { conv(image({2, 5, 5, 4})); }), "Conv2d: expected x with 3 channels, got (2, 5, 5, 4)");
  // An error of an op gets the layer's path too.
  Sequential pool;
  pool.add<MaxPool2d>({.kernel = 2, .stride = 2});
  const std::string s = message_of<ShapeError>([&] { pool(image({2, 1, 5, 4})); });
  EXPECT_EQ(s.rfind("0: max_pool2d: expected", 0), 0u) << s;
  EXPECT_EQ(message_of<ShapeError>([&] { conv(Variable()); }), "Conv2d: expected x, got an undefined Variable");
}

TEST(Module, ErrorKeepsItsType) {
  class Fails : public Module {
   public:
    struct Options {};
    explicit Fails(const Options&) {}
    Variable forward(const Variable&) override { throw Error("the disk is full"); }
  };
  Sequential net;
  net.add<Fails>();
  try {
    net(image({1, 1}));
    FAIL() << "no exception";
  } catch (const ShapeError&) {
    FAIL() << "an Error became a ShapeError";
  } catch (const Error& e) {
    EXPECT_STREQ(e.what(), "0: the disk is full");
  }
}

TEST(Module, HooksSeeInputAndOutputUntilTheHandleGoes) {
  Sequential net;
  auto& conv = net.add<Conv2d>({.in = 3, .out = 4});
  net.add<ReLU>();
  std::vector<std::string> seen;
  EXPECT_FALSE(conv.has_hooks());
  {
    const auto handle = conv.on_forward([&](const Module& m, const Variable& x, const Variable& y) {
      seen.push_back(m.path() + " " + x.shape().str() + " -> " + y.shape().str());
    });
    const auto root = net.on_forward([&](const Module&, const Variable&, const Variable&) { seen.push_back("root"); });
    EXPECT_TRUE(conv.has_hooks());
    net(image({2, 5, 6, 3}));
  }
  EXPECT_FALSE(conv.has_hooks());
  net(image({2, 5, 6, 3}));
  EXPECT_EQ(seen, (std::vector<std::string>{"0 (2, 5, 6, 3) -> (2, 3, 4, 4)", "root"}));
}

TEST(Module, AHookMayRemoveItself) {
  ReLU layer;
  int calls = 0;
  Module::HookHandle handle;
  handle = layer.on_forward([&](const Module&, const Variable&, const Variable&) { ++calls, handle = {}; });
  layer(image({2, 3}));
  layer(image({2, 3}));
  EXPECT_EQ(calls, 1);
}

TEST(Module, TrainAndEvalReachAllBelow) {
  Sequential net;
  auto& inner = net.add<Sequential>().add<BatchNorm2d>({.channels = 3});
  EXPECT_TRUE(inner.training());
  net.eval();
  EXPECT_FALSE(inner.training());
  EXPECT_FALSE(net.training());
  // A child that comes later takes its parent's mode.
  EXPECT_FALSE(net.add<ReLU>().training());
  net.train();
  EXPECT_TRUE(inner.training());
}

TEST(Module, ApplyVisitsParentsFirst) {
  Sequential net;
  net.add<Sequential>().add<ReLU>();
  net.add<Identity>();
  std::vector<std::string> seen;
  net.apply([&](Module& m) { seen.push_back(m.path() + ":" + m.describe()); });
  EXPECT_EQ(seen, (std::vector<std::string>{":Sequential", "0:Sequential", "0.0:ReLU", "1:Identity"}));
}

TEST(Module, FindsAParameterByItsName) {
  Sequential net;
  net.add<Sequential>().add<Linear>({.in = 2, .out = 3});
  EXPECT_EQ(net.parameter("0.0.bias").shape(), (Shape{3}));
  net.parameter("0.0.weight").assign(Tensor::full({3, 2}, 7));
  EXPECT_EQ(net.parameters()[0].second->value.value().to_vector<float>(), std::vector<float>(6, 7.f));
  EXPECT_THROW(net.parameter("0.weight"), Error);
}

TEST(Module, FrozenParametersReceiveNoGradient) {
  Sequential net;
  auto& body = net.add<Sequential>();
  body.add<Conv2d>({.in = 3, .out = 4});
  auto& norm = body.add<BatchNorm2d>({.channels = 4});
  net.add<GlobalAvgPool2d>();
  net.add<Linear>({.in = 4, .out = 2});
  body.set_requires_grad(false);
  const std::vector<float> before = norm.running_mean().to_vector<float>();
  mean(net(image({2, 5, 5, 3}))).backward();
  for (const auto& [name, p] : net.parameters()) EXPECT_EQ(p->value.has_grad(), name.starts_with("2.")) << name;
  EXPECT_NE(norm.running_mean().to_vector<float>(), before);   // statistics are no parameters: eval() freezes them
  const std::vector<float> after = norm.running_mean().to_vector<float>();
  body.eval();
  mean(net(image({2, 5, 5, 3}))).backward();
  EXPECT_EQ(norm.running_mean().to_vector<float>(), after);
  body.set_requires_grad(true);
  mean(net(image({2, 5, 5, 3}))).backward();
  for (const auto& [name, p] : net.parameters()) EXPECT_TRUE(p->value.has_grad()) << name;
}

TEST(Module, ARecomputedSegmentIsOneForwardPass) {
  Sequential net;
  auto& norm = net.add<BatchNorm2d>({.channels = 3});
  int seen = 0;
  const auto handle = net.on_forward([&](const Module&, const Variable&, const Variable&) { ++seen; });
  const Variable y = recompute([&](const Variable& v) { return net(v); }, image({2, 4, 4, 3}));
  const std::vector<float> statistics = norm.running_mean().to_vector<float>();
  mean(y).backward();
  EXPECT_EQ(norm.num_batches_tracked(), 1);
  EXPECT_EQ(norm.running_mean().to_vector<float>(), statistics);
  EXPECT_EQ(seen, 1);
  EXPECT_TRUE(net.parameter("0.weight").has_grad());
}

TEST(Module, MovesToDoubleOnReferenceAndBack) {
  Block block({});
  block.add<BatchNorm2d>("bn", {.channels = 3});
  const std::vector<float> before = block.parameters()[0].second->value.value().to_vector<float>();
  block.to(DType::f64, Device::reference);
  for (const auto& [name, p] : block.parameters()) {
    EXPECT_EQ(p->value.dtype(), DType::f64) << name;
    EXPECT_EQ(p->value.device(), Device::reference) << name;
    EXPECT_TRUE(p->value.requires_grad()) << name;
  }
  EXPECT_EQ(block.buffers()[0].second->value.dtype(), DType::f64);
  EXPECT_EQ(block.buffers()[2].second->value.dtype(), DType::i64);
  // The layer computes with the moved parameters.
  const Variable y = block(Variable(Tensor::randn({1, 5, 5, 3}, RandomKey{.seed = 3}, DType::f64, Device::reference)));
  EXPECT_EQ(y.dtype(), DType::f64);
  block.to(DType::f32, Device::cpu);
  EXPECT_EQ(block.parameters()[0].second->value.value().to_vector<float>(), before);
  EXPECT_EQ(block(image({1, 5, 5, 3})).shape(), (Shape{1, 1, 1, 5}));
  EXPECT_THROW(block.to(DType::f64, Device::cpu), ShapeError);
  EXPECT_THROW(block.to(DType::bf16, Device::cpu), ShapeError);
}

TEST(Module, TreeShowsNamesLayersAndParameters) {
  Sequential net;
  net.add<Conv2d>({.in = 3, .out = 64, .kernel = 7, .stride = 2, .padding = 3, .bias = false});
  net.add<BatchNorm2d>({.channels = 64});
  net.add<ReLU>();
  net.add<Sequential>().add<MaxPool2d>({.kernel = 3, .stride = 2, .padding = 1});
  net.add<GlobalAvgPool2d>();
  net.add<Flatten>();
  net.add<Linear>({.in = 64, .out = 10});
  EXPECT_EQ(net.tree(),
            "Sequential                                                    10,186\n"
            "  0: Conv2d(3 -> 64, kernel 7, stride 2, padding 3, no bias)   9,408\n"
            "  1: BatchNorm2d(64)                                             128\n"
            "  2: ReLU\n"
            "  3: Sequential\n"
            "    0: MaxPool2d(kernel 3, stride 2, padding 1)\n"
            "  4: GlobalAvgPool2d\n"
            "  5: Flatten\n"
            "  6: Linear(64 -> 10)                                            650\n");
}

}   // namespace
}   // namespace fovea::nn
