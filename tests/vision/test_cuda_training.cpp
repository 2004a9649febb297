// A few steps of training on a GPU, real or emulated, beside the same on the CPU: the losses follow, and a second run has the same bits.
#include <gtest/gtest.h>

#include <cstring>

#include "autograd/loss.h"
#include "optim/adamw.h"
#include "optim/clip.h"
#include "optim/sgd.h"
#include "tensor/cuda.h"
#include "vision/models/resnet_cifar.h"
#include "vision/models/swin.h"
#include "vision/models/vit.h"

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

const ViTConfig kViT{.name = "vit", .patch = 4, .layers = 2, .heads = 2, .width = 32, .size = 8};
const SwinConfig kSwin{.name = "swin", .width = 16, .depths = {2, 1, 1, 1}, .heads = {1, 2, 2, 4}, .window = 3};

const std::vector<Network> kNetworks{
    {"resnet8", 8, [] { return std::make_unique<CifarResNet>(CifarResNetConfig{.name = "resnet8", .n = 1}, kOptions); }, sgd},
    {"vit", 8, [] { return std::make_unique<VisionTransformer>(kViT, kOptions); }, adamw},
    {"swin", 16, [] { return std::make_unique<SwinTransformer>(kSwin, kOptions); }, adamw},
};

/// What is compared bit by bit: every loss, then the parameters after the last step.
struct Result {
  std::vector<double> losses;
  std::vector<float> parameters;
};
Result train(const Network& n, Device device, DType dtype) {
  constexpr int kSteps = 3;
  constexpr std::int64_t kBatch = 4;
  manual_seed(1);
  const auto net = n.make();
  net->to(DType::f32, device);
  std::vector<Variable> parameters;
  for (auto& [name, p] : net->parameters()) parameters.push_back(p->value);
  const auto optimizer = n.optimizer(parameters);
  Result run;
  std::vector<Tensor> losses;
  for (int step = 0; step < kSteps; ++step) {
    const Tensor x =
        Tensor::randn({kBatch, n.size, n.size, 3}, RandomKey{.seed = 5, .stream = std::uint64_t(step)}, DType::f32, Device::cpu);
    optimizer->zero_grad();
    const Variable loss = cross_entropy((*net)(Variable(x.to(dtype).to(device))), Tensor::from<std::int64_t>({0, 1, 2, 3}, {kBatch}),
                                        {.label_smoothing = 0.1});
    loss.backward();
    optim::clip_norm(optimizer->arena(), 1);
    optimizer->step();
    losses.push_back(loss.value());
  }
  for (const Tensor& loss : losses) run.losses.push_back(loss.item());
  for (const Variable& p : parameters)
    for (const float v : p.value().to_vector<float>()) run.parameters.push_back(v);
  return run;
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

INSTANTIATE_TEST_SUITE_P(Networks, CudaTraining, testing::ValuesIn(kNetworks), [](const auto& p) { return std::string(p.param.name); });

}   // namespace
}   // namespace fovea::vision
