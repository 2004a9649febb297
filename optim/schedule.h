// schedule.h: the learning rate as a pure function of the iteration. Nothing to save: a resumed run asks for its step's rate.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

namespace fovea::optim {

/// The learning rate of iteration `step` = 0, 1, 2, ... Past its last step a schedule stays where it ended. Throws ShapeError for
/// a negative step, as the functions below do for options outside of their range.
using Schedule = std::function<double(std::int64_t step)>;

Schedule constant(double lr);

struct StepDecayOptions {
  double lr;
  std::int64_t period;
  double gamma = 0.1;
};
/// lr * gamma^floor(step / period). PyTorch's StepLR.
Schedule step_decay(const StepDecayOptions& o);

struct MultiStepOptions {
  double lr;
  std::vector<std::int64_t> milestones;   // not falling
  double gamma = 0.1;
};
/// lr * gamma^(number of milestones that are at most step). PyTorch's MultiStepLR; "divided by 10 at 32k and 48k iterations", He et
/// al. 2016 (arXiv:1512.03385), section 4.2.
Schedule multi_step(const MultiStepOptions& o);

struct ExponentialOptions {
  double lr;
  double gamma;
  std::int64_t period = 1;   // a rate given by epoch: the iterations of one
};
/// lr * gamma^(step / period), in a smooth line. With period 1 PyTorch's ExponentialLR.
Schedule exponential(const ExponentialOptions& o);

struct LinearOptions {
  double lr;
  double start_factor = 1, end_factor = 0;
  std::int64_t steps;   // from lr * start_factor at step 0 to lr * end_factor at step `steps`
};
/// A straight line. PyTorch's LinearLR (whose defaults are 1/3 and 1).
Schedule linear(const LinearOptions& o);

struct PolynomialOptions {
  double lr;
  double power = 1;
  std::int64_t steps;
};
/// lr * (1 - step / steps)^power. PyTorch's PolynomialLR; with power 2 that of You et al. 2017 (LARS), Algorithm 1.
Schedule polynomial(const PolynomialOptions& o);

struct CosineOptions {
  double lr;
  double min_lr = 0;
  std::int64_t steps;   // from lr at step 0 to min_lr at step `steps`
};
/// min_lr + (lr - min_lr) (1 + cos(pi t / steps)) / 2. Loshchilov & Hutter 2017 (arXiv:1608.03983), Eq. (5), one period.
Schedule cosine(const CosineOptions& o);

struct CosineRestartsOptions {
  double lr;
  double min_lr = 0;
  std::int64_t period;       // the first one, T_0
  std::int64_t factor = 1;   // each period is so many times as long as the one before, T_mult
};
/// The same line again and again: SGDR, Loshchilov & Hutter 2017, Eq. (5), where eta_max (lr) and eta_min (min_lr) could differ from run to
/// run; here, as in their experiments, they do not. PyTorch's CosineAnnealingWarmRestarts, stepped by iteration.
Schedule cosine_restarts(const CosineRestartsOptions& o);

struct OneCycleOptions {
  double max_lr;
  std::int64_t steps;              // the last one is steps - 1
  double pct_start = 0.3;          // the part of the steps that climbs
  double div_factor = 25;          // starts at max_lr / div_factor
  double final_div_factor = 1e4;   // ends at max_lr / div_factor / final_div_factor
};
/// Up to max_lr, then down to almost nothing, along half cosines. Smith & Topin 2018 (arXiv:1708.07120); they go in straight
/// lines and in three phases, this is the form of PyTorch's OneCycleLR.
Schedule one_cycle(const OneCycleOptions& o);

/// A straight line from start_factor * schedule(0) to schedule(0) during the first `steps` iterations; then `schedule` from its
/// beginning, so a cosine's horizon does not count the warm-up. Goyal et al. 2017 (arXiv:1706.02677), section 2.2.
Schedule warmup(Schedule schedule, std::int64_t steps, double start_factor);

struct Stage {
  Schedule schedule;
  std::int64_t steps;   // the last stage goes on for ever
};
/// One schedule after the other, each from its own step 0. PyTorch's SequentialLR.
Schedule sequence(std::vector<Stage> stages);

}   // namespace fovea::optim
