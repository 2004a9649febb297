// parameters.h: what an optimiser is given: parameters with names, and what holds for some of them only.
//
//   AdamW adamw(Parameters(network.parameters()).weight_decay(0, undecayed), {.lr = 1e-3, .weight_decay = 0.05});
//
// Parameters with equal settings are a group; in an optimiser's arena they lie side by side, so a step stays a few long passes.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "autograd/variable.h"

namespace fovea::optim {

struct Parameter {
  std::string name;   // dotted: "layer1.0.conv1.weight"
  Variable value;
  std::size_t index = 0;                // its place in the list from which it came
  double lr_scale = 1;                  // of the optimiser's learning rate
  std::optional<double> weight_decay;   // instead of the optimiser's
  bool trust_ratio = true;              // LARS and LAMB: adapt its rate to its norm
  bool adaptive_clipping = true;        // clip_adaptive() takes it
};

using Predicate = std::function<bool(const Parameter& p)>;

/// What is seldom decayed: vectors (biases, scales and shifts of norms) and layer scales, class and distillation tokens, position
/// embeddings and relative position tables, by the last part of the name in torchvision, timm and mmpretrain. Embedding tables are
/// matrices like any other here: give their name.
bool undecayed(const Parameter& p);
/// name begins with one of these: "head." or "encoder.layers.".
Predicate starts_with(std::vector<std::string> prefixes);
/// The last part of the name is one of these: "relative_position_bias_table".
Predicate is_named(std::vector<std::string> names);
Predicate any_of(Predicate a, Predicate b);

/// Each setter changes the parameters that `where` picks and leaves the others; of several that set the same, the last one counts.
class Parameters {
 public:
  // A parameter that requires no gradient is refused, except in the list of a module.
  /// Without names.
  Parameters(const std::vector<Variable>& values);
  Parameters(const std::vector<std::pair<std::string, Variable>>& named);
  /// From Module::parameters(): pairs of a name and a pointer to what has the Variable as `value`. What is frozen is left out.
  template <class P> Parameters(const std::vector<std::pair<std::string, P*>>& named) {
    for (std::size_t i = 0; i < named.size(); ++i)
      if (named[i].second->value.requires_grad()) add(named[i].first, named[i].second->value, i);
  }

  /// Throws ShapeError unless decay is at least 0 and finite; likewise a factor below.
  Parameters& weight_decay(double decay, const Predicate& where);
  /// Multiplies with what lr_scale is already.
  Parameters& scale_lr(double factor, const Predicate& where);
  Parameters& no_trust_ratio(const Predicate& where);
  Parameters& no_adaptive_clipping(const Predicate& where);
  /// Rates that fall from the output to the input: layer l of L + 1 gets decay^(L + 1 - l), l = 0 (stem, embedding) to L + 1 (head).
  /// Clark et al. 2020, ELECTRA (arXiv:2003.10555); Bao et al. 2022, BEiT (arXiv:2106.08254).
  /// `blocks` are the ways in which names of blocks begin, with # for a number: {"encoder.layers.encoder_layer_#."} (ViT),
  /// {"features.1.#.", "features.3.#.", "features.5.#.", "features.7.#."} (Swin). In the order of the parameters, what comes
  /// before the first block is layer 0, what lies between two belongs to the latter (patch merging opens a stage), what comes
  /// after the last is layer L + 1. Throws ShapeError when no name fits.
  Parameters& layerwise_lr(double decay, const std::vector<std::string>& blocks);

  /// In the order given.
  const std::vector<Parameter>& list() const { return list_; }
  /// Group after group, in the order of their first parameters; inside a group, in the order given.
  std::vector<Parameter> by_group() const;

 private:
  void add(std::string name, Variable value, std::size_t index);

  std::vector<Parameter> list_;
};

/// All settings are equal.
bool same_group(const Parameter& a, const Parameter& b);

}   // namespace fovea::optim
