// state.cpp: filters change their order on the way to disk and back, (K, R, S, C) <-> (K, C, R, S); all else is copied.
// Costs one pass over the parameters.
#include "nn/state.h"

#include <cstring>
#include <functional>
#include <map>

#include "tensor/error.h"

namespace fovea::nn {
namespace {

bool is_float(DType t) { return t == DType::f32 || t == DType::f64 || t == DType::bf16; }

/// Moves element (k, r, s, c) of `filters` to (k, c, r, s) of `disk`, or with `to_memory` the other way round. `item` bytes an element.
void reorder(const std::byte* from, std::byte* to, const Shape& filters, std::size_t item, bool to_memory) {
  const std::int64_t K = filters[0], RS = filters[1] * filters[2], C = filters[3];
  for (std::int64_t k = 0; k < K; ++k)
    for (std::int64_t rs = 0; rs < RS; ++rs)
      for (std::int64_t c = 0; c < C; ++c) {
        const auto memory = static_cast<std::size_t>((k * RS + rs) * C + c) * item;
        const auto disk = static_cast<std::size_t>((k * C + c) * RS + rs) * item;
        std::memcpy(to + (to_memory ? memory : disk), from + (to_memory ? disk : memory), item);
      }
}

Shape disk_shape(const Shape& s, DiskLayout layout) { return layout == DiskLayout::filters ? Shape{s[0], s[3], s[1], s[2]} : s; }

/// PyTorch's order: a module's parameters, its buffers, then its children.
void visit(Module& m, const std::string& prefix, const std::function<void(const std::string&, Module::Parameter*, Module::Buffer*)>& f) {
  for (const auto& p : m.own_parameters()) f(prefix + p->name, p.get(), nullptr);
  for (const auto& b : m.own_buffers()) f(prefix + b->name, nullptr, b.get());
  for (const auto& child : m.children()) visit(*child, prefix + child->name() + ".", f);
}

}   // namespace

Tensor to_disk(const Tensor& t, DiskLayout layout) {
  if (layout == DiskLayout::same) return t.clone_on_host();
  const Tensor from = t.host();
  Tensor out = Tensor::empty(disk_shape(t.shape(), layout), t.dtype(), from.device());
  if (t.device() == Device::meta) return out;
  reorder(static_cast<const std::byte*>(from.raw()), static_cast<std::byte*>(out.raw()), t.shape(), size_of(t.dtype()), false);
  return out;
}

Tensor to_memory(const Tensor& t, DiskLayout layout) {
  if (layout == DiskLayout::same) return t;
  const Tensor from = t.host();
  const Shape shape{t.dim(0), t.dim(2), t.dim(3), t.dim(1)};
  Tensor out = Tensor::empty(shape, t.dtype(), from.device());
  if (t.device() == Device::meta) return out;
  reorder(static_cast<const std::byte*>(from.raw()), static_cast<std::byte*>(out.raw()), shape, size_of(t.dtype()), true);
  return out;
}

TensorFile state_dict(Module& m) {
  TensorFile file;
  visit(m, "", [&](const std::string& name, Module::Parameter* p, Module::Buffer* b) {
    file.tensors.emplace_back(name, p ? to_disk(p->value.value(), p->layout) : b->value.clone_on_host());
  });
  return file;
}

std::vector<std::pair<std::string, Shape>> state_shapes(Module& m) {
  std::vector<std::pair<std::string, Shape>> shapes;
  visit(m, "", [&](const std::string& name, Module::Parameter* p, Module::Buffer* b) {
    shapes.emplace_back(name, p ? disk_shape(p->value.shape(), p->layout) : b->value.shape());
  });
  return shapes;
}

LoadReport load_state_dict(Module& m, const TensorFile& file) {
  LoadReport report;
  std::map<std::string, const Tensor*> entries;
  for (const auto& [name, t] : file.tensors) entries[name] = &t;

  visit(m, "", [&](const std::string& name, Module::Parameter* p, Module::Buffer* b) {
    const auto found = entries.find(name);
    if (found == entries.end()) return void(report.missing.push_back(name));
    const Tensor& entry = *found->second;
    entries.erase(found);

    const Tensor& own = p ? p->value.value() : b->value;
    const DiskLayout layout = p ? p->layout : DiskLayout::same;
    const Shape expected = disk_shape(own.shape(), layout);
    if (entry.shape() != expected)
      return void(report.wrong_shape.push_back(detail::join(name, ": expected ", expected, ", got ", entry.shape())));
    if (is_float(entry.dtype()) != is_float(own.dtype()) || (!is_float(own.dtype()) && entry.dtype() != own.dtype()))
      return void(report.wrong_shape.push_back(
          detail::join(name, ": expected ", expected, " of ", name_of(own.dtype()), ", got ", name_of(entry.dtype()))));

    const Tensor value = to_memory(entry, layout).to(own.dtype()).to(own.device());
    if (p)
      p->value.assign(value);
    else
      b->value.copy_from(value);
    report.matched.push_back(name);
  });
  for (const auto& [name, t] : file.tensors)   // in the file's order
    if (entries.count(name)) report.unexpected.push_back(name);
  return report;
}

std::string LoadReport::str() const {
  constexpr std::size_t kShown = 8;   // of each kind: a file of another model would fill screens
  std::string out = detail::join(matched.size(), " matched, ", missing.size(), " missing, ", unexpected.size(), " unexpected, ",
                                 wrong_shape.size(), " of wrong shape\n");
  const auto list = [&](const char* kind, const std::vector<std::string>& names) {
    for (std::size_t i = 0; i < names.size() && i < kShown; ++i) out += detail::join("  ", kind, ": ", names[i], "\n");
    if (names.size() > kShown) out += detail::join("  ", kind, ": and ", names.size() - kShown, " more\n");
  };
  list("missing", missing);
  list("unexpected", unexpected);
  list("wrong shape", wrong_shape);
  return out;
}

}   // namespace fovea::nn
