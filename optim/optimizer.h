// optimizer.h: what every optimiser shares: parameters in an arena, a learning rate, counters, state that can be saved.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "optim/arena.h"

namespace fovea::optim {

/// Named tensors for a checkpoint, as TensorFile::tensors holds them.
using State = std::vector<std::pair<std::string, Tensor>>;

class Optimizer {
 public:
  Optimizer(std::vector<Variable> parameters, double lr);
  virtual ~Optimizer() = default;
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  /// Updates every parameter that has a gradient; the others, and their state, stay as they are.
  void step();
  void zero_grad();

  double lr() const { return lr_; }
  /// Throws ShapeError unless lr is at least 0 and finite.
  void set_lr(double lr);
  /// Calls of step() so far.
  std::int64_t steps() const { return steps_; }
  Arena& arena() { return arena_; }

  /// Copies, named by the parameter's index: "momentum.0", ... as in PyTorch, where state belongs to the order of the parameters.
  State state() const;
  /// Continues bit for bit where `state` was taken. Throws ShapeError, and changes nothing, unless names, shapes and dtypes fit.
  void load_state(const State& state);

 protected:
  /// Updates elements [r.begin, r.end) of the arena, which all have had `updates` updates before this one.
  virtual void update(Arena::Range r, std::int64_t updates) = 0;
  /// Adds a flat array of state, laid out like the arena and filled with 0, that is saved under "<name>.<index>".
  Tensor add_state(const std::string& name);

  Arena arena_;

 private:
  double lr_ = 0;
  std::int64_t steps_ = 0;
  std::vector<std::int64_t> updates_;                  // per parameter: fewer than steps_ where gradients were missing
  std::vector<std::pair<std::string, Tensor>> flat_;   // from add_state
};

}   // namespace fovea::optim
