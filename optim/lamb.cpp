#include "optim/lamb.h"

#include <cmath>

#include "kernels/lamb.h"
#include "optim/adam.h"

namespace fovea::optim {

LAMB::LAMB(const Parameters& parameters, const LAMBOptions& options)
    : Optimizer(parameters, options.lr, options.weight_decay), options_(options) {
  check_moments("lamb", options.beta1, options.beta2, options.eps);
  m_ = add_state("m");
  v_ = add_state("v");
}

void LAMB::update(const Slice& s) {
  const double t = static_cast<double>(s.t);
  const kernels::LambStep step{.lr = s.lr,
                               .beta1 = options_.beta1,
                               .beta2 = options_.beta2,
                               .eps = options_.eps,
                               .weight_decay = s.weight_decay,
                               .adapt = s.trust_ratio,
                               .bias1 = 1 - std::pow(options_.beta1, t),
                               .bias2 = 1 - std::pow(options_.beta2, t)};
  const std::vector<Arena::Range> tensors = arena_.ranges(s.first, s.last);
  on_arena("lamb", arena_.values(), [&]<class T>(auto be) {
    const Workspace workspace(be, kernels::lamb_workspace_bytes<T>(be, tensors.data(), std::ssize(tensors)));
    kernels::lamb_step(be, arena_.values().data<T>(), arena_.gradients().data<T>(), m_.data<T>(), v_.data<T>(), step, tensors.data(),
                       std::ssize(tensors), workspace.data());
  });
}

}   // namespace fovea::optim
