#include "optim/optimizer.h"

#include <algorithm>
#include <cmath>

namespace fovea::optim {

Optimizer::Optimizer(std::vector<Variable> parameters, double lr) : arena_(std::move(parameters)), updates_(arena_.parameters().size()) {
  set_lr(lr);
}

void Optimizer::step() {
  arena_.gather();
  ++steps_;
  auto& parameters = arena_.parameters();
  // Neighbours that have gradients and equally many updates behind them go together; mostly that is all of them.
  for (std::size_t first = 0, last; first < parameters.size(); first = last) {
    last = first + 1;
    if (!parameters[first].has_grad()) continue;
    while (last < parameters.size() && parameters[last].has_grad() && updates_[last] == updates_[first]) ++last;
    update(arena_.range(first, last), updates_[first]);
    for (std::size_t i = first; i < last; ++i) {
      ++updates_[i];
      parameters[i].bump_version();
    }
  }
}

void Optimizer::zero_grad() {
  for (Variable& p : arena_.parameters()) p.zero_grad();
}

void Optimizer::set_lr(double lr) {
  require(std::isfinite(lr) && lr >= 0, "optimiser: expected a learning rate of at least 0, got ", lr);
  lr_ = lr;
}

Tensor Optimizer::add_state(const std::string& name) {
  const MemoryTag tag("optimiser");
  return flat_.emplace_back(name, arena_.zeros()).second;
}

State Optimizer::state() const {
  State state{{"steps", Tensor::from<std::int64_t>({steps_}, {})},
              {"updates", Tensor::from<std::int64_t>(updates_, {static_cast<std::int64_t>(updates_.size())})}};
  for (const auto& [name, flat] : flat_)
    for (std::size_t i = 0; i < updates_.size(); ++i) state.emplace_back(name + "." + std::to_string(i), arena_.part(flat, i).clone());
  return state;
}

void Optimizer::load_state(const State& from) {
  const State own = this->state();
  require(from.size() == own.size(), "optimiser state: expected ", own.size(), " entries, got ", from.size());
  for (std::size_t i = 0; i < own.size(); ++i) {
    const auto& [name, expected] = own[i];
    const auto& [from_name, tensor] = from[i];
    require(from_name == name, "optimiser state: expected ", name, ", got ", from_name);
    require(tensor.shape() == expected.shape() && tensor.dtype() == expected.dtype(), "optimiser state: expected ", name, " of shape ",
            expected.shape(), " and ", name_of(expected.dtype()), ", got ", tensor.shape(), " and ", name_of(tensor.dtype()));
  }
  const auto steps = from[0].second.data<std::int64_t>()[0];
  const auto updates = from[1].second.to_vector<std::int64_t>();
  require(std::ranges::all_of(updates, [&](std::int64_t u) { return 0 <= u && u <= steps; }),
          "optimiser state: expected counts of updates in 0..", steps);
  steps_ = steps;
  updates_ = updates;
  std::size_t at = 2;
  for (const auto& [name, flat] : flat_)
    for (std::size_t i = 0; i < updates_.size(); ++i) arena_.part(flat, i).copy_from(from[at++].second);
}

}   // namespace fovea::optim
