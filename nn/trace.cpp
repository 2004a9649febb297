#include "nn/trace.h"

#include <mutex>
#include <set>

#include "autograd/multiply_adds.h"

namespace fovea::nn {
namespace {

thread_local Trace* current = nullptr;
thread_local std::int64_t inside = 0;   // multiply-adds of the modules that the running one has called

/// A string that lives as long as the program, as the names of memory's owners must. There are as many as layers have paths.
const char* kept_string(const std::string& s) {
  static std::mutex mutex;
  static auto* const strings = new std::set<std::string>;
  const std::lock_guard lock(mutex);
  return strings->insert(s).first->c_str();
}

std::string owner(const Module& m) { return "layer " + m.path(); }

}   // namespace

Trace::Trace() : before_(memory_statistics(Device::meta).by_tag) {
  require(current == nullptr, "Trace: expected one at a time on a thread");
  current = this;
}
Trace::~Trace() { current = nullptr; }

Trace::Line Trace::line(const Module& m) const {
  const auto found = lines_.find(&m);
  return found == lines_.end() ? Line{} : found->second;
}

std::size_t Trace::kept(const Module& m) const {
  const std::string name = owner(m);
  const auto found = before_.find(name);
  const std::size_t now = memory_in_use(name, Device::meta), then = found == before_.end() ? 0 : found->second;
  return now > then ? now - then : 0;
}

struct Trace::Scope::Watch {
  Line& line;
  MultiplyAdds work;
  std::int64_t inside_before;
  MetaOwner memory;
};

Trace::Scope::Scope(const Module& m) {
  if (!current) return;
  watch_ = std::unique_ptr<Watch>(
      new Watch{.line = current->lines_[&m], .work = {}, .inside_before = inside, .memory = MetaOwner(kept_string(owner(m)))});
  ++watch_->line.runs;
  inside = 0;
}

void Trace::Scope::gave(const Variable& y) {
  if (!watch_ || !y.defined()) return;
  watch_->line.output = y.shape();
}

Trace::Scope::~Scope() {
  if (!watch_) return;
  const std::int64_t all = watch_->work.count();
  watch_->line.multiply_adds += all - inside;
  inside = watch_->inside_before + all;
}

}   // namespace fovea::nn
