// Every optimiser against PyTorch's numbers: ten steps with missing gradients, a rate that changes, groups; state; threads;
// options out of range.
#include <functional>
#include <memory>

#include "kernels/parallel.h"
#include "optim/adam.h"
#include "optim/adamw.h"
#include "optim/lamb.h"
#include "optim/lars.h"
#include "optim/rmsprop.h"
#include "optim/sgd.h"
#include "problem.h"
#include "pytorch_numbers.h"

namespace fovea::optim {
namespace {

using Make = std::function<std::unique_ptr<Optimizer>(const Parameters&)>;
template <class O, class Options> Make make(const Options& options) {
  return [=](const Parameters& p) { return std::make_unique<O>(p, options); };
}

struct Variant {
  const char* name;
  Make make;
  double lr;
  const std::vector<double>& expected;
  int parameters = 2;
  bool b_apart = false;   // b has no decay, no ratio, 0.3 times the rate

  Parameters parameters_of(const Problem& problem) const {
    Parameters p(problem.named());
    if (b_apart) p.weight_decay(0, is_named({"b"})).scale_lr(0.3, is_named({"b"})).no_trust_ratio(is_named({"b"}));
    return p;
  }
};

constexpr SGDOptions kSgd{.lr = 0.1, .momentum = 0.9, .weight_decay = 0.05};
constexpr LARSOptions kLars{.lr = 0.1, .weight_decay = 0.05, .trust_coefficient = 0.02};
constexpr LARSOptions kLarsNesterov{.lr = 0.1, .weight_decay = 0.05, .trust_coefficient = 0.02, .nesterov = true};
constexpr LAMBOptions kLamb{.lr = 0.1, .weight_decay = 0.05};
constexpr RMSpropOptions kRmspropOptions{.lr = 0.01, .alpha = 0.9, .eps = 1e-3, .weight_decay = 0.05, .momentum = 0.9, .centered = true};
constexpr RMSpropOptions kTensorflow{.lr = 0.1, .alpha = 0.9, .eps = 1e-3, .form = RMSpropForm::tensorflow};
constexpr RMSpropOptions kTensorflowOptions{
    .lr = 0.1, .alpha = 0.9, .eps = 1e-3, .weight_decay = 0.05, .momentum = 0.9, .centered = true, .form = RMSpropForm::tensorflow};

const std::vector<Variant>& variants() {
  static const std::vector<Variant> list{
      {"sgd", make<SGD>(SGDOptions{.lr = 0.1}), 0.1, pytorch::sgd_plain},
      {"sgd momentum", make<SGD>(SGDOptions{.lr = 0.1, .momentum = 0.9}), 0.1, pytorch::sgd_momentum},
      {"sgd dampening", make<SGD>(SGDOptions{.lr = 0.1, .momentum = 0.8, .dampening = 0.3}), 0.1, pytorch::sgd_dampening},
      {"sgd weight decay", make<SGD>(SGDOptions{.lr = 0.1, .weight_decay = 0.05}), 0.1, pytorch::sgd_weight_decay},
      {"sgd nesterov", make<SGD>(SGDOptions{.lr = 0.1, .momentum = 0.9, .weight_decay = 0.05, .nesterov = true}), 0.1,
       pytorch::sgd_nesterov},
      {"sgd groups", make<SGD>(kSgd), 0.1, pytorch::sgd_groups, 3, true},
      {"adam", make<Adam>(AdamOptions{.lr = 0.1}), 0.1, pytorch::adam},
      {"adam options", make<Adam>(AdamOptions{.lr = 0.1, .beta1 = 0.8, .beta2 = 0.95, .eps = 1e-3, .weight_decay = 0.05}), 0.1,
       pytorch::adam_options},
      {"adamw", make<AdamW>(AdamWOptions{.lr = 0.1, .weight_decay = 0.05}), 0.1, pytorch::adamw},
      {"adamw options", make<AdamW>(AdamWOptions{.lr = 0.1, .beta1 = 0, .beta2 = 0.95, .eps = 1e-3, .weight_decay = 0.3}), 0.1,
       pytorch::adamw_options},
      {"adamw groups", make<AdamW>(AdamWOptions{.lr = 0.1, .weight_decay = 0.05}), 0.1, pytorch::adamw_groups, 3, true},
      {"rmsprop", make<RMSprop>(RMSpropOptions{.lr = 0.1}), 0.1, pytorch::rmsprop},
      {"rmsprop options", make<RMSprop>(kRmspropOptions), 0.01, pytorch::rmsprop_options},
      {"rmsprop groups", make<RMSprop>(RMSpropOptions{.lr = 0.1, .weight_decay = 0.05}), 0.1, pytorch::rmsprop_groups, 3, true},
      {"rmsprop tensorflow", make<RMSprop>(kTensorflow), 0.1, pytorch::rmsprop_tensorflow},
      {"rmsprop tensorflow options", make<RMSprop>(kTensorflowOptions), 0.1, pytorch::rmsprop_tensorflow_options},
      {"lars", make<LARS>(kLars), 0.1, pytorch::lars},
      {"lars nesterov", make<LARS>(kLarsNesterov), 0.1, pytorch::lars_nesterov},
      {"lars groups", make<LARS>(kLars), 0.1, pytorch::lars_groups, 3, true},
      {"lamb", make<LAMB>(kLamb), 0.1, pytorch::lamb},
      {"lamb options", make<LAMB>(LAMBOptions{.lr = 0.1, .beta1 = 0.8, .beta2 = 0.95, .eps = 1e-3, .weight_decay = 0.3}), 0.1,
       pytorch::lamb_options},
      {"lamb groups", make<LAMB>(kLamb), 0.1, pytorch::lamb_groups, 3, true},
  };
  return list;
}

void expect_pytorch(DType dtype, Device device, double tolerance) {
  for (const Variant& v : variants()) {
    Problem problem(dtype, device, v.parameters);
    const auto optimizer = v.make(v.parameters_of(problem));
    for (int t = 0; t < 10; ++t) problem.step(*optimizer, v.lr, t);
    expect_near(problem.values(), v.expected, tolerance, v.name);
    EXPECT_EQ(optimizer->steps(), 10);
  }
}

// The same operations in another order at most; where a quotient of small numbers takes part (the first steps of a centred mean
// square), a rounding of 1e-16 grows.
TEST(Optimizers, TenStepsAsPyTorchInDouble) { expect_pytorch(DType::f64, Device::reference, 1e-12); }
TEST(Optimizers, TenStepsAsPyTorchInFloat) {
  expect_pytorch(DType::f32, Device::cpu, 2e-6);
  expect_pytorch(DType::f32, Device::reference, 2e-6);
}

TEST(Optimizers, StateContinuesBitForBit) {
  for (const Variant& v : variants())
    for (const int at : {1, 4, 7}) {
      Problem through(DType::f32, Device::cpu, v.parameters);
      const auto optimizer = v.make(v.parameters_of(through));
      for (int t = 0; t < at; ++t) through.step(*optimizer, v.lr, t);
      const State state = optimizer->state();
      Problem resumed(DType::f32, Device::cpu, v.parameters);
      for (std::size_t i = 0; i < through.parameters.size(); ++i) resumed.parameters[i].assign(through.parameters[i].value());
      const auto other = v.make(v.parameters_of(resumed));
      other->load_state(state);
      for (int t = at; t < 10; ++t) through.step(*optimizer, v.lr, t), resumed.step(*other, v.lr, t);
      EXPECT_EQ(through.values(), resumed.values()) << v.name;
      EXPECT_EQ(other->steps(), 10);
    }
}

TEST(Optimizers, RejectStateOfAnother) {
  for (const Variant& v : variants()) {
    Problem problem(DType::f32, Device::cpu, v.parameters);
    const auto optimizer = v.make(v.parameters_of(problem));
    State state = optimizer->state();
    EXPECT_NO_THROW(optimizer->load_state(state)) << v.name;
    state.back().second = Tensor::zeros({7});
    EXPECT_THROW(optimizer->load_state(state), ShapeError) << v.name;
    Problem more(DType::f32, Device::cpu, 5 - v.parameters);
    EXPECT_THROW(optimizer->load_state(v.make(v.parameters_of(more))->state()), ShapeError) << v.name;
  }
}

TEST(Optimizers, SameBitsForAnyNumberOfThreads) {
  const int before = kernels::threads();
  for (const Variant& v : variants()) {
    std::vector<float> expected;
    for (const int threads : {1, 2, 3, 7}) {
      kernels::set_threads(threads);
      // More than one piece of a tensor, and a tensor that ends inside of 16 lanes.
      std::vector<Variable> parameters;
      for (const std::int64_t n : {50003, 17, 20000}) parameters.emplace_back(Tensor::randn({n}, RandomKey{.seed = 3}), true);
      const auto optimizer = v.make(Parameters(parameters));
      std::vector<float> got;
      for (std::uint64_t t = 0; t < 3; ++t) {
        optimizer->zero_grad();
        for (Variable& p : parameters) dot(p, Tensor::randn(p.shape(), RandomKey{.seed = 10 + t})).backward();
        optimizer->step();
      }
      for (const Variable& p : parameters)
        for (const float x : p.value().to_vector<float>()) got.push_back(x);
      if (threads == 1) expected = got;
      EXPECT_EQ(got, expected) << v.name << " with " << threads << " threads";
    }
  }
  kernels::set_threads(before);
}

TEST(Optimizers, TrustRatioIsOneWithoutWeights) {
  for (const Make& m : {make<LARS>(LARSOptions{.lr = 0.5, .momentum = 0}), make<LAMB>(LAMBOptions{.lr = 0.5, .weight_decay = 0})}) {
    std::vector<Variable> w{Variable(Tensor::zeros({3}), true), Variable(Tensor::full({3}, 1), true)};
    const auto optimizer = m(Parameters(w));
    dot(w[0], Tensor::full({3}, 1)).backward();
    dot(w[1], Tensor::zeros({3})).backward();
    optimizer->step();
    for (const double x : w[0].value().to_vector<double>()) EXPECT_NEAR(x, -0.5, 1e-5);   // 0 moves by the plain step
    for (const double x : w[1].value().to_vector<double>()) EXPECT_EQ(x, 1);              // no gradient: no NaN
  }
}

TEST(Optimizers, RejectOptionsOutOfRange) {
  const Problem problem(DType::f64, Device::reference);
  const Parameters p(problem.parameters);
  const auto adam = [&](AdamOptions o) { Adam a(p, o); };
  EXPECT_THROW(adam({.lr = -1}), ShapeError);
  EXPECT_THROW(adam({.beta1 = 1}), ShapeError);
  EXPECT_THROW(adam({.beta1 = -0.1}), ShapeError);
  EXPECT_THROW(adam({.beta2 = NAN}), ShapeError);
  EXPECT_THROW(adam({.eps = 0}), ShapeError);
  EXPECT_THROW(adam({.weight_decay = -1}), ShapeError);
  EXPECT_THROW(AdamW(p, {.beta2 = 1.5}), ShapeError);
  const auto rmsprop = [&](RMSpropOptions o) { RMSprop r(p, o); };
  EXPECT_THROW(rmsprop({.alpha = 1}), ShapeError);
  EXPECT_THROW(rmsprop({.eps = 0}), ShapeError);
  EXPECT_THROW(rmsprop({.momentum = -1}), ShapeError);
  const auto lars = [&](LARSOptions o) { LARS l(p, o); };
  EXPECT_THROW(lars({.lr = 1, .momentum = -1}), ShapeError);
  EXPECT_THROW(lars({.lr = 1, .trust_coefficient = 0}), ShapeError);
  EXPECT_THROW(lars({.lr = 1, .eps = -1}), ShapeError);
  EXPECT_THROW(lars({.lr = 1, .momentum = 0, .nesterov = true}), ShapeError);
  EXPECT_THROW(LAMB(p, {.beta1 = 1}), ShapeError);
  EXPECT_THROW(LAMB(p, {.eps = 0}), ShapeError);
  try {
    adam({.beta1 = 1});
  } catch (const ShapeError& e) {
    EXPECT_STREQ(e.what(), "adam: expected beta1 in [0, 1), got 1");
  }
}

}   // namespace
}   // namespace fovea::optim
