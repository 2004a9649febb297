#include "optim/arena.h"

#include <algorithm>
#include <set>

namespace fovea::optim {

namespace {
std::int64_t aligned(std::int64_t elements) { return (elements + Arena::kAlignment - 1) / Arena::kAlignment * Arena::kAlignment; }
}   // namespace

Arena::Arena(const Parameters& parameters) : parameters_(parameters.by_group()) {
  require(!parameters_.empty(), "optimiser: expected at least one parameter, got none");
  const Variable& model = parameters_[0].value;
  std::int64_t elements = 0;
  std::set<const void*> seen;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const Variable& p = parameters_[i].value;
    const std::size_t index = parameters_[i].index;
    require(p.dtype() == DType::f32 || p.dtype() == DType::f64, "optimiser: expected float32 or float64 parameters, got ",
            name_of(p.dtype()), " at index ", index);
    require(p.dtype() == model.dtype() && p.device() == model.device(), "optimiser: expected parameters of one dtype and device, got ",
            name_of(model.dtype()), " on ", name_of(model.device()), " and ", name_of(p.dtype()), " on ", name_of(p.device()));
    const void* identity = p.device() == Device::meta ? p.cell().get() : p.value().raw();
    require(seen.insert(identity).second, "optimiser: expected each parameter once, got one of shape ", p.shape(), " again at index ",
            index);
    order_given_.push_back(i);
    offsets_.push_back(elements);
    elements += aligned(p.value().elements());
  }
  std::ranges::sort(order_given_, {}, [&](std::size_t i) { return parameters_[i].index; });
  const auto flat = [&](const char* tag) {
    const MemoryTag memory(tag);
    return Tensor::zeros({elements}, model.dtype(), model.device());
  };
  values_ = flat("parameters");
  gradients_ = flat("gradients");
  for (std::size_t i = 0; i < parameters_.size(); ++i) parameters_[i].value.move_to(part(values_, i), part(gradients_, i));
}

Arena::Range Arena::range(std::size_t first, std::size_t last) const {
  return {.begin = offsets_[first], .end = offsets_[last - 1] + parameters_[last - 1].value.shape().elements()};
}

std::vector<Arena::Range> Arena::ranges(std::size_t first, std::size_t last) const {
  std::vector<Range> all;
  for (std::size_t i = first; i < last; ++i) all.push_back(range(i, i + 1));
  return all;
}

std::vector<Arena::Range> Arena::gradient_ranges() const {
  std::vector<Range> all;
  for (std::size_t first = 0, last; first < parameters_.size(); first = last) {
    last = first + 1;
    if (!parameters_[first].value.has_grad()) continue;
    while (last < parameters_.size() && parameters_[last].value.has_grad()) ++last;
    all.push_back(range(first, last));
  }
  return all;
}

Tensor Arena::part(const Tensor& flat, std::size_t i) const {
  const Range r = range(i, i + 1);
  return flat.slice(r.begin, r.end).reshape(parameters_[i].value.shape());
}

void Arena::gather() {
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    Variable& p = parameters_[i].value;
    require(p.value().raw() == part(values_, i).raw(), "optimiser: expected parameter ", parameters_[i].name, " of shape ", p.shape(),
            " in this optimiser's memory, got one that has been moved by another optimiser");
    if (!p.has_grad()) continue;
    Tensor slot = part(gradients_, i);
    if (p.grad().raw() != slot.raw()) slot.copy_from(p.grad());
  }
}

}   // namespace fovea::optim
