// optimizer.h: what every optimiser shares: parameters in an arena, a learning rate, weight decay, counters, state that
// can be saved.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "optim/arena.h"
#include "optim/state.h"

namespace fovea::optim {

class Optimizer {
 public:
  Optimizer(const Parameters& parameters, double lr, double weight_decay);
  virtual ~Optimizer() = default;
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  /// Updates every parameter that has a gradient; the others, and their state, stay as they are.
  void step();
  void zero_grad();

  /// Of a parameter whose lr_scale is 1.
  double lr() const { return lr_; }
  /// Throws ShapeError unless lr is at least 0 and finite.
  void set_lr(double lr);
  /// Calls of step() so far.
  std::int64_t steps() const { return steps_; }
  Arena& arena() { return arena_; }

  /// Copies in the host's memory, named by Parameter::index: "momentum.0", ... as in PyTorch, where state belongs to the order of the parameters.
  State state() const;
  /// Continues bit for bit where `state` was taken. Throws ShapeError, and changes nothing, unless names, shapes and dtypes fit.
  void load_state(const State& state);

 protected:
  /// Neighbours in the arena that have gradients and are updated alike.
  struct Slice {
    std::size_t first, last;   // the parameters first..last-1 of the arena
    Arena::Range range;        // their elements
    std::int64_t t;            // this is their update number 1, 2, ...
    double lr, weight_decay;
    bool trust_ratio;
    std::int64_t elements() const { return range.end - range.begin; }
  };
  virtual void update(const Slice& s) = 0;
  /// Adds a flat array of state, laid out like the arena and filled with `start`, that is saved under "<name>.<index>".
  Tensor add_state(const std::string& name, double start = 0);

  Arena arena_;

 private:
  double lr_ = 0, weight_decay_;
  std::int64_t steps_ = 0;
  std::vector<std::int64_t> updates_;                  // per place in the arena: fewer than steps_ where gradients were missing
  std::vector<std::pair<std::string, Tensor>> flat_;   // from add_state
};

}   // namespace fovea::optim
