#include "autograd/variable.h"

#include <atomic>
#include <utility>

#include "autograd/node.h"
#include "tensor/graph.h"

namespace fovea {

namespace {

thread_local bool recording = true;
std::atomic<std::uint64_t> next_order{1};

std::shared_ptr<detail::Cell> make_cell(const Tensor& like) {
  auto cell = std::make_shared<detail::Cell>();
  cell->shape = like.shape();
  cell->dtype = like.dtype();
  cell->device = like.device();
  return cell;
}

std::shared_ptr<detail::Node> make_node(const detail::Cell& cell) {
  auto node = std::make_shared<detail::Node>();
  node->shape = cell.shape;
  node->dtype = cell.dtype;
  node->device = cell.device;
  return node;
}

void add_history(detail::Cell& cell, const char* op, const std::vector<Variable>& inputs, Backward backward) {
  if (!recording) return;
  bool wanted = false;
  for (const Variable& x : inputs) wanted = wanted || (x.defined() && x.requires_grad());
  if (!wanted) return;
  cell.node = make_node(cell);
  cell.node->op = op;
  cell.node->backward = std::move(backward);
  cell.node->order = next_order.fetch_add(1, std::memory_order_relaxed);
  for (const Variable& x : inputs) cell.node->inputs.push_back(x.defined() ? x.cell()->node : nullptr);
  cell.node->accumulate.resize(inputs.size());
}

}   // namespace

detail::Node::~Node() {
  std::vector<std::shared_ptr<Node>> doomed = std::move(inputs);
  while (!doomed.empty()) {
    const std::shared_ptr<Node> node = std::move(doomed.back());
    doomed.pop_back();
    if (!node || node.use_count() > 1) continue;
    for (auto& input : node->inputs) doomed.push_back(std::move(input));
    node->inputs.clear();
  }
}

Variable::Variable(Tensor value, bool requires_grad) {
  require(value.defined(), "Variable: expected a tensor, got an undefined one");
  cell_ = make_cell(value);
  cell_->value = std::move(value);
  if (requires_grad) cell_->node = make_node(*cell_);
}

const Tensor& Variable::value() const {
  require(defined(), "Variable: the value of an undefined Variable was asked for");
  if (!cell_->value.defined()) cell_->value = cell_->activated->materialise();
  return cell_->value;
}

const Shape& Variable::shape() const {
  require(defined(), "Variable: the shape of an undefined Variable was asked for");
  return cell_->shape;
}
DType Variable::dtype() const { return cell_->dtype; }
Device Variable::device() const { return cell_->device; }

bool Variable::requires_grad() const { return defined() && cell_->node != nullptr; }

void Variable::set_requires_grad(bool on) {
  if (on == requires_grad()) return;
  require(!requires_grad() || cell_->node->leaf(), "set_requires_grad: expected a leaf, got the output of ", on ? "" : cell_->node->op);
  cell_->node = on ? make_node(*cell_) : nullptr;
}

Tensor Variable::grad() const { return requires_grad() ? cell_->node->grad : Tensor(); }
bool Variable::has_grad() const { return requires_grad() && cell_->node->grad.defined(); }
void Variable::zero_grad() {
  if (requires_grad()) cell_->node->grad = Tensor();
}

Variable Variable::detach() const {
  auto cell = std::make_shared<detail::Cell>(*cell_);
  cell->node = nullptr;
  cell->derived.clear();
  return Variable(std::move(cell));
}

void Variable::move_to(Tensor value, Tensor grad) {
  require(requires_grad() && cell_->node->leaf(), "move_to: expected a leaf that requires a gradient");
  require(value.shape() == shape() && value.dtype() == dtype(), "move_to: expected ", shape(), " of ", name_of(dtype()), ", got ",
          value.shape(), " of ", name_of(value.dtype()));
  require(grad.shape() == shape() && grad.dtype() == dtype(), "move_to: expected a gradient of shape ", shape(), ", got ", grad.shape());
  value.copy_from(cell_->value);
  cell_->value = std::move(value);
  if (has_grad()) {
    grad.copy_from(cell_->node->grad);
    cell_->node->grad = grad;
  }
  cell_->node->grad_slot = std::move(grad);
}

void Variable::assign(const Tensor& value) {
  require(defined() && value.shape() == shape(), "assign: expected a value of shape ", shape(), ", got ", value.shape());
  require(value.dtype() == dtype(), "assign: expected ", name_of(dtype()), ", got ", name_of(value.dtype()));
  cell_->value.copy_from(value);
  bump_version();
}

std::uint64_t Variable::version() const { return cell_->version; }
void Variable::bump_version() { ++cell_->version; }

Tensor Variable::derived(const std::string& key, const std::function<Tensor(const Tensor&)>& make) const {
  if (CudaGraph::recording()) return make(value());   // part of the graph: made again whenever it runs
  auto& [version, tensor] = cell_->derived[key];
  if (!tensor.defined() || version != cell_->version) {
    tensor = make(value());
    version = cell_->version;
  }
  return tensor;
}

Variable record(const char* op, Tensor y, std::vector<Variable> inputs, Backward backward) {
  auto cell = make_cell(y);
  cell->value = std::move(y);
  add_history(*cell, op, inputs, std::move(backward));
  return Variable(std::move(cell));
}

Variable record(const char* op, std::shared_ptr<const Activated> y, std::vector<Variable> inputs, Backward backward) {
  auto cell = make_cell(y->raw);
  cell->activated = std::move(y);
  add_history(*cell, op, inputs, std::move(backward));
  return Variable(std::move(cell));
}

NoGrad::NoGrad() : previous_(std::exchange(recording, false)) {}
NoGrad::~NoGrad() { recording = previous_; }
WithGrad::WithGrad() : previous_(std::exchange(recording, true)) {}
WithGrad::~WithGrad() { recording = previous_; }
bool grad_enabled() { return recording; }

}   // namespace fovea
