// variable.h: a value that remembers where it came from, and the engine that walks back.
//
//   Variable logits = linear(x, w, b);  Variable loss = cross_entropy(logits, labels);  loss.backward();  w.grad();
//
// An op computes y from Tensors and calls record() with a function that turns dL/dy into dL/d(input i). The engine calls
// those functions from the last recorded to the first and frees what each one kept as soon as it has run. First-order only.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tensor/tensor.h"

namespace fovea {

class Grads;
class Variable;
struct Activated;   // autograd/activated.h: a value that is computed when asked for
using Backward = std::function<void(Tensor dy, Grads& g)>;

namespace detail {
struct Cell;   // autograd/node.h: the value
struct Node;   //                  the history
}   // namespace detail

class Variable {
 public:
  Variable() = default;                                 // undefined
  Variable(Tensor value, bool requires_grad = false);   // a leaf: an input, or with requires_grad a parameter

  bool defined() const { return cell_ != nullptr; }
  /// Computes it first if it is an Activated that nobody has asked for yet (see activated.h).
  const Tensor& value() const;
  const Shape& shape() const;
  int rank() const { return shape().rank(); }
  std::int64_t dim(int i) const { return shape().dim(i); }
  DType dtype() const;
  Device device() const;
  double item() const { return value().item(); }

  bool requires_grad() const;
  void set_requires_grad(bool on);   // leaves only
  /// dL/d(this) of a leaf, summed over the backward passes since zero_grad(); undefined when there was none.
  Tensor grad() const;
  bool has_grad() const;
  /// Forgets the gradient (nothing is written: the next backward pass overwrites).
  void zero_grad();
  /// Runs the recorded ops backwards from this scalar, dL/dL = 1. Throws ShapeError unless it has one element and a history.
  void backward() const;
  /// The same from any shape with a given dL/d(this). Not on Device::meta, where graphs are there to be measured.
  void backward(Tensor dy) const;
  /// The value alone, without its history.
  Variable detach() const;

  // What an optimiser does to a leaf.
  /// Puts the value (copied) into `value` and future gradients into `grad`, both views into flat arenas of the same shape and dtype.
  void move_to(Tensor value, Tensor grad);
  /// Replaces the value's content (load, initialisation): same shape and dtype.
  void assign(const Tensor& value);
  /// Counts changes of the value. Whoever writes into value() calls bump_version().
  std::uint64_t version() const;
  void bump_version();
  /// A form of the value that is dear to make and often used (bf16 copy, packed, ...): made once for each version of the value.
  Tensor derived(const std::string& key, const std::function<Tensor(const Tensor&)>& make) const;

  explicit Variable(std::shared_ptr<detail::Cell> cell) : cell_(std::move(cell)) {}
  const std::shared_ptr<detail::Cell>& cell() const { return cell_; }

 private:
  std::shared_ptr<detail::Cell> cell_;
};

/// What a backward function writes to.
class Grads {
 public:
  explicit Grads(detail::Node& node) : node_(node) {}
  /// Does input i want a gradient?
  bool needs(int i) const;
  /// Where to write the gradient of input i: fresh memory, the leaf's slot in an optimiser's arena, or the sum so far.
  /// Ask once, and only if needs(i). With `reuse`, fresh memory may be reuse's own, when nobody else holds it and shape and
  /// dtype fit: so pass only what the kernel may overwrite while it reads it.
  Tensor target(int i);
  Tensor target(int i, const Tensor& reuse);
  /// After target(i): true when the kernel must add to what is there.
  bool accumulate(int i) const;
  /// The gradient of input i is this very tensor (y = x + .., reshape): stored without a copy, or added to the sum so far.
  void pass(int i, Tensor dy);

 private:
  detail::Node& node_;
};

/// Makes y a Variable with a history, unless no input requires a gradient or a NoGrad lives. `op` is a string literal.
/// `backward` must keep Tensors or Saved, never y's own Variable: that would be a cycle, and leak.
Variable record(const char* op, Tensor y, std::vector<Variable> inputs, Backward backward);
/// The same for a value that is only computed when somebody asks.
Variable record(const char* op, std::shared_ptr<const Activated> y, std::vector<Variable> inputs, Backward backward);

/// While one lives on this thread, nothing is recorded.
class NoGrad {
 public:
  NoGrad();
  ~NoGrad();
  NoGrad(const NoGrad&) = delete;
  NoGrad& operator=(const NoGrad&) = delete;

 private:
  bool previous_;
};
/// The opposite, within a NoGrad.
class WithGrad {
 public:
  WithGrad();
  ~WithGrad();
  WithGrad(const WithGrad&) = delete;
  WithGrad& operator=(const WithGrad&) = delete;

 private:
  bool previous_;
};
bool grad_enabled();

}   // namespace fovea
