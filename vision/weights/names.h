// names.h: tables that turn another library's names of parameters into ours, and the little pattern language they are written in.
//
//   {"blocks.#.norm{1,2}.*", "encoder.layers.encoder_layer_#.ln_{1,2}.*"}
//
//   #         a number
//   {a,b,c}   one of these words; on the other side stands the word at the same place
//   *         the rest of the name; only at the end
//
// Both sides have the same wildcards in the same order. A name goes through the rules from the first to the last, and each that matches
// rewrites it. A rule without a right side leaves the entry out.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fovea::vision {

struct NameRule {
  std::string theirs, ours;
};

/// The name after one rule; nothing when it does not match.
std::optional<std::string> rewrite(std::string_view from, std::string_view to, std::string_view name);
inline bool matches(std::string_view pattern, std::string_view name) { return rewrite(pattern, pattern, name).has_value(); }

/// How one library names the parameters of some networks.
struct NamingScheme {
  std::string_view library;               // for people: "timm", "mmpretrain"
  std::vector<std::string_view> models;   // patterns of our models' names
  std::vector<NameRule> rules;
  double norm_eps = 0;             // of their batch norms; 0: as ours. Where it is another, scales are adapted (see import.h)
  bool unfolded_merging = false;   // Swin's patches are merged in the order of im2col: channel, row, column
};
/// Every scheme but the first, which is torchvision's: our own.
const std::vector<NamingScheme>& naming_schemes();

/// Their name as ours; "" for an entry to leave out. Names that no rule knows stay as they are.
std::string our_name(const NamingScheme& scheme, std::string_view theirs);

}   // namespace fovea::vision
