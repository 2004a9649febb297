// import.cpp: `fovea import`: weights of another program, or published ones, become a checkpoint that says what it is.
#include <fmt/format.h>

#include <fstream>

#include "examples/cli/commands.h"
#include "vision/weights/open_model.h"

namespace fovea::cli {
namespace {

struct ImportFlags {
  std::string in, out, model, names, filter;
  vision::ImportOptions options;
  std::int64_t resize = 0;
  std::vector<float> mean, std;
};

std::vector<std::string> read_names(const std::string& path, std::size_t classes) {
  std::ifstream in(path);
  std::vector<std::string> names;
  for (std::string line; std::getline(in, line);) names.push_back(line);
  if (!in.eof()) throw Error(path + ": cannot be read");
  if (names.size() != classes) throw Error(fmt::format("{}: expected a name a line for each of {} classes, got {}", path, classes, names.size()));
  return names;
}

int import(const ImportFlags& flags) {
  vision::OpenedModel opened = vision::open_model(flags.in, flags.model, flags.options, stdout);
  vision::ModelCard& card = opened.model.card;
  if (!opened.report) throw Error(flags.in + ": a checkpoint of Fovea already; nothing to import");
  if (flags.resize > 0) card.resize = flags.resize;
  if (card.resize < card.height) throw UsageError(fmt::format("--resize: expected at least the image size {}, got {}", card.height, card.resize));
  if (!flags.filter.empty()) card.filter = flags.filter == "bicubic" ? vision::ResizeFilter::bicubic : vision::ResizeFilter::bilinear;
  for (const auto& [flag, given, own] : {std::tuple{"--mean", &flags.mean, &card.mean}, std::tuple{"--std", &flags.std, &card.std}})
    if (!given->empty()) {
      if (std::ssize(*given) != card.channels)
        throw UsageError(fmt::format("{}: expected a number for each of {} channels, got {}", flag, card.channels, given->size()));
      *own = *given;
    }
  if (!flags.names.empty()) card.class_names = read_names(flags.names, card.class_names.size());
  vision::save_model(flags.out, *opened.model.network, card);
  fmt::print("{}", opened.report->str());
  fmt::print("{}: model {} with {} parameters, {} classes; pictures resized to {} ({}), {} x {} cut out\n", flags.out, card.model,
             with_commas(opened.model.network->parameter_count()), card.class_names.size(), card.resize,
             card.filter == vision::ResizeFilter::bicubic ? "bicubic" : "bilinear", card.height, card.width);
  return 0;
}

}   // namespace

void add_import(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("import", "Make a checkpoint of weights from PyTorch, timm, mmpretrain, or of published ones.");
  auto flags = std::make_shared<ImportFlags>();
  command->add_option("in", flags->in, "a .pth, .pt or .safetensors file, or published weights by name (resnet50, resnet50.IMAGENET1K_V1)")
      ->required()
      ->type_name("FILE|NAME");
  command->add_option("out", flags->out, "the checkpoint to write")->required()->type_name("FILE");
  command->add_option("--model", flags->model, "which network the weights are for [what published weights are for]")->type_name("NAME");
  command->add_option("--classes", flags->options.classes, "classes of the network; if the file has others, the classifier is new [the file's]")
      ->check(CLI::Range(1, 1000000))
      ->type_name("1..1000000");
  command->add_option("--image-size", flags->options.image_size, "side of the pictures; position embeddings are resized to it [the weights']")
      ->check(CLI::Range(1, 65536))
      ->type_name("1..65536");
  command->add_option("--channels", flags->options.channels, "of the pictures [3]")->check(CLI::Range(1, 64))->type_name("1..64");
  command->add_option("--key", flags->options.key, "which dictionary of the file, as in model_ema [averaged weights first, then others]")
      ->type_name("KEY");
  command->add_flag("--strict", flags->options.strict, "an entry that is missing, left over or of the wrong shape is an error");
  command->add_option("--resize", flags->resize, "the shorter side of pictures before their middle is cut out [published, or size * 256 / 224]")
      ->check(CLI::Range(1, 65536))
      ->type_name("1..65536");
  command->add_option("--interpolation", flags->filter, "of that resizing [published, or bilinear]")
      ->check(CLI::IsMember({"bilinear", "bicubic"}))
      ->type_name("bilinear|bicubic");
  command->add_option("--mean", flags->mean, "of pixels / 255, per channel [published, or ImageNet's]")->delimiter(',')->type_name("R,G,B");
  command->add_option("--std", flags->std, "likewise")->delimiter(',')->type_name("R,G,B");
  command->add_option("--class-names", flags->names, "a text file with a class's name a line [ImageNet's for 1000 classes, else numbers]")
      ->type_name("FILE");
  command->callback([=, &action] { action = [flags] { return import(*flags); }; });
}

}   // namespace fovea::cli
