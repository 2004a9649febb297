#include "optim/sgd.h"

#include <cmath>

#include "kernels/sgd.h"

namespace fovea::optim {

SGD::SGD(const Parameters& parameters, const SGDOptions& options)
    : Optimizer(parameters, options.lr, options.weight_decay), options_(options) {
  const auto& o = options_;
  require(std::isfinite(o.momentum) && o.momentum >= 0, "sgd: expected a momentum of at least 0, got ", o.momentum);
  require(std::isfinite(o.dampening), "sgd: expected a finite dampening, got ", o.dampening);
  require(!o.nesterov || (o.momentum > 0 && o.dampening == 0), "sgd: nesterov expects momentum above 0 and dampening 0, got ", o.momentum,
          " and ", o.dampening);
  if (o.momentum != 0) velocity_ = add_state("momentum");
}

void SGD::update(const Slice& s) {
  const kernels::SgdStep step{.lr = s.lr,
                              .momentum = options_.momentum,
                              .dampening = options_.dampening,
                              .weight_decay = s.weight_decay,
                              .nesterov = options_.nesterov,
                              .first = s.t == 1};
  on_arena("sgd", arena_.values(), [&]<class T>(auto be) {
    T* v = velocity_.defined() ? velocity_.data<T>() + s.range.begin : nullptr;
    kernels::sgd_step(be, arena_.values().data<T>() + s.range.begin, arena_.gradients().data<T>() + s.range.begin, v, step, s.elements());
  });
}

}   // namespace fovea::optim
