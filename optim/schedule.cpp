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

}   // namespace fovea::optim
