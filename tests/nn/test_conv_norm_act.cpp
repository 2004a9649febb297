// The fused convolution against its unfused twins, which run as soon as somebody listens.
#include "nn/conv_norm_act.h"

#include <gtest/gtest.h>

#include <cmath>

#include "autograd/dot.h"
#include "autograd/node.h"
#include "nn/sequential.h"

namespace fovea::nn {
namespace {

using kernels::Activation::relu;

/// A residual block with a projection: what is fused here meets every kind of input (a tensor, an Activated, an Activated with a
/// residual) and every option.
class Block : public Module {
 public:
  struct Options {
    std::int64_t in = 3, out = 5;
  };
  explicit Block(const Options& o)
      : conv1(add<Conv2d>("conv1", {.in = o.in, .out = o.out, .kernel = 3, .stride = 2, .padding = 1, .bias = false})),
        bn1(add<BatchNorm2d>("bn1", {.channels = o.out})),
        conv2(add<Conv2d>("conv2", {.in = o.out, .out = o.out, .kernel = 3, .padding = 1, .bias = false})),
        bn2(add<BatchNorm2d>("bn2", {.channels = o.out})),
        conv3(add<Conv2d>("conv3", {.in = o.in, .out = o.out, .kernel = 1, .stride = 2, .bias = false})),
        bn3(add<BatchNorm2d>("bn3", {.channels = o.out})) {}
  Variable forward(const Variable& x) override {
    const Variable y = conv_norm_act(x, conv1, bn1, {.activation = relu});
    const Variable skip = conv_norm_act(x, conv3, bn3);
    return conv_norm_act(y, conv2, bn2, {.activation = relu, .residual = &skip});
  }
  Conv2d& conv1;
  BatchNorm2d& bn1;
  Conv2d& conv2;
  BatchNorm2d& bn2;
  Conv2d& conv3;
  BatchNorm2d& bn3;
};

enum class Mode { training, frozen, evaluation };   // frozen: norms in evaluation, gradients wanted

struct Result {
  bool fused = false;
  std::vector<std::pair<std::string, std::vector<double>>> values;   // output, input gradient, parameter gradients, buffers
};

/// Two blocks in a row, one pass in each direction.
Result run(Mode mode, bool listen, DType dtype, Device device) {
  manual_seed(21);
  Sequential net;
  net.add<Block>();
  auto& last = net.add<Block>({.in = 5, .out = 7});
  net.to(dtype, device);
  std::uint64_t stream = 0;
  for (auto& [name, p] : net.parameters())   // norms that are not the identity
    if (p->value.rank() == 1) {
      Tensor t = Tensor::rand(p->value.shape(), RandomKey{.seed = 5, .stream = ++stream}, DType::f32).to(dtype).to(device);
      p->value.assign(t);
    }
  for (auto& [name, b] : net.buffers())
    if (b->value.rank() == 1) b->value.copy_from(Tensor::rand(b->value.shape(), RandomKey{.seed = 6, .stream = ++stream}).to(dtype));
  if (mode != Mode::training) net.eval();

  std::vector<Module::HookHandle> handles;
  int calls = 0;
  const auto count = [&](const Module&, const Variable&, const Variable&) { ++calls; };
  if (listen)
    net.apply([&](Module& m) {
      if (dynamic_cast<Conv2d*>(&m)) handles.push_back(m.on_forward(count));
    });

  // The numbers are float32's on both devices.
  Variable x(Tensor::randn({3, 7, 9, 3}, RandomKey{.seed = 1}).to(dtype).to(device), true);
  Result r;
  if (mode == Mode::evaluation) {
    const NoGrad no_grad;
    r.values.emplace_back("y", net(x).value().to_vector<double>());
  } else {
    const Variable y = net(x);
    r.fused = y.cell()->activated != nullptr;
    r.values.emplace_back("y", y.value().to_vector<double>());
    dot(y, Tensor::randn(y.shape(), RandomKey{.seed = 2}).to(dtype).to(device)).backward();
    r.values.emplace_back("dx", x.grad().to_vector<double>());
    for (auto& [name, p] : net.parameters()) r.values.emplace_back(name, p->value.grad().to_vector<double>());
  }
  for (auto& [name, b] : net.buffers()) r.values.emplace_back(name, b->value.to_vector<double>());
  EXPECT_EQ(calls, listen ? 6 : 0);
  EXPECT_EQ(last.bn2.num_batches_tracked(), mode == Mode::training ? 1 : 0);
  return r;
}

/// Relative to the largest of a tensor: a gradient is a sum that cancels, its small elements carry the large ones' rounding.
void expect_close(const Result& a, const Result& b, double tolerance) {
  ASSERT_EQ(a.values.size(), b.values.size());
  for (std::size_t i = 0; i < a.values.size(); ++i) {
    const auto& [name, x] = a.values[i];
    const auto& y = b.values[i].second;
    ASSERT_EQ(x.size(), y.size()) << name;
    double largest = 0, worst = 0;
    for (std::size_t j = 0; j < x.size(); ++j) largest = std::max(largest, std::abs(x[j])), worst = std::max(worst, std::abs(x[j] - y[j]));
    EXPECT_LE(worst, tolerance * std::max(largest, 1e-3)) << name;
    if (name == "y" || name == "dx") {
      EXPECT_GT(largest, 0.1) << name;   // something flowed
    }
  }
}

class FusedEqualsUnfused : public ::testing::TestWithParam<Mode> {};

// float32: sums of at most 96 rows and 45 taps in another order, 6 layers deep: some 100 roundings of 6e-8.
TEST_P(FusedEqualsUnfused, Float32OnCpu) {
  const Result fused = run(GetParam(), false, DType::f32, Device::cpu), unfused = run(GetParam(), true, DType::f32, Device::cpu);
  EXPECT_EQ(fused.fused, GetParam() != Mode::evaluation);
  EXPECT_FALSE(unfused.fused);
  expect_close(fused, unfused, 1e-5);
}

TEST_P(FusedEqualsUnfused, Float64OnReference) {
  expect_close(run(GetParam(), false, DType::f64, Device::reference), run(GetParam(), true, DType::f64, Device::reference), 1e-13);
}

// And Cpu against Reference, both fused, as whole networks.
TEST_P(FusedEqualsUnfused, CpuEqualsReference) {
  expect_close(run(GetParam(), false, DType::f32, Device::cpu), run(GetParam(), false, DType::f64, Device::reference), 1e-5);
}

INSTANTIATE_TEST_SUITE_P(Modes, FusedEqualsUnfused, ::testing::Values(Mode::training, Mode::frozen, Mode::evaluation),
                         [](const auto& mode) {
                           return mode.param == Mode::training ? "Training" : mode.param == Mode::frozen ? "Frozen" : "Evaluation";
                         });

TEST(ConvNormAct, AHookOnTheNormSeesItsOutputBeforeTheActivation) {
  Block block({});
  double smallest = 0;
  const auto handle = block.bn1.on_forward([&](const Module& m, const Variable& x, const Variable& y) {
    EXPECT_EQ(m.path(), "bn1");
    EXPECT_EQ(x.shape(), y.shape());
    for (const double v : y.value().to_vector<double>()) smallest = std::min(smallest, v);
  });
  block(Variable(Tensor::randn({2, 8, 8, 3}, RandomKey{.seed = 1})));
  EXPECT_LT(smallest, 0);
}

TEST(ConvNormAct, AConvolutionWithBiasRunsUnfused) {
  Conv2d conv({.in = 2, .out = 3, .kernel = 1});
  BatchNorm2d bn({.channels = 3});
  conv.parameters()[1].second->value.assign(Tensor::full({3}, 100));
  const Variable x(Tensor::randn({2, 3, 3, 2}, RandomKey{.seed = 1}));
  EXPECT_EQ(conv_norm_act(x, conv, bn).cell()->activated, nullptr);
  EXPECT_NEAR(bn.running_mean().to_vector<double>()[0], 0.1 * 100, 1);   // the bias reached the norm
}

std::string message_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const ShapeError& e) {
    return e.what();
  }
  return "no ShapeError";
}

