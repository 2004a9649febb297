// Schedules against PyTorch's, step by step; the ends; composition; bad arguments.
#include <gtest/gtest.h>

#include <cmath>

#include "optim/schedule.h"
#include "pytorch_numbers.h"
#include "tensor/error.h"

namespace fovea::optim {
namespace {

// PyTorch's cosine is a recursion, so its last bits differ.
void expect_rates(const Schedule& schedule, const std::vector<double>& expected) {
  for (std::size_t t = 0; t < expected.size(); ++t)
    EXPECT_NEAR(schedule(static_cast<std::int64_t>(t)), expected[t], 1e-12 * expected[t]) << t;
}

TEST(Schedule, AsPyTorch) {
  expect_rates(step_decay({.lr = 0.4, .period = 4, .gamma = 0.3}), pytorch::step_decay);
  expect_rates(multi_step({.lr = 0.4, .milestones = {3, 7, 7, 9}, .gamma = 0.3}), pytorch::multi_step);
  expect_rates(exponential({.lr = 0.4, .gamma = 0.8}), pytorch::exponential);
  expect_rates(linear({.lr = 0.4, .start_factor = 0.25, .end_factor = 0.75, .steps = 7}), pytorch::linear);
  expect_rates(polynomial({.lr = 0.4, .power = 2.5, .steps = 9}), pytorch::polynomial);
  expect_rates(cosine_restarts({.lr = 0.4, .min_lr = 0.01, .period = 4, .factor = 2}), pytorch::cosine_restarts);
  expect_rates(cosine_restarts({.lr = 0.4, .period = 5}), pytorch::cosine_restarts_equal);
  expect_rates(sequence({{linear({.lr = 0.4, .start_factor = 0.5, .end_factor = 1, .steps = 4}), 3},
                         {step_decay({.lr = 0.4, .period = 3, .gamma = 0.5}), 6},
                         {exponential({.lr = 0.4, .gamma = 0.9}), 0}}),
               pytorch::sequence);
  expect_rates(cosine({.lr = 0.4, .min_lr = 0.01, .steps = 13}), pytorch::cosine);
  expect_rates(one_cycle({.max_lr = 0.5, .steps = 20}), pytorch::one_cycle);
  expect_rates(one_cycle({.max_lr = 0.5, .steps = 7, .pct_start = 0.45, .div_factor = 10, .final_div_factor = 100}),
               pytorch::one_cycle_options);
  expect_rates(one_cycle({.max_lr = 0.5, .steps = 2}), pytorch::one_cycle_short);
  expect_rates(warmup(cosine({.lr = 0.4, .min_lr = 0.01, .steps = 11}), 5, 0.1), pytorch::warmup_cosine);
}

TEST(Schedule, Ends) {
  const Schedule c = cosine({.lr = 1, .steps = 10});
  EXPECT_EQ(c(0), 1);
  EXPECT_EQ(c(5), 0.5 * (1 + std::cos(std::acos(-1.0) / 2)));
  EXPECT_EQ(c(10), 0);
  EXPECT_EQ(c(1000), 0);   // stays
  const Schedule o = one_cycle({.max_lr = 1, .steps = 10});
  EXPECT_NEAR(o(0), 1 / 25.0, 1e-15);   // 1 + (1/25 - 1), rounded at 1
  EXPECT_DOUBLE_EQ(o(2), 1);            // 0.3 * 10 - 1
  EXPECT_DOUBLE_EQ(o(9), 1 / 25e4);
  EXPECT_EQ(o(10), o(9));
  EXPECT_EQ(constant(0.3)(12345), 0.3);
  EXPECT_DOUBLE_EQ(one_cycle({.max_lr = 1, .steps = 1})(0), 1 / 25e4);
  EXPECT_EQ(one_cycle({.max_lr = 1, .steps = 10, .pct_start = 0.1})(0), 1);   // the top is step 0
  for (const double pct : {0.0, 0.05, 0.99, 1.0})
    for (int t = 0; t < 12; ++t) EXPECT_TRUE(std::isfinite(one_cycle({.max_lr = 1, .steps = 10, .pct_start = pct})(t)));
}

TEST(Schedule, EndsOfTheOthers) {
  EXPECT_EQ(linear({.lr = 2, .steps = 4})(100), 0);
  EXPECT_EQ(polynomial({.lr = 2, .steps = 4})(100), 0);
  EXPECT_EQ(multi_step({.lr = 2, .milestones = {}, .gamma = 0.5})(100), 2);
  EXPECT_DOUBLE_EQ(exponential({.lr = 1, .gamma = 0.97, .period = 100})(50), std::sqrt(0.97));
  const Schedule restarts = cosine_restarts({.lr = 1, .period = 3, .factor = 3});   // begins anew at 3, 12, 39
  for (const int t : {0, 3, 12, 39}) EXPECT_EQ(restarts(t), 1) << t;
  EXPECT_LT(restarts(38), 0.01);
  EXPECT_EQ(sequence({{constant(1), 0}, {constant(2), 5}})(0), 2);
  EXPECT_EQ(sequence({{constant(1), 2}, {constant(2), 5}})(1000), 2);
}

TEST(Schedule, WarmupComesBeforeTheHorizon) {
  const Schedule inner = cosine({.lr = 1, .steps = 10}), outer = warmup(inner, 4, 0.5);
  for (int t = 0; t < 4; ++t) EXPECT_DOUBLE_EQ(outer(t), 0.5 + 0.5 * t / 4);
  for (int t = 4; t < 20; ++t) EXPECT_EQ(outer(t), inner(t - 4));
  EXPECT_EQ(warmup(inner, 0, 0)(3), inner(3));
}

TEST(Schedule, RejectsArgumentsOutOfRange) {
  EXPECT_THROW(constant(-1), ShapeError);
  EXPECT_THROW(constant(NAN), ShapeError);
  EXPECT_THROW(cosine({.lr = 1, .steps = 0}), ShapeError);
  EXPECT_THROW(cosine({.lr = 1, .min_lr = 2, .steps = 3}), ShapeError);
  EXPECT_THROW(cosine({.lr = 1, .min_lr = -1, .steps = 3}), ShapeError);
  EXPECT_THROW(one_cycle({.max_lr = -1, .steps = 3}), ShapeError);
  EXPECT_THROW(one_cycle({.max_lr = 1, .steps = 0}), ShapeError);
  EXPECT_THROW(one_cycle({.max_lr = 1, .steps = 3, .pct_start = 1.5}), ShapeError);
  EXPECT_THROW(one_cycle({.max_lr = 1, .steps = 3, .div_factor = 0}), ShapeError);
  EXPECT_THROW(one_cycle({.max_lr = 1, .steps = 3, .final_div_factor = -1}), ShapeError);
  EXPECT_THROW(warmup(nullptr, 3, 0.1), ShapeError);
  EXPECT_THROW(warmup(constant(1), -1, 0.1), ShapeError);
  EXPECT_THROW(warmup(constant(1), 3, 2), ShapeError);
  EXPECT_THROW(step_decay({.lr = 1, .period = 0}), ShapeError);
  EXPECT_THROW(step_decay({.lr = 1, .period = 1, .gamma = -1}), ShapeError);
  EXPECT_THROW(multi_step({.lr = 1, .milestones = {5, 3}}), ShapeError);
  EXPECT_THROW(exponential({.lr = 1, .gamma = 0}), ShapeError);
  EXPECT_THROW(exponential({.lr = 1, .gamma = 0.9, .period = 0}), ShapeError);
  EXPECT_THROW(linear({.lr = 1, .steps = 0}), ShapeError);
  EXPECT_THROW(linear({.lr = 1, .start_factor = -1, .steps = 3}), ShapeError);
  EXPECT_THROW(polynomial({.lr = 1, .steps = 0}), ShapeError);
  EXPECT_THROW(polynomial({.lr = 1, .power = 0, .steps = 3}), ShapeError);
  EXPECT_THROW(cosine_restarts({.lr = 1, .period = 0}), ShapeError);
  EXPECT_THROW(cosine_restarts({.lr = 1, .period = 1, .factor = 0}), ShapeError);
  EXPECT_THROW(cosine_restarts({.lr = 1, .min_lr = 2, .period = 1}), ShapeError);
  EXPECT_THROW(sequence({}), ShapeError);
  EXPECT_THROW(sequence({{nullptr, 1}}), ShapeError);
  EXPECT_THROW(sequence({{constant(1), -1}}), ShapeError);
  EXPECT_THROW(sequence({{constant(1), 1}})(-1), ShapeError);
  EXPECT_THROW(constant(1)(-1), ShapeError);
  EXPECT_THROW(warmup(constant(1), 3, 0.1)(-1), ShapeError);
}

}   // namespace
}   // namespace fovea::optim
