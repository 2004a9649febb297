// Ten steps of training follow PyTorch's, loss by loss: convolution, batch norm, shortcuts, cross-entropy with label smoothing,
// their gradients and SGD all have to mean the same. The other half of this file is tests/parity/resnet_steps.py.
#include <gtest/gtest.h>

#include <cmath>

#include "autograd/loss.h"
#include "nn/state.h"
#include "optim/sgd.h"
#include "tests/parity/resnet_steps.inc"
#include "vision/models/models.h"

namespace fovea::vision {
namespace {

constexpr std::int64_t kSteps = 10, kBatch = 6, kSize = 13, kClasses = 10;

/// Multiples of 2^-16 in [-1/2, 1/2): MurmurHash3's 32-bit finaliser of (tensor, index). Times `factor`, plus `offset`.
Tensor numbers(std::uint32_t tensor, Shape shape, double factor, double offset = 0) {
  std::vector<double> out;
  for (std::int64_t i = 0; i < shape.elements(); ++i) {
    std::uint32_t h = static_cast<std::uint32_t>(i) + 1 + 0x9E3779B9u * (tensor + 1);
    h = (h ^ (h >> 16)) * 0x85EBCA6Bu;
    h = (h ^ (h >> 13)) * 0xC2B2AE35u;
    h ^= h >> 16;
    out.push_back(offset + factor * ((h >> 16) / 65536. - 0.5));
  }
  return Tensor::from(out, shape, Device::reference);
}

/// The power of two s with s^2 / 12 (the variance of s * numbers) at or just below 2 / fan_in.
double weight_scale(std::int64_t fan_in) {
  double s = 8;
  while (s * s * static_cast<double>(fan_in) > 24) s /= 2;
  return s;
}

/// Through a state dictionary, so that the numbers are in PyTorch's order: (out, in, height, width).
void initialise(nn::Module& net) {
  TensorFile file = nn::state_dict(net);
  std::map<std::string, std::uint32_t> number;
  for (const auto& [name, p] : net.parameters()) number.emplace(name, number.size());
  for (auto& [name, t] : file.tensors) {
    if (!number.count(name)) continue;   // a buffer
    if (t.rank() > 1)
      t = numbers(number[name], t.shape(), weight_scale(t.elements() / t.dim(0)));
    else if (name.ends_with("bias"))
      t = numbers(number[name], t.shape(), 0.5);
    else   // a norm's
      t = numbers(number[name], t.shape(), 0.5, 1);
  }
  const nn::LoadReport report = nn::load_state_dict(net, file);
  ASSERT_TRUE(report.complete()) << report.str();
}

/// The losses of ten steps, then that of batch 0 in evaluation mode.
std::vector<double> train(DType dtype, Device device) {
  const auto net = build("resnet8_mnist", {.classes = kClasses, .channels = 1});
  net->to(dtype, device);
  initialise(*net);
  std::vector<Variable> parameters;
  for (const auto& [name, p] : net->parameters()) parameters.push_back(p->value);
  optim::SGD optimizer(parameters, {.lr = 0.01, .momentum = 0.9, .weight_decay = 5e-3, .nesterov = true});

  const auto loss_of = [&](std::int64_t batch) {
    const Tensor pictures = numbers(static_cast<std::uint32_t>(1000 + batch), {kBatch, kSize, kSize, 1}, 4).to(dtype).to(device);
    std::vector<std::int64_t> labels;
    for (std::int64_t i = 0; i < kBatch; ++i) labels.push_back((7 * i + 3 * batch) % kClasses);
    return cross_entropy((*net)(pictures), Tensor::from(labels, {kBatch}, device), {.label_smoothing = 0.1});
  };
  std::vector<double> losses;
  for (std::int64_t step = 0; step < kSteps; ++step) {   // two batches in turn
    const Variable loss = loss_of(step % 2);
    losses.push_back(loss.item());
    optimizer.zero_grad();
    loss.backward();
    optimizer.step();
  }
  net->eval();   // the running statistics
  losses.push_back(loss_of(0).item());
  return losses;
}

/// The largest relative difference.
template <std::size_t N> double difference(const std::vector<double>& losses, const double (&expected)[N]) {
  EXPECT_EQ(losses.size(), N);
  double most = 0;
  for (std::size_t i = 0; i < N; ++i) most = std::max(most, std::abs(losses[i] / expected[i] - 1));
  return most;
}

TEST(Parity, Float64OnReferenceFollowsPyTorch) {
  // Both sum in double, in another order: about 1e-16 a sum, amplified by ten steps.
  EXPECT_LE(difference(train(DType::f64, Device::reference), kLossesFloat64), 1e-9);
}

TEST(Parity, Float32OnCpuFollowsPyTorch) {
  // PyTorch's own float32 losses are within 3e-7 of its float64 ones.
  EXPECT_LE(difference(train(DType::f32, Device::cpu), kLossesFloat32), 1e-4);
}

TEST(Parity, Float32OnReferenceFollowsPyTorch) { EXPECT_LE(difference(train(DType::f32, Device::reference), kLossesFloat32), 1e-4); }

}   // namespace
}   // namespace fovea::vision
