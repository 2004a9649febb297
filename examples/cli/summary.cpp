// summary.cpp: `fovea summary NAME`: what each layer of a network gives and costs, and what training it would take. Nothing is computed: the
// network is built and run on Device::meta.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "examples/cli/commands.h"
#include "vision/analysis/network_cost.h"

namespace fovea::cli {
namespace {

using vision::LayerCost, vision::NetworkCost;

constexpr std::size_t kColumns = 120;

struct SummaryFlags {
  std::string model;
  std::int64_t size = 0, classes = 0, channels = 0, batch = 1;   // 0: as it was published
  int depth = -1;
  bool small_images = false, auxiliary_heads = false, recompute = false, train = false;
};

/// "97.5 KiB": four digits at most before the unit changes.
std::string bytes_text(std::size_t bytes) {
  double value = static_cast<double>(bytes);
  const char* unit = "B";
  for (const char* next : {"KiB", "MiB", "GiB", "TiB"}) {
    if (value < 1000) break;
    value /= 1024, unit = next;
  }
  return unit[0] == 'B' ? fmt::format("{} B", bytes) : fmt::format("{:.{}f} {}", value, value < 10 ? 2 : value < 100 ? 1 : 0, unit);
}

/// One line of the table.
using Cells = std::array<std::string, 6>;
Cells cells(const LayerCost& l, std::int64_t all, const std::string& name) {
  return {
      l.depth == 0 ? name : l.path,
      l.ran == LayerCost::Ran::itself  ? l.output.str()
      : l.ran == LayerCost::Ran::fused ? "fused"
                                       : "-",
      l.parameters > 0 ? with_commas(l.parameters) : "-",
      l.multiply_adds > 0 ? with_commas(l.multiply_adds) : "-",
      l.multiply_adds > 0 && all > 0 ? fmt::format("{:.1f} %", 100 * static_cast<double>(l.multiply_adds) / static_cast<double>(all)) : "-",
      l.kept > 0 ? bytes_text(l.kept) : "-"};
}

void print_table(const NetworkCost& cost, const SummaryFlags& flags) {
  std::vector<Cells> lines{{"layer", "output", "parameters", "multiply-adds", "share", "kept"}};
  for (const LayerCost& l : cost.layers)
    if (flags.depth < 0 || l.depth <= flags.depth) lines.push_back(cells(l, cost.total().multiply_adds, flags.model));
  std::array<std::size_t, 6> width{};
  for (const Cells& line : lines)
    for (std::size_t i = 0; i < line.size(); ++i) width[i] = std::max(width[i], line[i].size());
  std::size_t others = 0;
  for (std::size_t i = 1; i < width.size(); ++i) others += width[i] + 2;
  width[0] = std::min(width[0], others + 20 < kColumns ? kColumns - others : 20);
  for (const Cells& line : lines) {
    std::string path = line[0];
    if (path.size() > width[0]) path = ".." + path.substr(path.size() - width[0] + 2);   // its end tells more than its beginning
    fmt::print("{:<{}}  {:<{}}  {:>{}}  {:>{}}  {:>{}}  {:>{}}\n", path, width[0], line[1], width[1], line[2], width[2], line[3], width[3],
               line[4], width[4], line[5], width[5]);
  }
}

void print_training(const NetworkCost& cost, const SummaryFlags& flags, const vision::ModelOptions& o) {
  const std::size_t activations = cost.total().kept + cost.input;
  fmt::print("\nmemory of training with batch {}, float32\n{:<9}  {:>10}  {:>10}  {:>10}  {:>11}  {:>10}\n", flags.batch, "optimiser",
             "parameters", "gradients", "its state", "activations", "together");
  for (const vision::OptimizerCost& c : vision::optimizer_costs(flags.model, o))
    fmt::print("{:<9}  {:>10}  {:>10}  {:>10}  {:>11}  {:>10}\n", c.optimizer, bytes_text(c.parameters), bytes_text(c.gradients),
               c.state > 0 ? bytes_text(c.state) : "-", bytes_text(activations),
               bytes_text(c.parameters + c.gradients + c.state + activations));
  fmt::print(
      "activations: what the forward pass keeps for the backward pass, the images included. Not counted: what both passes\n"
      "hold for a moment: workspaces of kernels, gradients of activations (the largest two or three at a time).\n");
}

int summary(const SummaryFlags& flags) {
  const vision::ModelEntry* entry = nullptr;
  try {
    entry = &vision::model(flags.model);
  } catch (const Error& e) {
    throw UsageError(e.what());
  }
  const std::int64_t size = flags.size > 0 ? flags.size : flags.small_images ? std::min<std::int64_t>(entry->size, 32) : entry->size;
  const vision::ModelOptions o{.classes = flags.classes > 0 ? flags.classes : entry->classes,
                               .channels = flags.channels > 0 ? flags.channels : entry->channels,
                               .image_size = size,
                               .small_images = flags.small_images,
                               .auxiliary_heads = flags.auxiliary_heads,
                               .recompute = flags.recompute};
  try {
    entry->check(o);
  } catch (const ShapeError& e) {
    throw UsageError(e.what());
  }
  NetworkCost cost;
  try {
    cost = vision::network_cost(flags.model, o, size, flags.batch);
  } catch (const ShapeError& e) {
    const std::int64_t larger = vision::size_that_works(flags.model, o, size),
                       works = larger > 0 ? larger : vision::size_that_works(flags.model, o, 1);
    throw UsageError(fmt::format("{} does not take images of size {}; {} {} ({})", flags.model, size,
                                 larger > 0 ? "the smallest size from there on is" : "one that it takes is", works, e.what()));
  }
  if (flags.train && !cost.cannot_train.empty())
    throw UsageError(fmt::format("{} cannot be trained with batch {}: {}", flags.model, flags.batch, cost.cannot_train));
  fmt::print("{}: {}\n{}\n", entry->name, entry->description, entry->paper);
  fmt::print("images ({}, {}, {}, {}), {} classes\n\n", flags.batch, size, size, o.channels, o.classes);
  print_table(cost, flags);
  fmt::print(
      "\nA line counts all below it. Multiply-adds: of the batch, in convolutions, fully connected layers and both products of\n"
      "attention; no biases, norms, activations, pooling, sums. Kept: what a training pass holds of it for the backward pass.\n"
      "Fused: a norm that its convolution applies. An output of -: not run as a whole, or not in evaluation.\n");
  fmt::print("forward pass alone: at most {} of images and activations at a time\n", bytes_text(cost.inference_peak));
  if (!cost.cannot_train.empty()) fmt::print("no training pass with batch {}: {}\n", flags.batch, cost.cannot_train);
  if (flags.train) print_training(cost, flags, o);
  return 0;
}

}   // namespace

void add_summary(CommandLine& line) {
  Command command = line.command("summary", "Show a network layer by layer: shapes, parameters, multiply-adds, memory.");
  auto flags = std::make_shared<SummaryFlags>();
  command.text("model", flags->model, "its name; see models", {.type = "NAME", .required = true});
  command.number("--size", flags->size, "pixels a side of the images [as published]", {.low = 1, .high = 4096});
  command.number("--classes", flags->classes, "classes [as published]", {.low = 1, .high = 1000000});
  command.number("--channels", flags->channels, "channels of the images [as published]", {.low = 1, .high = 4096});
  command.number("--batch", flags->batch, "images [1]", {.low = 1, .high = 65536});
  command.flag("--small-images", flags->small_images, "the stem for images of 28 to 64 pixels; size 32 if none is given");
  command.flag("--auxiliary-heads", flags->auxiliary_heads, "with GoogLeNet's side classifiers");
  command.flag("--recompute", flags->recompute, "blocks run again in the backward pass");
  command.flag("--train", flags->train, "also the memory of training, with each optimiser");
  command.number("--depth", flags->depth, "fold what lies deeper than this [show all]", {.low = 0, .high = 100});
  command.action([flags] { return summary(*flags); });
}

}   // namespace fovea::cli
