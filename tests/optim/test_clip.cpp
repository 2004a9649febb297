// Clipping: ten steps with each kind against PyTorch's functions (timm's for the adaptive one), norms that are no numbers, who is spared.
#include "optim/clip.h"

#include <functional>
#include <limits>

#include "kernels/parallel.h"
#include "optim/sgd.h"
#include "problem.h"
#include "pytorch_numbers.h"

namespace fovea::optim {
namespace {

std::vector<double> clipped_training(DType dtype, Device device, const std::function<void(Arena&)>& clip) {
  Problem problem(dtype, device, 3);
  SGD sgd(problem.parameters, {.lr = 0.1});
  for (int t = 0; t < 10; ++t) {
    sgd.set_lr(t > 5 ? 0.05 : 0.1);
    sgd.zero_grad();
    problem.backward(t);
    clip(sgd.arena());
    sgd.step();
  }
  return problem.values();
}

void expect_pytorch(DType dtype, Device device, double tolerance) {
  std::vector<double> norms;
  const auto norm = clipped_training(dtype, device, [&](Arena& a) { norms.push_back(clip_norm(a, 1.5).item()); });
  expect_near(norm, pytorch::clipped_norm, tolerance, "norm");
  expect_near(norms, pytorch::norms, 4 * tolerance, "returned");
  expect_near(clipped_training(dtype, device, [](Arena& a) { clip_value(a, 0.6); }), pytorch::clipped_value, tolerance, "value");
  expect_near(clipped_training(dtype, device, [](Arena& a) { clip_adaptive(a, {.limit = 1.1, .eps = 0.4}); }), pytorch::clipped_adaptive,
              tolerance, "adaptive");
}

TEST(Clip, AsPyTorchInDouble) { expect_pytorch(DType::f64, Device::reference, 1e-13); }
TEST(Clip, AsPyTorchInFloat) {
  expect_pytorch(DType::f32, Device::cpu, 2e-6);
  expect_pytorch(DType::f32, Device::reference, 2e-6);
}

struct OneGradient {
  std::vector<Variable> w;
  Arena arena;
  OneGradient(const std::vector<float>& weights, const std::vector<float>& gradient)
      : w{Variable(Tensor::from<float>(weights, {std::ssize(weights)}), true)}, arena(w) {
    dot(w[0], Tensor::from<float>(gradient, {std::ssize(gradient)})).backward();
  }
  std::vector<float> gradient() const { return w[0].grad().to_vector<float>(); }
};

TEST(Clip, LeavesShortGradientsBitForBit) {
  OneGradient g({0, 0}, {3, 4});
  EXPECT_EQ(clip_norm(g.arena, 5.1).item(), 5);
  EXPECT_EQ(g.gradient(), (std::vector<float>{3, 4}));
  EXPECT_EQ(clip_norm(g.arena, std::numeric_limits<double>::infinity()).item(), 5);
  EXPECT_EQ(g.gradient(), (std::vector<float>{3, 4}));
  clip_norm(g.arena, 1);
  EXPECT_NEAR(clip_norm(g.arena, 100).item(), 1, 1e-5);
}

TEST(Clip, WithoutGradientsTheNormIsZero) {
  std::vector<Variable> w{Variable(Tensor::full({3}, 1), true)};
  Arena arena(w);
  EXPECT_EQ(clip_norm(arena, 1).item(), 0);
  clip_value(arena, 1);
  clip_adaptive(arena);
}

TEST(Clip, NonFiniteNorms) {
  const float inf = std::numeric_limits<float>::infinity();
  OneGradient g({0, 0}, {3, inf});
  EXPECT_THROW(clip_norm(g.arena, 1, NonFinite::error), Error);
  EXPECT_EQ(clip_norm(g.arena, 1, NonFinite::keep).item(), inf);
  EXPECT_EQ(g.gradient(), (std::vector<float>{3, inf}));
  EXPECT_EQ(clip_norm(g.arena, 1).item(), inf);   // as PyTorch: times 0
  EXPECT_EQ(g.gradient()[0], 0);
  EXPECT_TRUE(std::isnan(g.gradient()[1]));
  OneGradient n({0, 0}, {3, NAN});
  EXPECT_TRUE(std::isnan(clip_norm(n.arena, 1).item()));
  EXPECT_TRUE(std::isnan(n.gradient()[0]));
  OneGradient v({0, 0, 0}, {-inf, NAN, inf});
  clip_value(v.arena, 2);
  EXPECT_EQ(v.gradient()[0], -2);
  EXPECT_TRUE(std::isnan(v.gradient()[1]));
  EXPECT_EQ(v.gradient()[2], 2);
}

TEST(Clip, AdaptiveSparesWhoAsksForIt) {
  for (const bool spared : {false, true}) {
    std::vector<std::pair<std::string, Variable>> named{{"fc.weight", Variable(Tensor::full({2, 3}, 1), true)}};
    Parameters parameters(named);
    if (spared) parameters.no_adaptive_clipping(starts_with({"fc."}));
    Arena arena(parameters);
    dot(named[0].second, Tensor::full({2, 3}, 1)).backward();
    clip_adaptive(arena);
    for (const double x : named[0].second.grad().to_vector<double>()) EXPECT_NEAR(x, spared ? 1 : 0.01, 1e-7);
  }
}

TEST(Clip, NormHasTheSameBitsForAnyNumberOfThreads) {
  const int before = kernels::threads();
  std::vector<Variable> w;
  for (const std::int64_t n : {70001, 5, 30000}) w.emplace_back(Tensor::zeros({n}), true);
  Arena arena(w);
  for (Variable& p : w) dot(p, Tensor::randn(p.shape(), RandomKey{.seed = 5})).backward();
  kernels::set_threads(1);
  const double norm = clip_norm(arena, INFINITY).item();
  EXPECT_NEAR(norm, std::sqrt(100006.0), 2);
  for (const int threads : {2, 3, 7}) {
    kernels::set_threads(threads);
    EXPECT_EQ(clip_norm(arena, INFINITY).item(), norm);
  }
  kernels::set_threads(before);
}

TEST(Clip, RejectsLimitsOutOfRange) {
  OneGradient g({0, 0}, {3, 4});
  EXPECT_THROW(clip_norm(g.arena, 0), ShapeError);
  EXPECT_THROW(clip_norm(g.arena, NAN), ShapeError);
  EXPECT_THROW(clip_value(g.arena, -1), ShapeError);
  EXPECT_THROW(clip_adaptive(g.arena, {.limit = 0}), ShapeError);
  EXPECT_THROW(clip_adaptive(g.arena, {.eps = 0}), ShapeError);
}

}   // namespace
}   // namespace fovea::optim
