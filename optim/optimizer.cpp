#include "optim/optimizer.h"

#include <algorithm>
#include <cmath>

namespace fovea::optim {

Optimizer::Optimizer(const Parameters& parameters, double lr, double weight_decay)
    : arena_(parameters), weight_decay_(weight_decay), updates_(arena_.parameters().size()) {
  set_lr(lr);
  require(std::isfinite(weight_decay) && weight_decay >= 0, "optimiser: expected a weight decay of at least 0, got ", weight_decay);
}

void Optimizer::step() {
  arena_.gather();
  ++steps_;
  auto& parameters = arena_.parameters();
  // Neighbours in one group that have gradients and equally many updates behind them go together; mostly that is the whole group.
  for (std::size_t first = 0, last; first < parameters.size(); first = last) {
    last = first + 1;
    const Parameter& p = parameters[first];
    if (!p.value.has_grad()) continue;
    while (last < parameters.size() && parameters[last].value.has_grad() && updates_[last] == updates_[first] &&
           same_group(p, parameters[last]))
      ++last;
    update({.first = first,
            .last = last,
            .range = arena_.range(first, last),
            .t = updates_[first] + 1,
            .lr = lr_ * p.lr_scale,
            .weight_decay = p.weight_decay.value_or(weight_decay_),
            .trust_ratio = p.trust_ratio});
    for (std::size_t i = first; i < last; ++i) {
      ++updates_[i];
      parameters[i].value.bump_version();
    }
  }
}

void Optimizer::zero_grad() {
  for (Parameter& p : arena_.parameters()) p.value.zero_grad();
}

void Optimizer::set_lr(double lr) {
  require(std::isfinite(lr) && lr >= 0, "optimiser: expected a learning rate of at least 0, got ", lr);
  lr_ = lr;
}

Tensor Optimizer::add_state(const std::string& name, double start) {
  const MemoryTag tag("optimiser");
  Tensor flat = flat_.emplace_back(name, arena_.zeros()).second;
  if (start != 0) flat.fill(start);
  return flat;
}

State Optimizer::state() const {
  std::vector<std::int64_t> updates;
  for (const std::size_t i : arena_.order_given()) updates.push_back(updates_[i]);
  State state{{"steps", Tensor::from<std::int64_t>({steps_}, {})},
              {"updates", Tensor::from<std::int64_t>(updates, {static_cast<std::int64_t>(updates.size())})}};
  for (const auto& [name, flat] : flat_)
    for (const std::size_t i : arena_.order_given())
      state.emplace_back(name + "." + std::to_string(arena_.parameters()[i].index), arena_.part(flat, i).clone_on_host());
  return state;
}

void Optimizer::load_state(const State& from) {
  require_fit("optimiser state", from, this->state());
  const auto steps = from[0].second.data<std::int64_t>()[0];
  const auto updates = from[1].second.to_vector<std::int64_t>();
  require(std::ranges::all_of(updates, [&](std::int64_t u) { return 0 <= u && u <= steps; }),
          "optimiser state: expected counts of updates in 0..", steps);
  steps_ = steps;
  for (std::size_t k = 0; k < updates.size(); ++k) updates_[arena_.order_given()[k]] = updates[k];
  std::size_t at = 2;
  for (const auto& [name, flat] : flat_)
    for (const std::size_t i : arena_.order_given()) arena_.part(flat, i).copy_from(from[at++].second);
}

}   // namespace fovea::optim
