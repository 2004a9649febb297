// What every optimiser shares, on SGD: the arena, skipping, state. (test_optimizers.cpp has the numbers.)
#include "optim/sgd.h"
#include "problem.h"

namespace fovea::optim {
namespace {

TEST(SGD, SkipsParametersWithoutGradient) {
  Problem problem(DType::f64, Device::reference);
  SGD sgd(problem.parameters, {.lr = 0.1, .momentum = 0.9, .weight_decay = 0.1});
  problem.backward(0, 0);
  problem.backward(1, 0);
  sgd.step();   // from here on the arena holds a stale gradient of b
  sgd.zero_grad();
  const auto before = problem.parameters[1].value().clone();
  const State state = sgd.state();
  const auto version_w = problem.parameters[0].version(), version_b = problem.parameters[1].version();
  problem.backward(0, 1);
  sgd.step();
  EXPECT_EQ(problem.parameters[1].value().to_vector<double>(), before.to_vector<double>());
  EXPECT_EQ(sgd.state()[3].second.to_vector<double>(), state[3].second.to_vector<double>());
  EXPECT_NE(sgd.state()[2].second.to_vector<double>(), state[2].second.to_vector<double>());
  EXPECT_GT(problem.parameters[0].version(), version_w);
  EXPECT_EQ(problem.parameters[1].version(), version_b);
  sgd.zero_grad();
  sgd.step();   // nobody has one
  EXPECT_EQ(problem.parameters[0].version(), version_w + 1);
}

TEST(SGD, RejectsStateThatDoesNotFit) {
  Problem problem(DType::f64, Device::reference);
  SGD sgd(problem.parameters, {.lr = 0.1, .momentum = 0.9});
  problem.step(sgd, 0.1, 1);
  const State good = sgd.state();
  std::vector<State> bad(5, good);
  bad[0].pop_back();
  bad[1][2].first = "momentum.7";
  bad[2][2].second = Tensor::zeros({6}, DType::f64);
  bad[3][3].second = Tensor::zeros({5}, DType::f32);
  bad[4][1].second = Tensor::from<std::int64_t>({1, 2}, {2});   // more updates than steps
  bad.push_back(SGD(Problem(DType::f64, Device::reference).parameters, {.lr = 0.1}).state());
  for (const State& state : bad) EXPECT_THROW(sgd.load_state(state), ShapeError);
  for (std::size_t i = 0; i < good.size(); ++i)
    EXPECT_EQ(sgd.state()[i].second.to_vector<double>(), good[i].second.to_vector<double>()) << "changed by a failed load";
  EXPECT_NO_THROW(sgd.load_state(good));
}

TEST(SGD, RejectsOptionsOutOfRange) {
  const Problem problem(DType::f64, Device::reference);
  const auto make = [&](const SGDOptions& o) { SGD(problem.parameters, o); };
  EXPECT_THROW(make({.lr = -0.1}), ShapeError);
  EXPECT_THROW(make({.lr = NAN}), ShapeError);
  EXPECT_THROW(make({.lr = 0.1, .momentum = -1}), ShapeError);
  EXPECT_THROW(make({.lr = 0.1, .weight_decay = -1}), ShapeError);
  EXPECT_THROW(make({.lr = 0.1, .nesterov = true}), ShapeError);
  EXPECT_THROW(make({.lr = 0.1, .momentum = 0.9, .dampening = 0.1, .nesterov = true}), ShapeError);
  SGD sgd(problem.parameters, {.lr = 0});
  EXPECT_THROW(sgd.set_lr(-1), ShapeError);
  EXPECT_THROW(sgd.set_lr(INFINITY), ShapeError);
}

TEST(Arena, LaysParametersOutInOneArray) {
  Problem problem(DType::f32, Device::cpu);
  const std::vector<double> values = problem.values();
  Arena arena(problem.parameters);
  EXPECT_EQ(problem.values(), values);
  EXPECT_EQ(arena.values().shape(), (Shape{32}));   // 6 and 5 elements, each rounded up to 16
  EXPECT_TRUE(problem.parameters[0].value().shares_storage(arena.values()));
  EXPECT_EQ(problem.parameters[1].value().raw(), arena.values().slice(16, 32).raw());
  const std::vector<float> flat = arena.values().to_vector<float>();
  for (const int gap : {6, 15, 21, 31}) EXPECT_EQ(flat[static_cast<std::size_t>(gap)], 0.f);
  EXPECT_EQ(arena.range(0, 2).end, 21);
  problem.backward(1, 2);
  EXPECT_EQ(problem.parameters[1].grad().raw(), arena.gradients().slice(16, 32).raw());
}

TEST(Arena, FindsGradientsThatLieElsewhere) {
  Problem a(DType::f64, Device::reference), b(DType::f64, Device::reference);
  SGD sgd_a(a.parameters, {.lr = 0.1}), sgd_b(b.parameters, {.lr = 0.1});
  a.parameters[0].set_requires_grad(false);   // frozen and thawed
  a.parameters[0].set_requires_grad(true);
  for (int t = 0; t < 3; ++t) a.step(sgd_a, 0.1, t), b.step(sgd_b, 0.1, t);
  EXPECT_EQ(a.values(), b.values());
}

TEST(Arena, RejectsWhatItCannotHold) {
  const Problem f64(DType::f64, Device::reference), f32(DType::f32, Device::reference), cpu(DType::f32, Device::cpu);
  const auto make = [](std::vector<Variable> p) { Arena arena(std::move(p)); };
  EXPECT_THROW(make({}), ShapeError);
  EXPECT_THROW(make({Variable()}), ShapeError);
  EXPECT_THROW(make({Variable(Tensor::zeros({3}))}), ShapeError);
  EXPECT_THROW(make({Variable(Tensor::zeros({3}, DType::bf16), true)}), ShapeError);
  EXPECT_THROW(make({f64.parameters[0], f32.parameters[0]}), ShapeError);
  EXPECT_THROW(make({cpu.parameters[0], f32.parameters[0]}), ShapeError);
  EXPECT_THROW(make({f64.parameters[0], f64.parameters[0]}), ShapeError);
}

TEST(Arena, NoticesAnotherOptimiser) {
  Problem problem(DType::f64, Device::reference);
  SGD first(problem.parameters, {.lr = 0.1}), second(problem.parameters, {.lr = 0.1});
  problem.step(second, 0.1, 1);
  EXPECT_THROW(first.step(), ShapeError);
}

}   // namespace
}   // namespace fovea::optim
