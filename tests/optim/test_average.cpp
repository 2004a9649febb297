// EMA and SWA against loops, swapping, state; running statistics estimated anew; early stopping.
#include "optim/average.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <tuple>

#include "optim/adamw.h"
#include "optim/statistics.h"
#include "problem.h"

namespace fovea::optim {
namespace {

struct Training {
  Problem problem;
  AdamW adamw;
  Tensor running = Tensor::full({2}, 1), count = Tensor::zeros({}, DType::i64);

  Training(DType dtype, Device device)
      : problem(dtype, device, 3), adamw(Parameters(problem.named()).weight_decay(0, is_named({"b"})), {.lr = 0.1}) {}
  void step(int t) {
    problem.step(adamw, 0.1, t);
    running.fill(2 + t);
    ++*count.data<std::int64_t>();
  }
};

struct Case {
  const char* name;
  double (*keep)(double t);   // the part of the average that stays in the update after t others
  std::function<std::unique_ptr<WeightAverage>(Training&, Buffers)> make;
};
const std::vector<Case>& cases() {
  static const std::vector<Case> list{
      {"ema", [](double) { return 0.7; },
       [](Training& r, Buffers b) {
         return std::make_unique<EMA>(r.adamw.arena(), EMAOptions{.decay = 0.7, .buffers = b}, std::vector{r.running, r.count});
       }},
      {"ema with warm-up", [](double t) { return std::min(0.4, (1 + t) / (10 + t)); },
       [](Training& r, Buffers b) {
         return std::make_unique<EMA>(r.adamw.arena(), EMAOptions{.decay = 0.4, .warmup = true, .buffers = b},
                                      std::vector{r.running, r.count});
       }},
      {"swa", [](double t) { return t / (t + 1); },
       [](Training& r, Buffers) {
         return std::make_unique<SWA>(r.adamw.arena(), std::vector{r.running, r.count});
       }},
  };
  return list;
}

TEST(WeightAverage, AsALoop) {
  for (const auto& [dtype, device, tolerance] :
       {std::tuple{DType::f64, Device::reference, 1e-15}, {DType::f32, Device::reference, 2e-7}, {DType::f32, Device::cpu, 2e-7}})
    for (const Case& c : cases()) {
      Training run(dtype, device);
      const auto average = c.make(run, Buffers::average);
      std::vector<double> expected = run.problem.values();
      double buffer = 1;
      for (int t = 0; t < 10; ++t) {
        run.step(t);
        average->update();
        const std::vector<double> w = run.problem.values();
        for (std::size_t i = 0; i < w.size(); ++i) expected[i] = c.keep(t) * expected[i] + (1 - c.keep(t)) * w[i];
        buffer = c.keep(t) * buffer + (1 - c.keep(t)) * (2 + t);
      }
      const std::vector<double> own = run.problem.values();
      const auto version = run.problem.parameters[0].version();
      {
        const Swapped averaged(*average);
        expect_near(run.problem.values(), expected, tolerance, c.name);
        EXPECT_GT(run.problem.parameters[0].version(), version);
        EXPECT_NEAR(run.running.to_vector<double>()[1], std::string(c.name) == "swa" ? 11 : buffer, 1e-6) << c.name;
        EXPECT_EQ(run.count.item(), 10);
        EXPECT_THROW(average->update(), ShapeError);
        EXPECT_THROW(average->state(), ShapeError);
      }
      EXPECT_EQ(run.problem.values(), own);
      EXPECT_EQ(run.running.to_vector<double>()[1], 11);
    }
}

TEST(WeightAverage, BuffersAreCopiedByDefault) {
  Training run(DType::f32, Device::cpu);
  EMA ema(run.adamw.arena(), {.decay = 0.5}, {run.running});
  run.step(0);
  ema.update();
  run.running.fill(77);
  const Swapped averaged(ema);
  EXPECT_EQ(run.running.to_vector<double>()[0], 2);
}

TEST(WeightAverage, StateContinuesBitForBit) {
  for (const Case& c : cases()) {
    Training through(DType::f32, Device::cpu), resumed(DType::f32, Device::cpu);
    const auto average = c.make(through, Buffers::average);
    for (int t = 0; t < 4; ++t) through.step(t), average->update();
    for (std::size_t i = 0; i < 3; ++i) resumed.problem.parameters[i].assign(through.problem.parameters[i].value());
    const auto other = c.make(resumed, Buffers::average);
    other->load_state(average->state());
    resumed.adamw.load_state(through.adamw.state());
    for (int t = 4; t < 10; ++t) through.step(t), average->update(), resumed.step(t), other->update();
    EXPECT_EQ(other->updates(), 10);
    const State a = average->state(), b = other->state();
    ASSERT_EQ(a.size(), 6u);   // updates, three parameters, two buffers
    EXPECT_EQ(a[1].second.shape(), (Shape{2, 3}));
    EXPECT_EQ(a[2].second.shape(), (Shape{5}));
    for (std::size_t i = 0; i + 1 < a.size(); ++i)   // the last is the count of batches, which each Training has of its own
      EXPECT_EQ(a[i].second.to_vector<double>(), b[i].second.to_vector<double>()) << c.name << a[i].first;
  }
}

TEST(WeightAverage, RejectsWhatDoesNotFit) {
  Training run(DType::f32, Device::cpu);
  EMA ema(run.adamw.arena(), {}, {run.running});
  State state = ema.state();
  state.pop_back();
  EXPECT_THROW(ema.load_state(state), ShapeError);
  state = ema.state();
  state[1].second = Tensor::zeros({5});
  EXPECT_THROW(ema.load_state(state), ShapeError);
  state = ema.state();
  state[0].second = Tensor::from<std::int64_t>({-1}, {});
  EXPECT_THROW(ema.load_state(state), ShapeError);
  EXPECT_THROW(EMA(run.adamw.arena(), {.decay = 1.1}), ShapeError);
  EXPECT_THROW(EMA(run.adamw.arena(), {}, {Tensor()}), ShapeError);
}

TEST(Statistics, AreTheEqualAverageOverBatches) {
  Tensor mean = Tensor::from<float>({5, 5}, {2}), variance = Tensor::from<double>({9}, {1}, Device::reference);
  Statistics statistics({{mean, 0.1}, {variance, 0.25}});
  EXPECT_THROW(statistics.finish(), ShapeError);
  const std::vector<std::vector<double>> batches{{1, 2, 3}, {-2, 4, 8}, {4, 0, 1}};
  for (const auto& b : batches) {
    statistics.begin_batch();   // what a norm does, from what it finds
    float* m = mean.data<float>();
    for (std::size_t i = 0; i < 2; ++i) m[i] = static_cast<float>(0.9 * m[i] + 0.1 * b[i]);
    double* v = variance.data<double>();
    v[0] = 0.75 * v[0] + 0.25 * b[2];
    statistics.end_batch();
  }
  statistics.finish();
  EXPECT_NEAR(mean.to_vector<double>()[0], 1, 1e-6);
  EXPECT_NEAR(mean.to_vector<double>()[1], 2, 1e-6);
  EXPECT_NEAR(variance.to_vector<double>()[0], 4, 1e-15);
  EXPECT_THROW(Statistics({{mean, 0}}), ShapeError);
  EXPECT_THROW(Statistics({{Tensor::zeros({1}, DType::i64), 0.1}}), ShapeError);
}

}   // namespace
}   // namespace fovea::optim
