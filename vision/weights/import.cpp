#include "vision/weights/import.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <set>

#include "autograd/interpolate.h"
#include "nn/batch_norm.h"
#include "nn/init.h"
#include "vision/text.h"
#include "vision/weights/names.h"

namespace fovea::vision {
namespace {

using Entries = std::vector<std::pair<std::string, Tensor>>;
using Shapes = std::map<std::string, Shape>;

// ---- unwrap

/// Names under which programs keep a network's entries, the wanted first: averaged weights are what was evaluated. (mmengine swaps: there
/// the average is in state_dict.)
constexpr std::string_view kWrappers[] = {"state_dict_ema", "model_ema", "state_dict", "model_state_dict", "model_state",
                                          "model",          "net",       "network",    "ema_state_dict",   "ema",
                                          "weights",        "params",    "module",     "_orig_mod"};

/// Leaves the entries below `key` under their shorter names; false, and nothing has changed, when there are none.
bool enter(Entries& entries, const std::string& key) {
  const std::string prefix = key + ".";
  const auto below = [&](const auto& e) { return e.first.starts_with(prefix); };
  if (std::none_of(entries.begin(), entries.end(), below)) return false;
  std::erase_if(entries, [&](const auto& e) { return !below(e); });
  for (auto& e : entries) e.first.erase(0, prefix.size());
  return true;
}

std::string unwrap(Entries& entries, const std::string& wanted) {
  if (!wanted.empty()) {
    if (!enter(entries, wanted)) throw Error(detail::join("the file has no entries under \"", wanted, "\""));
    return wanted;
  }
  std::string path;
  for (int depth = 0; depth < 4; ++depth) {
    const auto found =
        std::find_if(std::begin(kWrappers), std::end(kWrappers), [&](std::string_view key) { return enter(entries, std::string(key)); });
    if (found == std::end(kWrappers)) break;
    path += (path.empty() ? "" : ".") + std::string(*found);
  }
  return path;
}

// ---- translate

/// Entries that follow from the network alone, or count training steps only: files may lack them.
bool is_constant(std::string_view name) { return name.ends_with(".num_batches_tracked") || name.ends_with(".relative_position_index"); }

struct Translated {
  Entries entries;
  const NamingScheme* scheme;
  std::vector<std::string> left_out;   // their names
};

Translated translate(const std::string& model, Entries entries, const Shapes& expected) {
  static const NamingScheme ours{.library = "torchvision", .models = {}, .rules = {}};
  std::vector<const NamingScheme*> candidates{&ours};
  for (const NamingScheme& s : naming_schemes())
    if (std::any_of(s.models.begin(), s.models.end(), [&](std::string_view pattern) { return matches(pattern, model); }))
      candidates.push_back(&s);
  const NamingScheme* best = nullptr;
  std::size_t most = 0;
  for (const NamingScheme* s : candidates) {
    const auto known = static_cast<std::size_t>(
        std::count_if(entries.begin(), entries.end(), [&](const auto& e) { return expected.contains(our_name(*s, e.first)); }));
    if (!best || known > most) best = s, most = known;
  }
  Translated t{.entries = {}, .scheme = best, .left_out = {}};
  for (auto& [name, tensor] : entries) {
    const std::string renamed = our_name(*best, name);
    if (renamed.empty())
      t.left_out.push_back(name);
    else
      t.entries.emplace_back(renamed, std::move(tensor));
  }
  std::set<std::string> seen;
  for (const auto& [name, tensor] : t.entries)
    if (!seen.insert(name).second) throw Error(detail::join("two entries of the file are our \"", name, "\""));
  return t;
}

// ---- fit

Shape without_ones(const Shape& s) {
  std::vector<std::int64_t> extents;
  for (int i = 0; i < s.rank(); ++i)
    if (s[i] != 1) extents.push_back(s[i]);
  return Shape(extents);
}

/// The same numbers in another shape: axes of one, or the filters that a classifier applies to a whole feature map as a matrix.
bool same_numbers(const Shape& a, const Shape& b) {
  if (without_ones(a) == without_ones(b)) return true;
  return a.elements() == b.elements() && std::min(a.rank(), b.rank()) == 2 && std::max(a.rank(), b.rank()) == 4 && a[0] == b[0];
}

/// Columns of im2col's order, 4 c + 2 row + column, to four neighbours side by side, (2 column + row) C + c: Swin's own code takes the
/// neighbours column by column.
Tensor refold(const Tensor& t) {
  const std::int64_t rows = t.rank() == 2 ? t.dim(0) : 1, width = t.dim(t.rank() - 1), C = width / 4;
  Tensor out = Tensor::empty(t.shape(), t.dtype());
  const std::size_t item = size_of(t.dtype());
  const auto* from = static_cast<const std::byte*>(t.raw());
  auto* to = static_cast<std::byte*>(out.raw());
  for (std::int64_t k = 0; k < rows; ++k)
    for (std::int64_t c = 0; c < C; ++c)
      for (std::int64_t r = 0; r < 2; ++r)
        for (std::int64_t q = 0; q < 2; ++q)
          std::memcpy(to + static_cast<std::size_t>(k * width + (2 * q + r) * C + c) * item,
                      from + static_cast<std::size_t>(k * width + 4 * c + 2 * r + q) * item, item);
  return out;
}

/// The whole s with s * s = n; 0 when there is none.
std::int64_t root(std::int64_t n) {
  const auto s = static_cast<std::int64_t>(std::llround(std::sqrt(static_cast<double>(n))));
  return s * s == n ? s : 0;
}

constexpr const char* kPosition = "encoder.pos_embedding";

/// Position embeddings for another grid (Dosovitskiy et al. 2021, section 3.2): bicubic; the embeddings of the tokens in front stay.
/// Undefined when the shapes are no grids.
Tensor resize_positions(const Tensor& t, const Shape& wanted, std::int64_t tokens) {
  if (t.rank() != 3 || wanted.rank() != 3 || t.dim(0) != 1 || wanted[2] != t.dim(2) || t.dim(1) <= tokens) return {};
  const std::int64_t width = t.dim(2), from = root(t.dim(1) - tokens), to = root(wanted[1] - tokens);
  if (from == 0 || to == 0) return {};
  const NoGrad no_grad;
  const Tensor table = t.to(DType::f32).reshape({t.dim(1), width});
  const Tensor grid = table.slice(tokens, t.dim(1)).clone().reshape({1, from, from, width});
  const Tensor resized = interpolate(Variable(grid), {.size = {to, to}, .mode = Interpolation::bicubic}).value();
  Tensor out = Tensor::empty(wanted);
  const auto row = static_cast<std::size_t>(width) * sizeof(float);
  std::memcpy(out.raw(), table.raw(), static_cast<std::size_t>(tokens) * row);
  std::memcpy(static_cast<std::byte*>(out.raw()) + static_cast<std::size_t>(tokens) * row, resized.raw(), resized.bytes());
  return out;
}

/// Of class and distillation tokens.
std::int64_t tokens_of(const Shapes& shapes) {
  return (shapes.contains("class_token") ? 1 : 0) + (shapes.contains("distillation_token") ? 1 : 0);
}

void fit(Translated& t, const Shapes& expected, std::vector<std::string>& notes) {
  for (auto& [name, tensor] : t.entries) {
    const auto own = expected.find(name);
    if (own == expected.end()) continue;
    const bool merging = name.ends_with(".reduction.weight") || name.ends_with("norm.weight") || name.ends_with("norm.bias");
    if (t.scheme->unfolded_merging && merging && matches("features.{2,4,6}.*", name) && tensor.shape() == own->second)
      tensor = refold(tensor);
    if (tensor.shape() == own->second) continue;
    if (same_numbers(tensor.shape(), own->second)) {
      tensor = tensor.reshape(own->second);
    } else if (name == kPosition) {
      const Shape before = tensor.shape();
      if (Tensor resized = resize_positions(tensor, own->second, tokens_of(expected)); resized.defined()) {
        tensor = resized;
        notes.push_back(detail::join("position embeddings resized from ", before, " to ", own->second, ", bicubic"));
      }
    }
  }
}

/// The same function with our epsilon: gamma / sqrt(v + e) = gamma' / sqrt(v + e').
int adapt_norms(nn::Module& network, double eps) {
  int changed = 0;
  network.apply([&](nn::Module& m) {
    auto* norm = dynamic_cast<nn::BatchNorm2d*>(&m);
    if (!norm || norm->options().eps == eps) return;
    Variable weight = norm->parameter("weight");
    Tensor gamma = weight.value().to(DType::f64).clone();
    const Tensor variance = norm->running_var().to(DType::f64);
    for (std::int64_t c = 0; c < gamma.elements(); ++c)
      gamma.data<double>()[c] *= std::sqrt((variance.data<double>()[c] + norm->options().eps) / (variance.data<double>()[c] + eps));
    weight.assign(gamma.to(weight.dtype()).to(weight.value().device()));
    ++changed;
  });
  return changed;
}

/// Classes that the file's classifier has where it is not ours, told by the entries that differ in their first extent only: all from ours
/// to the same other number. 0: none.
std::int64_t other_classes(const Translated& t, const Shapes& expected, std::int64_t classes) {
  std::int64_t other = 0;
  for (const auto& [name, tensor] : t.entries) {
    const auto own = expected.find(name);
    if (own == expected.end() || tensor.shape() == own->second || own->second.rank() == 0 || own->second.rank() != tensor.rank()) continue;
    if (own->second[0] != classes) continue;
    bool rest = true;
    for (int i = 1; i < tensor.rank(); ++i) rest = rest && own->second[i] == tensor.dim(i);
    if (!rest || (other != 0 && other != tensor.dim(0))) return 0;
    other = tensor.dim(0);
  }
  return other;
}

/// The classes of a network: the extent of the last entry of rank 1, which in every family is its classifier's bias.
std::int64_t classes_of(const std::vector<std::pair<std::string, Shape>>& shapes) {
  for (auto it = shapes.rbegin(); it != shapes.rend(); ++it)
    if (it->second.rank() == 1 && it->first.ends_with("bias")) return it->second[0];
  return 0;
}

Shapes by_name(const std::vector<std::pair<std::string, Shape>>& shapes) { return {shapes.begin(), shapes.end()}; }

Translated prepare(const std::string& model, const WeightFile& file, const ImportOptions& o, const Shapes& expected, std::string& key) {
  if (file.tensors.tensors.empty()) throw Error("the file has no tensors but those within Python's objects; save the network's state_dict");
  Entries entries = file.tensors.tensors;   // shares the memory
  std::erase_if(entries, [](const auto& e) { return e.first.starts_with("optimizer."); });
  key = unwrap(entries, o.key);
  return translate(model, std::move(entries), expected);
}

}   // namespace

std::string ImportReport::str() const {
  std::string out = detail::join(format, key.empty() ? "" : ", dictionary \"" + key + "\"", ", names of ", library, ": ", load.str());
  for (const std::string& note : notes) out += "  note: " + note + "\n";
  return out;
}

ImportReport load_weights(Classifier& network, const std::string& model, const WeightFile& file, const ImportOptions& o) {
  const auto shapes = nn::state_shapes(network);
  const Shapes expected = by_name(shapes);
  ImportReport report{.format = file.format, .key = {}, .library = {}, .load = {}, .fresh = false, .notes = {}};
  Translated t = prepare(model, file, o, expected, report.key);
  report.library = t.scheme->library;
  fit(t, expected, report.notes);

  // A classifier for other classes keeps its first values.
  const std::int64_t classes = classes_of(shapes), other = other_classes(t, expected, classes);
  std::vector<std::string> fresh;
  if (other != 0)
    std::erase_if(t.entries, [&](const auto& e) {
      const auto own = expected.find(e.first);
      const bool head = own != expected.end() && own->second.rank() > 0 && own->second[0] == classes && e.second.shape() != own->second;
      if (head) fresh.push_back(e.first);
      return head;
    });
  // Auxiliary heads that the network was built without.
  std::vector<std::string> auxiliary;
  if (!expected.contains("aux1.fc1.weight"))
    std::erase_if(t.entries, [&](const auto& e) {
      const bool aux = matches("aux{1,2}.*", e.first);
      if (aux) auxiliary.push_back(e.first);
      return aux;
    });

  std::ptrdiff_t fits = 0;
  for (const auto& [name, tensor] : t.entries)
    if (const auto own = expected.find(name); own != expected.end() && own->second == tensor.shape()) ++fits;
  if (2 * fits < std::count_if(
                     shapes.begin(), shapes.end(), [](const auto& s) { return !is_constant(s.first); })) {
    std::vector<std::string> names;
    for (const auto& [name, tensor] : file.tensors.tensors) names.push_back(name);
    throw Error(detail::join("not weights of ", model, ": of its ", shapes.size(), " entries ", fits, " are in the file, which has ",
                             names.size(), " (", listed(names, 3), "), under the names of any library that is known for it"));
  }
  report.load = nn::load_state_dict(network, {.tensors = std::move(t.entries), .metadata = {}});
  if (t.scheme->norm_eps != 0)
    if (const int changed = adapt_norms(network, t.scheme->norm_eps))
      report.notes.push_back(
          detail::join(changed, " batch norms had an epsilon of ", t.scheme->norm_eps, ": their scales were adapted to ours"));

  report.fresh = !fresh.empty();
  std::vector<std::string> constants;
  std::erase_if(report.load.missing, [&](const std::string& name) {
    const bool constant = is_constant(name);
    if (constant) constants.push_back(name);
    return constant || std::find(fresh.begin(), fresh.end(), name) != fresh.end();
  });
  if (!fresh.empty())
    report.notes.push_back(
        detail::join("the file is for ", other, " classes, the network for ", classes, ": its classifier is new (", listed(fresh, 4), ")"));
  if (!auxiliary.empty()) report.notes.push_back(detail::join(auxiliary.size(), " entries of auxiliary heads left out"));
  if (!constants.empty())
    report.notes.push_back(detail::join(constants.size(), " entries that are constant or count steps kept as they were"));
  if (!t.left_out.empty()) report.notes.push_back(detail::join(t.left_out.size(), " constant entries of the file left out"));
  const std::size_t elsewhere = file.tensors.tensors.size() - report.load.matched.size() - report.load.unexpected.size() -
                                report.load.wrong_shape.size() - fresh.size() - auxiliary.size() - t.left_out.size();
  if (elsewhere > 0) report.notes.push_back(detail::join(elsewhere, " tensors elsewhere in the file not read"));
  if (!file.ignored.empty())
    report.notes.push_back("not made, as nothing but tensors is: " + listed({file.ignored.begin(), file.ignored.end()}, 8));
  if (o.strict && (!report.load.complete() || !fresh.empty()))
    throw Error(detail::join("does not fit ", model, " exactly:\n", report.str()));
  return report;
}

Imported import_weights(const std::string& model, const WeightFile& file, const ImportOptions& o) {
  Imported result;
  constexpr std::int64_t kGuess = 1000;
  ModelOptions options{.classes = o.classes > 0 ? o.classes : kGuess, .channels = o.channels};
  const std::int64_t size = vision::model(model).size;
  options.image_size = o.image_size;
  const auto make = [&] {
    const nn::NoInit no_init;
    options.small_images = (options.image_size > 0 ? options.image_size : size) <= 64;   // as checkpoints say it: model_options()
    return build(model, options);
  };
  {   // a first look at the names
    const auto first = make();
    const auto shapes = nn::state_shapes(*first);
    const Shapes expected = by_name(shapes);
    std::string key;
    const Translated t = prepare(model, file, o, expected, key);
    if (o.classes == 0)
      if (const std::int64_t other = other_classes(t, expected, kGuess)) options.classes = other;
    for (const auto& [name, tensor] : t.entries) {
      if (name == "aux1.fc1.weight") options.auxiliary_heads = true;
      const auto own = expected.find(name);
      if (name == kPosition && o.image_size == 0 && own != expected.end() && tensor.rank() == 3 && tensor.shape() != own->second) {
        const std::int64_t tokens = tokens_of(expected), from = root(tensor.dim(1) - tokens), ours = root(own->second[1] - tokens);
        if (from > 0 && ours > 0) options.image_size = size / ours * from;
      }
    }
  }
  // Random first values would take longer than reading: only where something keeps them.
  result.network = make();
  result.report = load_weights(*result.network, model, file, o);
  if (result.report.fresh || !result.report.load.missing.empty() || !result.report.load.wrong_shape.empty()) {
    result.network = build(model, options);
    result.report = load_weights(*result.network, model, file, o);
  }
  result.network->eval();
  result.classes = options.classes;
  result.image_size = options.image_size > 0 ? options.image_size : size;
  return result;
}

}   // namespace fovea::vision
