#include "optim/parameters.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <tuple>

namespace fovea::optim {
namespace {

std::string last_part(const std::string& name) { return name.substr(name.rfind('.') + 1); }

/// What of `name` matches `pattern` from its beginning, # standing for a number; "" when it does not.
std::string matched(const std::string& name, const std::string& pattern) {
  const auto digit = [&](std::size_t i) { return i < name.size() && std::isdigit(static_cast<unsigned char>(name[i])); };
  std::size_t at = 0;
  for (const char c : pattern) {
    if (c == '#') {
      if (!digit(at)) return "";
      while (digit(at)) ++at;
    } else if (at == name.size() || name[at++] != c) {
      return "";
    }
  }
  return name.substr(0, at);
}

}   // namespace

bool undecayed(const Parameter& p) {
  static const Predicate names = is_named({"layer_scale", "class_token", "cls_token", "dist_token", "pos_embedding", "pos_embed",
                                           "absolute_pos_embed", "relative_position_bias_table"});
  return p.value.rank() <= 1 || names(p);
}

Predicate starts_with(std::vector<std::string> prefixes) {
  return [=](const Parameter& p) {
    return std::ranges::any_of(prefixes, [&](const std::string& prefix) { return p.name.starts_with(prefix); });
  };
}

Predicate is_named(std::vector<std::string> names) {
  return [=](const Parameter& p) { return std::ranges::find(names, last_part(p.name)) != names.end(); };
}

Predicate any_of(Predicate a, Predicate b) {
  return [=](const Parameter& p) { return a(p) || b(p); };
}

Parameters::Parameters(const std::vector<Variable>& values) {
  for (const Variable& value : values) add(std::to_string(list_.size()), value, list_.size());
}

Parameters::Parameters(const std::vector<std::pair<std::string, Variable>>& named) {
  for (const auto& [name, value] : named) add(name, value, list_.size());
}

void Parameters::add(std::string name, Variable value, std::size_t index) {
  require(value.defined() && value.requires_grad(), "optimiser: expected parameters that require gradients, got ",
          value.defined() ? "one that does not" : "an undefined one", ": ", name, " at index ", index);
  Parameter p;
  p.name = std::move(name);
  p.value = std::move(value);
  p.index = index;
  list_.push_back(std::move(p));
}

Parameters& Parameters::weight_decay(double decay, const Predicate& where) {
  require(std::isfinite(decay) && decay >= 0, "parameters: expected a weight decay of at least 0, got ", decay);
  for (Parameter& p : list_)
    if (where(p)) p.weight_decay = decay;
  return *this;
}

Parameters& Parameters::scale_lr(double factor, const Predicate& where) {
  require(std::isfinite(factor) && factor >= 0, "parameters: expected a factor of the learning rate of at least 0, got ", factor);
  for (Parameter& p : list_)
    if (where(p)) p.lr_scale *= factor;
  return *this;
}

Parameters& Parameters::no_trust_ratio(const Predicate& where) {
  for (Parameter& p : list_)
    if (where(p)) p.trust_ratio = false;
  return *this;
}

Parameters& Parameters::no_adaptive_clipping(const Predicate& where) {
  for (Parameter& p : list_)
    if (where(p)) p.adaptive_clipping = false;
  return *this;
}

Parameters& Parameters::layerwise_lr(double decay, const std::vector<std::string>& blocks) {
  require(0 < decay && decay <= 1, "layerwise_lr: expected a decay in (0, 1], got ", decay);
  std::vector<std::string> block_of;   // "" outside of blocks
  std::size_t end = 0;                 // one past the last parameter of the last block
  for (const Parameter& p : list_) {
    block_of.emplace_back();
    for (const std::string& pattern : blocks)
      if (const std::string block = matched(p.name, pattern); !block.empty()) block_of.back() = block, end = block_of.size();
  }
  require(end > 0, "layerwise_lr: expected parameters whose names begin with ", blocks.empty() ? "a pattern" : blocks[0], ", got none");
  std::vector<int> layer(list_.size(), 0);
  int latest = 0;
  std::string current;
  for (std::size_t i = 0; i < list_.size(); ++i) {
    if (i == end) ++latest;
    if (i < end && !block_of[i].empty() && block_of[i] != current) ++latest, current = block_of[i];
    layer[i] = latest;
  }
  for (std::size_t i = end; i-- > 0;)   // between two blocks: with the latter
    if (block_of[i].empty() && layer[i] > 0) layer[i] = layer[i + 1];
  for (std::size_t i = 0; i < list_.size(); ++i) list_[i].lr_scale *= std::pow(decay, latest - layer[i]);
  return *this;
}

bool same_group(const Parameter& a, const Parameter& b) {
  return std::tie(a.lr_scale, a.weight_decay, a.trust_ratio, a.adaptive_clipping) ==
         std::tie(b.lr_scale, b.weight_decay, b.trust_ratio, b.adaptive_clipping);
}

std::vector<Parameter> Parameters::by_group() const {
  std::vector<Parameter> firsts;   // of each group
  const auto group_of = [&](const Parameter& p) {
    return std::ranges::find_if(firsts, [&](const Parameter& q) { return same_group(p, q); }) - firsts.begin();
  };
  for (const Parameter& p : list_)
    if (group_of(p) == std::ssize(firsts)) firsts.push_back(p);
  std::vector<Parameter> sorted = list_;
  std::ranges::stable_sort(sorted, {}, group_of);
  return sorted;
}

}   // namespace fovea::optim