TEST(ConvNormAct, ErrorsNameTheLayerFusedOrNot) {
  Sequential net;
  auto& block = net.add<Sequential>().add<Block>();
  const Variable grey(Tensor::zeros({8, 14, 14, 1})), pixel(Tensor::zeros({1, 1, 1, 3}));
  for (const bool listen : {false, true}) {
    const auto handle = listen ? block.conv1.on_forward([](const Module&, const Variable&, const Variable&) {}) : Module::HookHandle();
    EXPECT_EQ(message_of([&] { net(grey); }), "0.0.conv1: expected x with 3 channels, got (8, 14, 14, 1)");
    EXPECT_EQ(message_of([&] { net(pixel); }), "0.0.bn1: expected more than one value per channel in training, got (1, 1, 1, 5)");
  }
  EXPECT_EQ(block.bn1.num_batches_tracked(), 0);

  Conv2d conv({.in = 3, .out = 4, .bias = false});
  BatchNorm2d bn({.channels = 5});
  EXPECT_EQ(message_of([&] {
              conv_norm_act(Variable(Tensor::zeros({2, 5, 5, 3})), conv, bn);
            }),
            "BatchNorm2d: expected x with 5 channels, got (2, 3, 3, 4)");
}

}   // namespace
}   // namespace fovea::nn
