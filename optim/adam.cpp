#include "optim/adam.h"

#include <cmath>

#include "kernels/adam.h"

namespace fovea::optim {

void check_moments(const char* optimiser, double beta1, double beta2, double eps) {
  require(0 <= beta1 && beta1 < 1, optimiser, ": expected beta1 in [0, 1), got ", beta1);
  require(0 <= beta2 && beta2 < 1, optimiser, ": expected beta2 in [0, 1), got ", beta2);
  require(std::isfinite(eps) && eps > 0, optimiser, ": expected eps above 0, got ", eps);
}

Adam::Adam(const Parameters& parameters, const AdamOptions& options) : Adam("adam", parameters, options, false) {}

Adam::Adam(const char* name, const Parameters& parameters, const AdamOptions& options, bool decoupled)
    : Optimizer(parameters, options.lr, options.weight_decay), options_(options), decoupled_(decoupled) {
  check_moments(name, options.beta1, options.beta2, options.eps);
  m_ = add_state("m");
  v_ = add_state("v");
}

void Adam::update(const Slice& s) {
  const double t = static_cast<double>(s.t);
  const kernels::AdamStep step{.lr = s.lr,
                               .beta1 = options_.beta1,
                               .beta2 = options_.beta2,
                               .eps = options_.eps,
                               .weight_decay = s.weight_decay,
                               .decoupled = decoupled_,
                               .bias1 = 1 - std::pow(options_.beta1, t),
                               .bias2 = 1 - std::pow(options_.beta2, t)};
  on_arena("adam", arena_.values(), [&]<class T>(auto be) {
    const std::int64_t i = s.range.begin;
    kernels::adam_step(be, arena_.values().data<T>() + i, arena_.gradients().data<T>() + i, m_.data<T>() + i, v_.data<T>() + i, step,
                       s.elements());
  });
}

}   // namespace fovea::optim
