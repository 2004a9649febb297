// A few steps of training on a GPU, real or emulated, beside the same on the CPU: the losses follow, and a second run has the same bits.
#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <optional>

#include "autograd/loss.h"
#include "optim/adamw.h"
#include "optim/clip.h"
#include "optim/sgd.h"
#include "tensor/cuda.h"
#include "vision/models/resnet_cifar.h"
#include "vision/models/swin.h"
#include "vision/models/vit.h"
#include "vision/training/evaluate.h"
#include "vision/training/step_graph.h"

namespace fovea::vision {
namespace {

struct Network {
  const char* name;
  std::int64_t size;   // of the pictures
  std::function<std::unique_ptr<Classifier>()> make;
  std::function<std::unique_ptr<optim::Optimizer>(const std::vector<Variable>&)> optimizer;
};
void PrintTo(const Network& n, std::ostream* out) { *out << n.name; }

const ModelOptions kOptions{.classes = 5, .channels = 3, .small_images = true};
std::unique_ptr<optim::Optimizer> sgd(const std::vector<Variable>& p) {
  return std::make_unique<optim::SGD>(p, optim::SGDOptions{.lr = 0.05, .momentum = 0.9, .weight_decay = 1e-3, .nesterov = true});
}

std::unique_ptr<optim::Optimizer> adamw(const std::vector<Variable>& p) {
  return std::make_unique<optim::AdamW>(p, optim::AdamWOptions{.lr = 0.001, .weight_decay = 0.05});
}

// Masks are the same on every device.
const ModelOptions kNoisy{.classes = 5, .channels = 3, .small_images = true, .dropout = 0.1, .stochastic_depth = 0.2};
const ViTConfig kViT{.name = "vit", .patch = 4, .layers = 2, .heads = 2, .width = 32, .size = 8};
const SwinConfig kSwin{.name = "swin", .width = 16, .depths = {2, 1, 1, 1}, .heads = {1, 2, 2, 4}, .window = 3};

const std::vector<Network> kNetworks{
    {"resnet8", 8, [] { return std::make_unique<CifarResNet>(CifarResNetConfig{.name = "resnet8", .n = 1}, kOptions); }, sgd},
    {"vit", 8, [] { return std::make_unique<VisionTransformer>(kViT, kNoisy); }, adamw},
    {"swin", 16, [] { return std::make_unique<SwinTransformer>(kSwin, kOptions); }, adamw},
};

/// A network in training: one step after another, on pictures and labels of the host.
class Training {
 public:
  Training(const Network& n, Device device, DType dtype, bool graph = false) : size_(n.size), device_(device), dtype_(dtype) {
    manual_seed(1);
    network_ = n.make();
    network_->to(DType::f32, device);
    for (auto& [name, p] : network_->parameters()) parameters_.push_back(p->value);
    optimizer_ = n.optimizer(parameters_);
    if (graph) graph_.emplace([this](const Tensor& images, const Tensor& labels) { return pass(images, labels); });
  }
  Tensor step(std::int64_t number) {   // its loss
    constexpr std::int64_t kBatch = 4;
    const RandomKey key{.seed = 5, .stream = std::uint64_t(number)};
    const Tensor images = Tensor::randn({kBatch, size_, size_, 3}, key, DType::f32, Device::cpu).to(dtype_);
    const Tensor labels = Tensor::from<std::int64_t>({number % 5, 1, 2, 3}, {kBatch});
    const StepOutput output = graph_ ? (*graph_)(images, labels) : pass(images.to(device_), labels);
    optim::clip_norm(optimizer_->arena(), 1);
    optimizer_->set_lr(0.9 * optimizer_->lr());
    optimizer_->step();
    return output.loss;
  }
  std::vector<float> parameters() const {
    std::vector<float> all;
    for (const Variable& p : parameters_)
      for (const float v : p.value().to_vector<float>()) all.push_back(v);
    return all;
  }

 private:
  StepOutput pass(const Tensor& images, const Tensor& labels) {
    optimizer_->zero_grad();
    const Variable logits = (*network_)(Variable(images)), loss = cross_entropy(logits, labels, {.label_smoothing = 0.1});
    loss.backward();
    return {.loss = loss.value(), .predicted = predicted_classes(logits.value())};
  }

  std::int64_t size_;
  Device device_;
  DType dtype_;
  std::unique_ptr<Classifier> network_;
  std::vector<Variable> parameters_;
  std::unique_ptr<optim::Optimizer> optimizer_;
  std::optional<StepGraph> graph_;
};

struct Result {
  std::vector<double> losses;
  std::vector<float> parameters;
};
Result train(const Network& n, Device device, DType dtype, bool graph = false) {
  Training training(n, device, dtype, graph);
  std::vector<Tensor> losses;
  for (int step = 0; step < 3; ++step) losses.push_back(training.step(step));
  Result r;
  for (const Tensor& loss : losses) r.losses.push_back(loss.item());
  r.parameters = training.parameters();
  return r;
}

class CudaTraining : public testing::TestWithParam<Network> {
 protected:
  void SetUp() override {
    if (!cuda_available()) GTEST_SKIP() << "no GPU";
  }
  static void check(const Network& n, DType dtype, double tolerance) {
    const Result truth = train(n, Device::cpu, dtype), got = train(n, Device::cuda, dtype), again = train(n, Device::cuda, dtype);
    for (std::size_t i = 0; i < truth.losses.size(); ++i) EXPECT_NEAR(got.losses[i], truth.losses[i], tolerance) << "step " << i;
    EXPECT_EQ(got.losses, again.losses);
    EXPECT_EQ(std::memcmp(got.parameters.data(), again.parameters.data(), got.parameters.size() * sizeof(float)), 0);
  }
};

TEST_P(CudaTraining, FollowsTheCpuInFloat32) { check(GetParam(), DType::f32, 1e-4); }
TEST_P(CudaTraining, FollowsTheCpuInBfloat16) { check(GetParam(), DType::bf16, 2e-2); }

TEST_P(CudaTraining, ReplayedStepsHaveTheBitsOfEagerOnes) {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const Result eager = train(GetParam(), Device::cuda, dtype), replayed = train(GetParam(), Device::cuda, dtype, true);
    EXPECT_EQ(eager.losses, replayed.losses) << name_of(dtype);
    EXPECT_EQ(std::memcmp(eager.parameters.data(), replayed.parameters.data(), eager.parameters.size() * sizeof(float)), 0)
        << name_of(dtype);
  }
}

/// Where streams are as late as they may be, what is queued first is done when somebody waits, and not before.
TEST_P(CudaTraining, TheHostDoesNotWaitInAStep) {
  kernels::CudaDevice& device = cuda_device();
  if (!device.facts().emulated) GTEST_SKIP() << "a card may be faster than the host";
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "here memory goes back to the device at once, which waits";
#endif
  Training training(GetParam(), Device::cuda, DType::f32);
  training.step(0);   // takes memory from the device
  cuda_synchronize();
  CUevent_st* const before = device.make_event();
  Tensor first = Tensor::zeros({1}, DType::f32, Device::cuda);
  device.record(before, cuda());
  const Tensor loss = training.step(1);
  EXPECT_FALSE(device.reached(before));
  EXPECT_GT(loss.item(), 0);
  EXPECT_TRUE(device.reached(before));
  device.destroy(before);
}

INSTANTIATE_TEST_SUITE_P(Networks, CudaTraining, testing::ValuesIn(kNetworks), [](const auto& p) { return std::string(p.param.name); });

}   // namespace
}   // namespace fovea::vision
