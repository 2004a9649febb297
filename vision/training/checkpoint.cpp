// checkpoint.cpp: cards and states to metadata and back, with every way a file can disappoint.
#include "vision/training/checkpoint.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "nn/init.h"
#include "nn/state.h"
#include "tensor/safetensors.h"
#include "vision/training/recipe.h"

namespace fovea::vision {
namespace {

using nlohmann::json;
constexpr const char* kVersion = "1";
constexpr const char* kOptimizer = "optimizer.";

TensorFile describe(nn::Module& network, const ModelCard& card) {
  TensorFile file = nn::state_dict(network);
  file.metadata = {{"format", "fovea"},
                   {"version", kVersion},
                   {"model", card.model},
                   {"input", json{card.height, card.width, card.channels}.dump()},
                   {"resize", json(card.resize).dump()},
                   {"classes", json(card.class_names).dump()},
                   {"mean", json(card.mean).dump()},
                   {"std", json(card.std).dump()},
                   {"recipe", card.recipe}};
  if (card.filter == ResizeFilter::bicubic) file.metadata["interpolation"] = "bicubic";
  return file;
}

/// read_safetensors has seen that the file is whole; this sees that it is ours.
struct Opened {
  TensorFile network;
  optim::State optimizer;
  ModelCard card;
};
Opened open(const std::filesystem::path& path, TensorFile file) {   // path: for messages
  const auto entry = [&](const char* key) -> const std::string& {
    const auto it = file.metadata.find(key);
    if (it == file.metadata.end())
      throw Error(detail::join(path.string(), ": not a checkpoint of Fovea: expected the metadata '", key, "', got none"));
    return it->second;
  };
  if (entry("format") != "fovea")
    throw Error(detail::join(path.string(), ": not a checkpoint of Fovea: expected format 'fovea', got '", entry("format"), "'"));
  if (entry("version") != kVersion)
    throw Error(detail::join(path.string(), ": expected a checkpoint of version ", kVersion, ", got ", entry("version")));
  Opened o;
  o.card.model = entry("model");
  o.card.recipe = entry("recipe");
  try {
    const auto input = json::parse(entry("input")).get<std::vector<std::int64_t>>();
    if (input.size() != 3) throw Error("expected three extents");
    o.card.height = input[0], o.card.width = input[1], o.card.channels = input[2];
    if (file.metadata.contains("resize")) o.card.resize = json::parse(entry("resize")).get<std::int64_t>();
    if (const auto it = file.metadata.find("interpolation"); it != file.metadata.end()) {
      if (it->second != "bilinear" && it->second != "bicubic")
        throw Error(detail::join(path.string(), ": damaged metadata: expected interpolation bilinear or bicubic, got '", it->second, "'"));
      o.card.filter = it->second == "bicubic" ? ResizeFilter::bicubic : ResizeFilter::bilinear;
    }
    o.card.class_names = json::parse(entry("classes")).get<std::vector<std::string>>();
    o.card.mean = json::parse(entry("mean")).get<std::vector<float>>();
    o.card.std = json::parse(entry("std")).get<std::vector<float>>();
  } catch (const json::exception& e) {
    throw Error(path.string() + ": damaged metadata: " + e.what());
  }
  const auto positive = [](float s) { return s > 0; };
  const std::int64_t longest = std::max(o.card.height, o.card.width);
  if (std::min({o.card.height, o.card.width, o.card.channels}) < 1 || longest > 65536 || (o.card.resize != 0 && o.card.resize < longest) ||
      o.card.class_names.empty() || std::ssize(o.card.mean) != o.card.channels || std::ssize(o.card.std) != o.card.channels ||
      !std::all_of(o.card.std.begin(), o.card.std.end(), positive))
    throw Error(path.string() + ": damaged metadata: input, classes, mean and std do not fit together");
  o.network.metadata = std::move(file.metadata);
  for (auto& [name, tensor] : file.tensors) {
    if (name.starts_with(kOptimizer))
      o.optimizer.emplace_back(std::move(name), std::move(tensor));
    else
      o.network.tensors.emplace_back(std::move(name), std::move(tensor));
  }
  return o;
}

/// An optimiser counts its parameters, "momentum.7"; a file names them and has PyTorch's layout, "optimizer.momentum.layer1.0.conv1.weight".
/// Entries that belong to no parameter ("steps") have no number.
struct OptimizerEntry {
  std::string disk_name;
  nn::DiskLayout layout = nn::DiskLayout::same;
};
OptimizerEntry on_disk(nn::Module& network, const std::string& name) {
  const std::size_t dot = name.rfind('.');
  if (dot == std::string::npos) return {kOptimizer + name};
  const auto [parameter, p] = network.parameters().at(std::stoul(name.substr(dot + 1)));
  return {kOptimizer + name.substr(0, dot + 1) + parameter, p->layout};
}

/// Why the entries are not those of the network, or "".
std::string misfit(nn::Module& network, const TensorFile& file) {
  const auto shapes = nn::state_shapes(network);
  const std::set<std::string> own = [&] {
    std::set<std::string> names;
    for (const auto& [name, shape] : shapes) names.insert(name);
    return names;
  }();
  std::string why;
  const auto note = [&](const std::string& line) { why += (why.empty() ? "" : "; ") + line; };
  std::vector<std::string> missing, unexpected;
  for (const auto& [name, shape] : shapes) {
    const Tensor* t = file.find(name);
    if (!t)
      missing.push_back(name);
    else if (t->shape() != shape)
      note(detail::join(name, ": expected ", shape, ", got ", t->shape()));
  }
  for (const auto& [name, tensor] : file.tensors)
    if (!own.contains(name)) unexpected.push_back(name);
  if (!missing.empty()) note(detail::join(missing.size(), " entries missing, first ", missing[0]));
  if (!unexpected.empty()) note(detail::join(unexpected.size(), " entries unexpected, first ", unexpected[0]));
  return why;
}

void require_fit(const std::filesystem::path& path, nn::Module& network, const Opened& o) {
  if (const std::string why = misfit(network, o.network); !why.empty())
    throw Error(detail::join(path.string(), ": does not fit model ", o.card.model, ": ", why));
}

void load_network(const std::filesystem::path& path, nn::Module& network, const Opened& o) {
  require_fit(path, network, o);
  if (const nn::LoadReport report = nn::load_state_dict(network, o.network); !report.complete())
    throw Error(detail::join(path.string(), ": does not fit model ", o.card.model, ":\n", report.str()));
}

}   // namespace

void save_model(const std::filesystem::path& path, nn::Module& network, const ModelCard& card) {
  write_safetensors(path, describe(network, card));
}

ModelOptions model_options(const ModelCard& card) {
  const std::int64_t size = std::max(card.height, card.width);
  ModelOptions o = network_options(parse_recipe(card.recipe, "recipe"));
  o.classes = std::ssize(card.class_names), o.channels = card.channels, o.image_size = size, o.small_images = size <= 64;
  return o;
}

LoadedModel load_model(const std::filesystem::path& path, Device device) { return load_model(path, read_safetensors(path), device); }

LoadedModel load_model(const std::filesystem::path& path, TensorFile file, Device device) {
  Opened o = open(path, std::move(file));
  LoadedModel m{.card = o.card, .network = nullptr};
  try {
    const nn::NoInit no_init;   // every weight comes from the file
    ModelOptions options = model_options(m.card);
    options.auxiliary_heads = o.network.find("aux1.fc1.weight") != nullptr;
    m.network = build(m.card.model, options);
    m.network->to(DType::f32, device);
  } catch (const Error& e) {
    throw Error(path.string() + ": " + e.what());
  }
  load_network(path, *m.network, o);
  m.network->eval();
  return m;
}

void save_training(const std::filesystem::path& path, nn::Module& network, const ModelCard& card, const optim::Optimizer& optimizer,
                   const TrainingState& p) {
  TensorFile file = describe(network, card);
  for (const auto& [name, tensor] : optimizer.state()) {
    const OptimizerEntry entry = on_disk(network, name);
    file.tensors.emplace_back(entry.disk_name, nn::to_disk(tensor, entry.layout));
  }
  file.metadata["state"] = json{
      {"epoch", p.epoch},
      {"step", p.step},
      {"loss_sum", p.loss_sum},
      {"images", p.images},
      {"correct", p.correct},
      {"best_val_loss", p.best_val_loss},
      {"best_val_top1", p.best_val_top1},
      {"best_epoch", p.best_epoch},
      {"generator_seed", p.generator_seed},
      {"generator_used",
       p.generator_used}}.dump();
  write_safetensors(path, file);
}

TrainingState load_training(const std::filesystem::path& path, nn::Module& network, const ModelCard& card, optim::Optimizer& optimizer) {
  const Opened o = open(path, read_safetensors(path));
  const auto text = o.network.metadata.find("state");
  if (text == o.network.metadata.end())
    throw Error(path.string() + ": holds a network but no training to continue: expected a last.safetensors");
  if (o.card.model != card.model)
    throw Error(detail::join(path.string(), ": expected a checkpoint of model ", card.model, ", got one of ", o.card.model));
  if (o.card.recipe != card.recipe) throw Error(path.string() + ": was trained with another recipe than the run's recipe.toml");
  TrainingState p;
  try {
    const json j = json::parse(text->second);
    p = {.epoch = j.at("epoch"),
         .step = j.at("step"),
         .loss_sum = j.at("loss_sum"),
         .images = j.at("images"),
         .correct = j.at("correct"),
         .best_val_loss = j.at("best_val_loss"),
         .best_val_top1 = j.at("best_val_top1"),
         .best_epoch = j.at("best_epoch"),
         .generator_seed = j.at("generator_seed"),
         .generator_used = j.at("generator_used")};
  } catch (const json::exception& e) {
    throw Error(path.string() + ": damaged metadata 'state': " + e.what());
  }
  optim::State memory = optimizer.state();   // in the optimiser's order, which need not be the file's
  for (auto& [name, tensor] : memory) {
    const OptimizerEntry entry = on_disk(network, name);
    const auto from = std::find_if(o.optimizer.begin(), o.optimizer.end(), [&](const auto& t) { return t.first == entry.disk_name; });
    if (from == o.optimizer.end()) throw Error(detail::join(path.string(), ": expected ", entry.disk_name, ", got none"));
    if (entry.layout != nn::DiskLayout::same && from->second.rank() != 4)
      throw Error(detail::join(path.string(), ": ", entry.disk_name, ": expected filters (K, C, R, S), got ", from->second.shape()));
    tensor = nn::to_memory(from->second, entry.layout);
  }
  require_fit(path, network, o);
  try {
    optimizer.load_state(memory);
  } catch (const Error& e) {
    throw Error(path.string() + ": " + e.what());
  }
  load_network(path, network, o);
  return p;
}

}   // namespace fovea::vision
