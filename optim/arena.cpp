#include "optim/arena.h"

#include <set>

namespace fovea::optim {

namespace {
std::int64_t aligned(std::int64_t elements) { return (elements + Arena::kAlignment - 1) / Arena::kAlignment * Arena::kAlignment; }
}   // namespace

Arena::Arena(std::vector<Variable> parameters) : parameters_(std::move(parameters)) {
  require(!parameters_.empty(), "optimiser: expected at least one parameter, got none");
  std::int64_t elements = 0;
  std::set<const void*> seen;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const Variable& p = parameters_[i];
    require(p.defined() && p.requires_grad(), "optimiser: expected parameters that require gradients, got ",
            p.defined() ? "one that does not" : "an undefined one", " at index ", i);
    require(p.dtype() == DType::f32 || p.dtype() == DType::f64, "optimiser: expected float32 or float64 parameters, got ",
            name_of(p.dtype()), " at index ", i);
    require(p.dtype() == parameters_[0].dtype() && p.device() == parameters_[0].device(),
            "optimiser: expected parameters of one dtype and device, got ", name_of(parameters_[0].dtype()), " on ",
            name_of(parameters_[0].device()), " and ", name_of(p.dtype()), " on ", name_of(p.device()));
    require(seen.insert(p.value().raw()).second, "optimiser: expected each parameter once, got one of shape ", p.shape(),
            " again at index ", i);
    offsets_.push_back(elements);
    elements += aligned(p.value().elements());
  }
  const auto flat = [&](const char* tag) {
    const MemoryTag memory(tag);
    return Tensor::zeros({elements}, parameters_[0].dtype(), parameters_[0].device());
  };
  values_ = flat("parameters");
  gradients_ = flat("gradients");
  for (std::size_t i = 0; i < parameters_.size(); ++i) parameters_[i].move_to(part(values_, i), part(gradients_, i));
}

Arena::Range Arena::range(std::size_t first, std::size_t last) const {
  return {.begin = offsets_[first], .end = offsets_[last - 1] + parameters_[last - 1].shape().elements()};
}

Tensor Arena::part(const Tensor& flat, std::size_t i) const {
  const Range r = range(i, i + 1);
  return flat.slice(r.begin, r.end).reshape(parameters_[i].shape());
}

void Arena::gather() {
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    Variable& p = parameters_[i];
    require(p.value().raw() == part(values_, i).raw(), "optimiser: expected parameter ", i, " of shape ", p.shape(),
            " in this optimiser's memory, got one that has been moved by another optimiser");
    if (!p.has_grad()) continue;
    Tensor slot = part(gradients_, i);
    if (p.grad().raw() != slot.raw()) slot.copy_from(p.grad());
  }
}

}   // namespace fovea::optim
