// import.cpp: `fovea import`: weights of another program, or published ones, become a checkpoint that says what it is.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>

#include "examples/cli/commands.h"
#include "vision/weights/open_model.h"

namespace fovea::cli {
namespace {

struct ImportFlags {
  std::string in, out, model, names, filter, mean, std;
  vision::ImportOptions options;
  std::int64_t resize = 0;
};

std::vector<std::string> read_names(const std::string& path, std::size_t classes) {
  std::ifstream in(path);
  std::vector<std::string> names;
  for (std::string line; std::getline(in, line);) names.push_back(line);
  if (!in.eof()) throw Error(path + ": cannot be read");
  if (names.size() != classes)
    throw Error(fmt::format("{}: expected a name a line for each of {} classes, got {}", path, classes, names.size()));
  return names;
}

/// "0.5,0.5,0.5"
std::vector<float> per_channel(const char* flag, const std::string& text, std::int64_t channels) {
  std::vector<float> numbers;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find(',', at), text.size());
    float x = 0;
    const auto [stop, error] = std::from_chars(text.data() + at, text.data() + end, x);
    if (error != std::errc{} || stop != text.data() + end || !std::isfinite(x))
      throw UsageError(fmt::format("{}: expected numbers with commas between them, got '{}'", flag, text));
    numbers.push_back(x);
    at = end + 1;
  }
  if (std::ssize(numbers) != channels)
    throw UsageError(fmt::format("{}: expected a number for each of {} channels, got {}", flag, channels, numbers.size()));
  return numbers;
}

int import(const ImportFlags& flags) {
  vision::OpenedModel opened = vision::open_model(flags.in, flags.model, flags.options, stdout);
  vision::ModelCard& card = opened.model.card;
  if (!opened.report) throw Error(flags.in + ": a checkpoint of Fovea already; nothing to import");
  if (flags.resize > 0) card.resize = flags.resize;
  if (card.resize < card.height)
    throw UsageError(fmt::format("--resize: expected at least the image size {}, got {}", card.height, card.resize));
  if (!flags.filter.empty()) card.filter = flags.filter == "bicubic" ? vision::ResizeFilter::bicubic : vision::ResizeFilter::bilinear;
  for (const auto& [flag, given, own] : {std::tuple{"--mean", &flags.mean, &card.mean}, std::tuple{"--std", &flags.std, &card.std}})
    if (!given->empty()) *own = per_channel(flag, *given, card.channels);
  if (*std::min_element(card.std.begin(), card.std.end()) <= 0) throw UsageError("--std: expected numbers above 0");
  if (!flags.names.empty()) card.class_names = read_names(flags.names, card.class_names.size());
  vision::save_model(flags.out, *opened.model.network, card);
  fmt::print("{}", opened.report->str());
  fmt::print("{}: model {} with {} parameters, {} classes; pictures resized to {} ({}), {} x {} cut out\n", flags.out, card.model,
             with_commas(opened.model.network->parameter_count()), card.class_names.size(), card.resize,
             card.filter == vision::ResizeFilter::bicubic ? "bicubic" : "bilinear", card.height, card.width);
  return 0;
}

}   // namespace

void add_import(CommandLine& line) {
  Command command = line.command("import", "Make a checkpoint of weights from PyTorch, timm, mmpretrain, or of published ones.");
  auto flags = std::make_shared<ImportFlags>();
  vision::ImportOptions& o = flags->options;
  command.text("in", flags->in, "a .pth, .pt or .safetensors file, or published weights by name (resnet50, resnet50.IMAGENET1K_V1)",
               {.type = "FILE|NAME", .required = true});
  command.text("out", flags->out, "the checkpoint to write", {.type = "FILE", .required = true});
  command.text("--model", flags->model, "which network the weights are for [what published weights are for]", {.type = "NAME"});
  command.number("--classes", o.classes, "classes of the network; if the file has others, the classifier is new [the file's]",
                 {.low = 1, .high = 1000000});
  command.number("--image-size", o.image_size, "side of the pictures; position embeddings are resized to it [the weights']",
                 {.low = 1, .high = 65536});
  command.number("--channels", o.channels, "of the pictures [3]", {.low = 1, .high = 64});
  command.text("--key", o.key, "which dictionary of the file, as in model_ema [averaged weights first, then others]", {.type = "KEY"});
  command.flag("--strict", o.strict, "an entry that is missing, left over or of the wrong shape is an error");
  command.number("--resize", flags->resize,
                 "shorter side of pictures before their middle is cut out [published, or image size * 256 / 224]",
                 {.low = 1, .high = 65536});
  command.text("--interpolation", flags->filter, "of that resizing [published, or bilinear]", {.choices = {"bilinear", "bicubic"}});
  command.text("--mean", flags->mean, "of pixels / 255, per channel [published, or ImageNet's]", {.type = "R,G,B"});
  command.text("--std", flags->std, "likewise", {.type = "R,G,B"});
  command.text("--class-names", flags->names, "a text file, a class's name a line [ImageNet's for 1000 classes, else numbers]",
               {.type = "FILE"});
  command.action([flags] { return import(*flags); });
}

}   // namespace fovea::cli
