#include "optim/sgd.h"

#include <cmath>
#include <type_traits>

#include "kernels/sgd.h"
#include "tensor/on_backend.h"

namespace fovea::optim {

SGD::SGD(std::vector<Variable> parameters, const SGDOptions& options) : Optimizer(std::move(parameters), options.lr), options_(options) {
  const auto& o = options_;
  require(std::isfinite(o.momentum) && o.momentum >= 0, "sgd: expected a momentum of at least 0, got ", o.momentum);
  require(std::isfinite(o.weight_decay) && o.weight_decay >= 0, "sgd: expected a weight decay of at least 0, got ", o.weight_decay);
  require(std::isfinite(o.dampening), "sgd: expected a finite dampening, got ", o.dampening);
  require(!o.nesterov || (o.momentum > 0 && o.dampening == 0), "sgd: nesterov expects momentum above 0 and dampening 0, got ", o.momentum,
          " and ", o.dampening);
  if (o.momentum != 0) velocity_ = add_state("momentum");
}

void SGD::update(Arena::Range r, std::int64_t updates) {
  const kernels::SgdStep step{.lr = lr(),
                              .momentum = options_.momentum,
                              .dampening = options_.dampening,
                              .weight_decay = options_.weight_decay,
                              .nesterov = options_.nesterov,
                              .first = updates == 0};
  on_backend("sgd", arena_.values(), [&]<class T>(auto be) {
    if constexpr (!std::is_same_v<T, bfloat16>) {   // no parameter is: the arena has looked
      T* v = velocity_.defined() ? velocity_.data<T>() + r.begin : nullptr;
      kernels::sgd_step(be, arena_.values().data<T>() + r.begin, arena_.gradients().data<T>() + r.begin, v, step, r.end - r.begin);
    }
  });
}

}   // namespace fovea::optim
