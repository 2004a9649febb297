#include "optim/lars.h"

#include <cmath>

#include "kernels/lars.h"

namespace fovea::optim {

LARS::LARS(const Parameters& parameters, const LARSOptions& options)
    : Optimizer(parameters, options.lr, options.weight_decay), options_(options) {
  const auto& o = options_;
  require(std::isfinite(o.momentum) && o.momentum >= 0, "lars: expected a momentum of at least 0, got ", o.momentum);
  require(std::isfinite(o.trust_coefficient) && o.trust_coefficient > 0, "lars: expected a trust coefficient above 0, got ",
          o.trust_coefficient);
  require(std::isfinite(o.eps) && o.eps >= 0, "lars: expected eps of at least 0, got ", o.eps);
  require(!o.nesterov || o.momentum > 0, "lars: nesterov expects momentum above 0, got ", o.momentum);
  if (o.momentum != 0) velocity_ = add_state("momentum");
}

void LARS::update(const Slice& s) {
  const kernels::LarsStep step{.lr = s.lr,
                               .momentum = options_.momentum,
                               .weight_decay = s.weight_decay,
                               .trust_coefficient = options_.trust_coefficient,
                               .eps = options_.eps,
                               .nesterov = options_.nesterov,
                               .adapt = s.trust_ratio,
                               .first = s.t == 1};
  const std::vector<Arena::Range> tensors = arena_.ranges(s.first, s.last);
  on_arena("lars", arena_.values(), [&]<class T>(auto be) {
    const Workspace workspace(be, kernels::lars_workspace_bytes<T>(be, tensors.data(), std::ssize(tensors)));
    T* v = velocity_.defined() ? velocity_.data<T>() : nullptr;
    kernels::lars_step(be, arena_.values().data<T>(), arena_.gradients().data<T>(), v, step, tensors.data(), std::ssize(tensors),
                       workspace.data());
  });
}

}   // namespace fovea::optim
