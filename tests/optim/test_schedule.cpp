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
  EXPECT_THROW(constant(1)(-1), ShapeError);
  EXPECT_THROW(warmup(constant(1), 3, 0.1)(-1), ShapeError);
}

}   // namespace
}   // namespace fovea::optim
