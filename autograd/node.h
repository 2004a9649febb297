// node.h: what a Variable points to: a cell with the value, and behind it a node with the history. The edges of the graph
// go from node to node, so a graph that waits for its backward pass keeps no value alive but those that ops saved.
#pragma once

#include <map>

#include "autograd/activated.h"
#include "autograd/variable.h"

namespace fovea::detail {

struct Node {
  Shape shape;   // of the value, and so of its gradient
  DType dtype = DType::f32;
  Device device = Device::cpu;

  // How the value was made. Empty for leaves, and once backward has passed.
  const char* op = nullptr;                    // null for a leaf
  std::vector<std::shared_ptr<Node>> inputs;   // null where an input requires no gradient
  Backward backward;
  std::uint64_t order = 0;   // ops are numbered as they are recorded; the engine goes from high to low
  bool queued = false;       // the engine has it on its list

  // Of a leaf: until zero_grad(). Of an intermediate value: while the engine is between its consumers and its producer.
  Tensor grad;
  Tensor grad_slot;               // leaves that an optimiser moved: where grad goes
  std::vector<bool> accumulate;   // per input, set by Grads::target

  bool leaf() const { return op == nullptr; }
  ~Node();   // takes long chains apart in a loop: recursion would overflow the stack
};

struct Cell {
  Tensor value;   // or `activated`, until somebody asks for the value
  std::shared_ptr<const Activated> activated;
  Shape shape;
  DType dtype = DType::f32;
  Device device = Device::cpu;
  std::shared_ptr<Node> node;   // null when no gradient is wanted

  std::uint64_t version = 0;
  std::map<std::string, std::pair<std::uint64_t, Tensor>> derived;
};

}   // namespace fovea::detail
