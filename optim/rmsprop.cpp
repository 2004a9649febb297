#include "optim/rmsprop.h"

#include <cmath>

#include "kernels/rmsprop.h"

namespace fovea::optim {

RMSprop::RMSprop(const Parameters& parameters, const RMSpropOptions& options)
    : Optimizer(parameters, options.lr, options.weight_decay), options_(options) {
  const auto& o = options_;
  require(0 <= o.alpha && o.alpha < 1, "rmsprop: expected alpha in [0, 1), got ", o.alpha);
  require(std::isfinite(o.eps) && o.eps > 0, "rmsprop: expected eps above 0, got ", o.eps);
  require(std::isfinite(o.momentum) && o.momentum >= 0, "rmsprop: expected a momentum of at least 0, got ", o.momentum);
  v_ = add_state("v", o.form == RMSpropForm::tensorflow ? 1 : 0);
  if (o.centered) m_ = add_state("m");
  if (o.momentum != 0) b_ = add_state("b");
}

void RMSprop::update(const Slice& s) {
  const bool tensorflow = options_.form == RMSpropForm::tensorflow;
  const kernels::RmspropStep step{.lr = s.lr,
                                  .alpha = options_.alpha,
                                  .eps = options_.eps,
                                  .weight_decay = s.weight_decay,
                                  .momentum = options_.momentum,
                                  .centered = options_.centered,
                                  .eps_inside = tensorflow,
                                  .lr_in_velocity = tensorflow};
  on_arena("rmsprop", arena_.values(), [&]<class T>(auto be) {
    const std::int64_t i = s.range.begin;
    T* m = m_.defined() ? m_.data<T>() + i : nullptr;
    T* b = b_.defined() ? b_.data<T>() + i : nullptr;
    kernels::rmsprop_step(be, arena_.values().data<T>() + i, arena_.gradients().data<T>() + i, v_.data<T>() + i, m, b, step, s.elements());
  });
}

}   // namespace fovea::optim
