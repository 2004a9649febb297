#include "autograd/recompute.h"

#include <utility>

#include "autograd/node.h"

namespace fovea {

namespace {

thread_local bool second_run = false;

/// While it lives, random keys are those that followed `state`, and replaying() is true.
class Replay {
 public:
  explicit Replay(const Generator& state) : now_(default_generator()), outer_(std::exchange(second_run, true)) {
    default_generator() = state;
  }
  ~Replay() {
    default_generator() = now_;
    second_run = outer_;
  }
  Replay(const Replay&) = delete;
  Replay& operator=(const Replay&) = delete;

 private:
  Generator now_;
  bool outer_;
};

/// A leaf with x's value (or the description of it), for f to start from.
Variable start_from(const Variable& x, bool requires_grad) {
  Variable leaf = x.detach();
  leaf.set_requires_grad(requires_grad);
  return leaf;
}

}   // namespace

bool replaying() { return second_run; }

Variable recompute(std::function<Variable(const Variable&)> f, const Variable& x) {
  if (!grad_enabled()) return f(x);
  const Generator keys = default_generator();
  // The first run records as the second will, so that both take the same path; its history dies with `inner`.
  const Variable inner = f(start_from(x, x.requires_grad()));
  if (!inner.requires_grad()) return inner;

  const Variable source = x.detach();
  Backward backward = [f = std::move(f), source, keys](Tensor dy, Grads& g) {
    const Variable leaf = start_from(source, g.needs(0));
    Variable y;
    {
      const WithGrad recording;
      const Replay replay(keys);
      y = f(leaf);
    }
    require(y.shape() == dy.shape() && y.dtype() == dy.dtype(), "recompute: expected the second run to give ", dy.shape(),
            " like the first, got ", y.shape());
    y.backward(std::move(dy));
    if (leaf.has_grad()) g.pass(0, leaf.grad());
  };
  // The parameters inside f are not known here. A leaf that gets no gradient stands for them: the op is recorded even where x wants none.
  const std::vector<Variable> inputs{x, Variable(Tensor::zeros({}), true)};
  // A following convolution reads a fused output through its prologue, as it would without us.
  const auto& activated = inner.cell()->activated;
  if (activated && !activated->residual.defined()) return record("recompute", activated, inputs, std::move(backward));
  return record("recompute", inner.value(), inputs, std::move(backward));
}

}   // namespace fovea
