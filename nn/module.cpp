// module.cpp: names, paths, hooks and errors of modules. All of it costs nothing beside the layers' arithmetic.
#include "nn/module.h"

#include <algorithm>

#include "autograd/recompute.h"
#include "nn/trace.h"
#include "tensor/error.h"

namespace fovea::nn {
namespace {

/// An error that names a module already: modules further out let it pass.
template <class E> struct Located final : E { using E::E; };

std::string with_commas(std::int64_t n) {   // 11689512 -> "11,689,512"
  std::string s = std::to_string(n);
  for (auto i = static_cast<std::ptrdiff_t>(s.size()) - 3; i > 0; i -= 3) s.insert(static_cast<std::size_t>(i), ",");
  return s;
}

}   // namespace

Variable Module::locate_errors(const std::function<Variable()>& f) const {
  // A layer that stands alone has no path; its type must do.
  const auto where = [&] { return name_.empty() ? describe().substr(0, describe().find('(')) : path(); };
  Trace::Scope traced(*this);
  try {
    Variable y = f();
    traced.gave(y);
    return y;
  } catch (const Located<ShapeError>&) {
    throw;
  } catch (const Located<Error>&) {
    throw;
  } catch (const ShapeError& e) {
    throw Located<ShapeError>(where() + ": " + e.what());
  } catch (const Error& e) {
    throw Located<Error>(where() + ": " + e.what());
  }
}

Variable Module::operator()(const Variable& x) {
  Variable y = locate_errors([&] {
    require(x.defined(), "expected x, got an undefined Variable");
    return forward(x);
  });
  if (replaying()) return y;   // hooks saw the first run

  std::vector<std::shared_ptr<Hook>> hooks;   // held, because a hook may remove itself or add others
  for (const auto& hook : hooks_)
    if (auto h = hook.lock()) hooks.push_back(std::move(h));
  for (const auto& hook : hooks) (*hook)(*this, x, y);
  return y;
}

void Module::train(bool on) {
  apply([on](Module& m) { m.training_ = on; });
}

void Module::to(DType dtype, Device device) {
  require(dtype == DType::f32 || dtype == DType::f64, "Module::to: expected float32 or float64, got ", name_of(dtype));
  require(dtype == DType::f32 || device == Device::reference, "Module::to: float64 needs device reference, got ", name_of(device));
  apply([&](Module& m) {
    for (auto& p : m.parameters_) p->value = Variable(p->value.value().to(dtype).to(device), p->value.requires_grad());
    for (auto& b : m.buffers_) {
      const bool integer = b->value.dtype() == DType::i64 || b->value.dtype() == DType::u8;
      b->value = integer ? b->value.to(device == Device::cuda ? Device::cpu : device) : b->value.to(dtype).to(device);
    }
  });
}

std::string Module::path() const {
  if (!parent_) return name_;
  const std::string above = parent_->path();
  return above.empty() ? name_ : above + "." + name_;
}

std::string Module::describe() const { return "Module"; }

std::string Module::tree() {
  struct Line {
    std::string text;
    std::int64_t count;
  };
  std::vector<Line> lines;
  const std::function<void(Module&, int)> visit = [&](Module& m, int depth) {
    const std::string indent(static_cast<std::size_t>(2 * depth), ' ');
    lines.push_back({indent + (depth > 0 ? m.name_ + ": " : "") + m.describe(), m.parameter_count()});
    for (const auto& child : m.children_) visit(*child, depth + 1);
  };
  visit(*this, 0);

  std::size_t width = 0;
  for (const Line& l : lines) width = std::max(width, l.text.size());
  const std::size_t digits = with_commas(lines.front().count).size();   // the root has the largest count
  std::string out;
  for (const Line& l : lines) {
    out += l.text;
    if (l.count > 0) {
      const std::string n = with_commas(l.count);
      out += std::string(width - l.text.size() + 2 + digits - n.size(), ' ') + n;
    }
    out += '\n';
  }
  return out;
}

void Module::apply(const std::function<void(Module&)>& f) {
  f(*this);
  for (const auto& child : children_) child->apply(f);
}

void Module::set_requires_grad(bool on) {
  for (const auto& [name, p] : parameters()) p->value.set_requires_grad(on);
}

Variable& Module::parameter(const std::string& name) {
  for (const auto& [known, p] : parameters())
    if (known == name) return p->value;
  throw Error(detail::join(describe(), ": there is no parameter named \"", name, "\""));
}

// Names are relative to the module that is asked, so they are the same whether it stands alone or inside another.
std::vector<std::pair<std::string, Module::Parameter*>> Module::parameters() {
  std::vector<std::pair<std::string, Parameter*>> out;
  for (const auto& p : parameters_) out.emplace_back(p->name, p.get());
  for (const auto& child : children_)
    for (auto& [name, p] : child->parameters()) out.emplace_back(child->name_ + "." + name, p);
  return out;
}

std::vector<std::pair<std::string, Module::Buffer*>> Module::buffers() {
  std::vector<std::pair<std::string, Buffer*>> out;
  for (const auto& b : buffers_) out.emplace_back(b->name, b.get());
  for (const auto& child : children_)
    for (auto& [name, b] : child->buffers()) out.emplace_back(child->name_ + "." + name, b);
  return out;
}

std::int64_t Module::parameter_count() {
  std::int64_t n = 0;
  for (const auto& [name, p] : parameters()) n += p->value.shape().elements();
  return n;
}

Module::HookHandle Module::on_forward(Hook hook) {
  std::erase_if(hooks_, [](const auto& h) { return h.expired(); });
  auto shared = std::make_shared<Hook>(std::move(hook));
  hooks_.push_back(shared);
  return HookHandle(std::move(shared));
}

bool Module::has_hooks() const {
  return std::any_of(hooks_.begin(), hooks_.end(), [](const auto& h) { return !h.expired(); });
}

Module& Module::add_child(std::string name, std::unique_ptr<Module> child) {
  require_new_name(name);
  child->name_ = std::move(name);
  child->parent_ = this;
  child->train(training_);
  return *children_.emplace_back(std::move(child));
}

Variable& Module::add_parameter(std::string name, Tensor value, DiskLayout layout) {
  require_new_name(name);
  require(layout == DiskLayout::same || value.rank() == 4, "parameter ", name, ": expected filters (K, R, S, C), got ", value.shape());
  return parameters_.emplace_back(std::make_unique<Parameter>(Parameter{std::move(name), Variable(std::move(value), true), layout}))->value;
}

Tensor& Module::add_buffer(std::string name, Tensor value) {
  require_new_name(name);
  return buffers_.emplace_back(std::make_unique<Buffer>(Buffer{std::move(name), std::move(value)}))->value;
}

void Module::require_new_name(const std::string& name) const {
  require(!name.empty() && name.find('.') == std::string::npos, "Module: expected a name without dots, got \"", name, "\"");
  const auto taken = [&](const auto& list) {
    return std::any_of(list.begin(), list.end(), [&](const auto& x) { return x->name == name; });
  };
  const bool child = std::any_of(children_.begin(), children_.end(), [&](const auto& c) { return c->name_ == name; });
  require(!child && !taken(parameters_) && !taken(buffers_), "Module: there is already something named \"", name, "\"");
}

}   // namespace fovea::nn
