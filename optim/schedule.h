// schedule.h: the learning rate as a pure function of the iteration. Nothing to save: a resumed run asks for its step's rate.
#pragma once

#include <cstdint>
#include <functional>

namespace fovea::optim {

/// The learning rate of iteration `step` = 0, 1, 2, ... Past its last step a schedule stays where it ended. Throws ShapeError for
/// a negative step, as the functions below do for options outside of their range.
using Schedule = std::function<double(std::int64_t step)>;

Schedule constant(double lr);

struct CosineOptions {
  double lr;
  double min_lr = 0;
  std::int64_t steps;   // from lr at step 0 to min_lr at step `steps`
};
/// min_lr + (lr - min_lr) (1 + cos(pi t / steps)) / 2. Loshchilov & Hutter 2017 (arXiv:1608.03983), Eq. (5), one period.
Schedule cosine(const CosineOptions& o);

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

}   // namespace fovea::optim
