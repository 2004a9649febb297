// engine.cpp: the walk back. Reverse-mode differentiation: every op, from the last to the first, turns the gradient of its
// output into those of its inputs (Linnainmaa 1970; Griewank & Walther 2008, chapter 3.2).
//
// Ops are numbered in the order they ran, so "largest number first" visits each op after all of its consumers: no search
// for a topological order, no recursion. What an op kept is freed as soon as its backward function has run.
#include <queue>
#include <utility>

#include "autograd/node.h"
#include "kernels/broadcast.h"
#include "tensor/on_backend.h"

namespace fovea {

namespace {

using NodePtr = std::shared_ptr<detail::Node>;

void add_to(Tensor& sum, const Tensor& dy) {
  const kernels::BroadcastShape flat{.rank = 1, .extent = {sum.elements()}, .a_step = {1}, .b_step = {1}, .y_step = {1}};
  on_backend("gradient sum", sum, [&]<class T>(auto be) {
    kernels::broadcast(be, kernels::Arithmetic::add, sum.data<T>(), dy.data<T>(), sum.data<T>(), flat, false);
  });
}

/// An op may hand one tensor to several inputs (the gradient of a + b), so a sum is only grown in memory of its own.
void own(detail::Node& node) {
  const bool in_slot = node.grad_slot.defined() && node.grad.raw() == node.grad_slot.raw();
  if (!in_slot && !node.grad.unique()) node.grad = node.grad.clone();
}

}   // namespace

bool Grads::needs(int i) const { return node_.inputs.at(static_cast<std::size_t>(i)) != nullptr; }
bool Grads::accumulate(int i) const { return node_.accumulate.at(static_cast<std::size_t>(i)); }

Tensor Grads::target(int i) { return target(i, Tensor()); }

Tensor Grads::target(int i, const Tensor& reuse) {
  detail::Node& input = *node_.inputs.at(static_cast<std::size_t>(i));
  const bool sum = input.grad.defined();
  node_.accumulate[static_cast<std::size_t>(i)] = sum;
  if (sum) {
    own(input);
  } else if (input.grad_slot.defined()) {
    input.grad = input.grad_slot;
  } else if (reuse.unique() && reuse.dtype() == input.dtype && reuse.shape() == input.shape) {
    input.grad = reuse;
  } else {
    const MemoryTag tag("gradients");
    input.grad = Tensor::empty(input.shape, input.dtype, input.device);
  }
  return input.grad;
}

void Grads::pass(int i, Tensor dy) {
  detail::Node& input = *node_.inputs.at(static_cast<std::size_t>(i));
  if (input.grad.defined()) {
    own(input);
    add_to(input.grad, dy);
  } else if (input.grad_slot.defined()) {
    input.grad = input.grad_slot;
    input.grad.copy_from(dy);
  } else {
    input.grad = std::move(dy);
  }
}

void Variable::backward() const {
  require(defined() && shape().elements() == 1, "backward: expected a scalar, got ", defined() ? shape() : Shape());
  backward(Tensor::full(shape(), 1, dtype(), device()));
}

void Variable::backward(Tensor dy) const {
  require(requires_grad(), "backward: nothing here requires a gradient (a leaf without requires_grad, or computed under NoGrad)");
  require(device() != Device::meta, "backward: expected values, got ", shape(), " on meta: shapes alone go forwards only");
  require(dy.shape() == shape() && dy.dtype() == dtype(), "backward: expected a gradient of shape ", shape(), " and ", name_of(dtype()),
          ", got ", dy.shape(), " and ", name_of(dy.dtype()));
  const auto later = [](const NodePtr& a, const NodePtr& b) { return a->order < b->order; };
  std::priority_queue<NodePtr, std::vector<NodePtr>, decltype(later)> ready(later);
  if (cell_->node->leaf()) {
    dy = dy.clone();   // the leaf's gradient is its own
    cell_->node->grad.defined() ? add_to(cell_->node->grad, dy) : void(cell_->node->grad = dy);
    return;
  }
  cell_->node->grad = std::move(dy);
  ready.push(cell_->node);
  while (!ready.empty()) {
    const NodePtr node = ready.top();
    ready.pop();
    node->queued = false;
    if (!node->grad.defined()) continue;
    if (!node->backward) throw Error(detail::join(node->op, ": backward has already passed here and freed what it needs"));
    // Out of the node first: what the function kept dies with it, and the gradient may be overwritten in place.
    const Backward run = std::exchange(node->backward, nullptr);
    Grads grads(*node);
    run(std::exchange(node->grad, Tensor()), grads);
    for (NodePtr& input : node->inputs) {
      if (!input || input->leaf() || input->queued) continue;
      input->queued = true;
      ready.push(std::move(input));
    }
    node->inputs.clear();
  }
}

}   // namespace fovea
