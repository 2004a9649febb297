// compare.cpp: `fovea compare`: the first layer whose output is not PyTorch's, and what would explain it.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "examples/cli/given_network.h"
#include "vision/text.h"

namespace fovea::cli {
namespace {

struct CompareFlags {
  NetworkFlags network;
  std::string activations, tolerance = "1e-4";
};

std::string error_text(const vision::LayerComparison& c) { return c.problem.empty() ? fmt::format("{:.1e}", c.error) : c.problem; }

/// What is wrong with the first that differs, after "NAME is the first that differs: ".
std::string difference_text(const vision::ActivationComparison& result) {
  const vision::LayerComparison& c = result.layers[*result.first];
  if (c.problem == "other shape") return fmt::format("its shape is {}, in the file {}", c.ours.str(), c.theirs.str());
  if (!c.problem.empty()) return c.problem;
  double before = 0;
  for (std::size_t i = 0; i < *result.first; ++i) before = std::max(before, result.layers[i].error);
  return fmt::format("by {:.1e} of the largest value; before it the largest error was {:.1e}", c.error, before);
}

int compare(const CompareFlags& flags) {
  flags.network.machine.apply(stderr);
  char* end = nullptr;
  const double tolerance = std::strtod(flags.tolerance.c_str(), &end);
  if (*end != 0 || flags.tolerance.empty() || !(tolerance > 0 && tolerance < 1))
    throw UsageError(fmt::format("--tolerance {}: expected a number between 0 and 1", flags.tolerance));
  const TensorFile file = read_safetensors(flags.activations);
  const Tensor x = given_tensor(file, flags.activations, "x", 4);
  const auto net = given_network(flags.network, flags.network.layout == "nchw" ? x.dim(1) : x.dim(3));
  const vision::ActivationComparison result =
      vision::compare_activations(*net, file, flags.network.image_layout(), tolerance, flags.network.machine.dtype());

  std::size_t width = 5, shape = 5;
  for (const auto& c : result.layers) width = std::max(width, c.layer.size()), shape = std::max(shape, c.ours.str().size());
  fmt::print("{:<{}}  {:<{}}  relative error\n", "layer", width, "shape", shape);
  for (std::size_t i = 0; i < result.layers.size(); ++i)
    fmt::print("{:<{}}  {:<{}}  {}{}\n", result.layers[i].layer, width, result.layers[i].ours.str(), shape, error_text(result.layers[i]),
               result.first == i ? "  <- the first that differs" : "");
  if (!result.not_in_file.empty()) fmt::print("not in the file: {}\n", vision::listed(result.not_in_file, 6));
  if (!result.not_in_network.empty()) fmt::print("not in the network: {}\n", vision::listed(result.not_in_network, 6));
  if (!result.first) {
    fmt::print("all {} layers are equal within {:g}\n", result.layers.size(), tolerance);
    return 0;
  }
  const vision::LayerComparison& c = result.layers[*result.first];
  fmt::print("\n{}, {}, is the first that differs: {}\n", c.layer, c.description, difference_text(result));
  for (const std::string& suspect : result.suspects) fmt::print("  {}\n", suspect);
  if (result.suspects.empty() && (c.problem.empty() || c.problem == "other shape"))
    fmt::print("  no other epsilon, padding, activation or layout explains it: compare the weights\n");
  return kExitError;
}

}   // namespace

void add_compare(CommandLine& line) {
  Command command = line.command("compare", "Find the first layer whose output differs from PyTorch's, and why.");
  auto flags = std::make_shared<CompareFlags>();
  flags->network.layout = "nchw";   // PyTorch's
  flags->network.add_to(command);
  command.text("--activations", flags->activations,
               "safetensors with the input \"x\" and layers' outputs under their names; tests/parity/dump_activations.py writes one",
               {.type = "FILE", .required = true});
  command.text("--tolerance", flags->tolerance, "relative error up to which outputs are equal [1e-4]", {.type = "NUMBER"});
  command.action([flags] { return compare(*flags); });
}

}   // namespace fovea::cli
