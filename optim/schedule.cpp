#include "optim/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "tensor/error.h"

namespace fovea::optim {

namespace {

/// From a at t = 0 to b at t = 1 along half a cosine.
double half_cosine(double a, double b, double t) { return b + (a - b) / 2 * (1 + std::cos(std::numbers::pi * t)); }

void check_rate(const char* schedule, const char* name, double lr) {
  require(std::isfinite(lr) && lr >= 0, schedule, ": expected ", name, " of at least 0, got ", lr);
}

void check_step(const char* schedule, std::int64_t step) { require(step >= 0, schedule, ": expected a step of at least 0, got ", step); }

}   // namespace

Schedule constant(double lr) {
  check_rate("constant", "lr", lr);
  return [lr](std::int64_t step) {
    check_step("constant", step);
    return lr;
  };
}

Schedule step_decay(const StepDecayOptions& o) {
  check_rate("step_decay", "lr", o.lr);
  check_rate("step_decay", "gamma", o.gamma);
  require(o.period >= 1, "step_decay: expected a period of at least 1 step, got ", o.period);
  return [o](std::int64_t step) {
    check_step("step_decay", step);
    return o.lr * std::pow(o.gamma, static_cast<double>(step / o.period));
  };
}

Schedule multi_step(const MultiStepOptions& o) {
  check_rate("multi_step", "lr", o.lr);
  check_rate("multi_step", "gamma", o.gamma);
  require(std::ranges::is_sorted(o.milestones), "multi_step: expected milestones that do not fall");
  return [o](std::int64_t step) {
    check_step("multi_step", step);
    return o.lr * std::pow(o.gamma, static_cast<double>(std::ranges::upper_bound(o.milestones, step) - o.milestones.begin()));
  };
}

Schedule exponential(const ExponentialOptions& o) {
  check_rate("exponential", "lr", o.lr);
  require(std::isfinite(o.gamma) && o.gamma > 0, "exponential: expected gamma above 0, got ", o.gamma);
  require(o.period >= 1, "exponential: expected a period of at least 1 step, got ", o.period);
  return [o](std::int64_t step) {
    check_step("exponential", step);
    return o.lr * std::pow(o.gamma, static_cast<double>(step) / static_cast<double>(o.period));
  };
}

Schedule linear(const LinearOptions& o) {
  check_rate("linear", "lr", o.lr);
  check_rate("linear", "start_factor", o.start_factor);
  check_rate("linear", "end_factor", o.end_factor);
  require(o.steps >= 1, "linear: expected at least 1 step, got ", o.steps);
  return [o](std::int64_t step) {
    check_step("linear", step);
    const double t = static_cast<double>(std::min(step, o.steps)) / static_cast<double>(o.steps);
    return o.lr * (o.start_factor + (o.end_factor - o.start_factor) * t);
  };
}

Schedule polynomial(const PolynomialOptions& o) {
  check_rate("polynomial", "lr", o.lr);
  require(std::isfinite(o.power) && o.power > 0, "polynomial: expected a power above 0, got ", o.power);
  require(o.steps >= 1, "polynomial: expected at least 1 step, got ", o.steps);
  return [o](std::int64_t step) {
    check_step("polynomial", step);
    return o.lr * std::pow(1 - static_cast<double>(std::min(step, o.steps)) / static_cast<double>(o.steps), o.power);
  };
}

Schedule cosine(const CosineOptions& o) {
  check_rate("cosine", "lr", o.lr);
  check_rate("cosine", "min_lr", o.min_lr);
  require(o.min_lr <= o.lr, "cosine: expected min_lr of at most lr = ", o.lr, ", got ", o.min_lr);
  require(o.steps >= 1, "cosine: expected at least 1 step, got ", o.steps);
  return [o](std::int64_t step) {
    check_step("cosine", step);
    return half_cosine(o.lr, o.min_lr, static_cast<double>(std::min(step, o.steps)) / static_cast<double>(o.steps));
  };
}

Schedule cosine_restarts(const CosineRestartsOptions& o) {
  check_rate("cosine_restarts", "lr", o.lr);
  check_rate("cosine_restarts", "min_lr", o.min_lr);
  require(o.min_lr <= o.lr, "cosine_restarts: expected min_lr of at most lr = ", o.lr, ", got ", o.min_lr);
  require(o.period >= 1, "cosine_restarts: expected a period of at least 1 step, got ", o.period);
  require(1 <= o.factor && o.factor <= 1000, "cosine_restarts: expected a factor in 1..1000, got ", o.factor);
  return [o](std::int64_t step) {
    check_step("cosine_restarts", step);
    std::int64_t at = step, period = o.period;
    if (o.factor == 1) at %= period;
    for (; at >= period; period *= o.factor) at -= period;   // no overflow for steps below 2^53
    return half_cosine(o.lr, o.min_lr, static_cast<double>(at) / static_cast<double>(period));
  };
}

Schedule one_cycle(const OneCycleOptions& o) {
  check_rate("one_cycle", "max_lr", o.max_lr);
  require(o.steps >= 1, "one_cycle: expected at least 1 step, got ", o.steps);
  require(0 <= o.pct_start && o.pct_start <= 1, "one_cycle: expected pct_start in [0, 1], got ", o.pct_start);
  require(std::isfinite(o.div_factor) && o.div_factor > 0, "one_cycle: expected div_factor above 0, got ", o.div_factor);
  require(std::isfinite(o.final_div_factor) && o.final_div_factor > 0, "one_cycle: expected final_div_factor above 0, got ",
          o.final_div_factor);
  return [o](std::int64_t step) {
    check_step("one_cycle", step);
    const double start_lr = o.max_lr / o.div_factor, end_lr = start_lr / o.final_div_factor;
    // The top need not fall on a whole step, and lies before step 0 when less than one step climbs.
    const double last = static_cast<double>(o.steps - 1), top = o.pct_start * static_cast<double>(o.steps) - 1;
    const double t = std::min(static_cast<double>(step), last);
    if (t <= top) return top > 0 ? half_cosine(start_lr, o.max_lr, t / top) : o.max_lr;
    return half_cosine(o.max_lr, end_lr, (t - top) / (last - top));
  };
}

Schedule warmup(Schedule schedule, std::int64_t steps, double start_factor) {
  require(schedule != nullptr, "warmup: expected a schedule, got an empty function");
  require(steps >= 0, "warmup: expected at least 0 steps, got ", steps);
  require(0 <= start_factor && start_factor <= 1, "warmup: expected start_factor in [0, 1], got ", start_factor);
  return [=](std::int64_t step) {
    check_step("warmup", step);
    if (step >= steps) return schedule(step - steps);
    return schedule(0) * (start_factor + (1 - start_factor) * static_cast<double>(step) / static_cast<double>(steps));
  };
}

Schedule sequence(std::vector<Stage> stages) {
  require(!stages.empty(), "sequence: expected at least one stage, got none");
  for (const Stage& s : stages) {
    require(s.schedule != nullptr, "sequence: expected schedules, got an empty function");
    require(s.steps >= 0, "sequence: expected stages of at least 0 steps, got ", s.steps);
  }
  return [stages = std::move(stages)](std::int64_t step) {
    check_step("sequence", step);
    std::size_t i = 0;
    for (; i + 1 < stages.size() && step >= stages[i].steps; ++i) step -= stages[i].steps;
    return stages[i].schedule(step);
  };
}

}   // namespace fovea::optim
