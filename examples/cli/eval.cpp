// eval.cpp: `fovea eval`: how good is the network in a checkpoint on a data set?
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "examples/cli/commands.h"
#include "vision/training/checkpoint.h"
#include "vision/training/recipe.h"
#include "vision/weights/names.h"
#include "vision/weights/published.h"

namespace fovea::cli {
namespace {

struct EvalFlags {
  ModelFlags network;
  std::string data = "mnist", data_dir, split, damaged = "error";
  std::int64_t limit = 0;
  MachineOptions machine;
  bool json = false;
};

/// The part of the data set that is asked for. How a validation part was split off is in the checkpoint's recipe.
vision::Pictures part_of(EvalFlags& flags, const vision::ModelCard& card) {
  vision::Recipe where, trained;
  try {
    const auto& fields = vision::recipe_fields();
    const auto field = std::find_if(fields.begin(), fields.end(), [](const auto& f) { return f.key == std::string("data"); });
    vision::set_field(where, *field, flags.data);
  } catch (const vision::RecipeError& e) {
    throw UsageError(std::string("--") + e.what());
  }
  if (!flags.data_dir.empty()) where.data_dir = flags.data_dir;
  try {
    trained = vision::parse_recipe(card.recipe, "recipe");
  } catch (const vision::RecipeError&) {   // of another version: its defaults
  }
  const auto load = [&](const std::string& part) {
    const vision::DataSplits data =
        load_data({.data = where.data,
                   .data_dir = where.data_dir,
                   .folder = {.channels = static_cast<int>(card.channels),
                              .val_fraction = trained.val_fraction,
                              .split_seed = static_cast<std::uint64_t>(trained.split_seed),
                              .damaged = flags.damaged == "skip" ? vision::Damaged::skip : vision::Damaged::error,
                              .only = part}},
                  flags.json ? stderr : stdout);
    return part == "test" ? data.test : part == "validation" ? data.validation : data.train;
  };
  const bool fallback = flags.split.empty();
  if (fallback) flags.split = "test";
  vision::Pictures pictures = load(flags.split);
  if (pictures.size() == 0 && fallback) {
    flags.split = "validation";
    pictures = load(flags.split);
  }
  if (pictures.size() == 0) throw Error(fmt::format("{}: expected {} pictures, got none", where.data_dir, flags.split));
  return pictures.first(flags.limit);
}

/// ImageNet's own folders are named n01440764 and so on; in order they are its classes.
bool has_wordnet_names(const vision::Pictures& pictures) {
  const auto& names = pictures.class_names();
  return names.size() == 1000 && std::all_of(names.begin(), names.end(), [](const std::string& n) { return vision::matches("n#", n); });
}

int eval(EvalFlags& flags) {
  std::FILE* const talk = flags.json ? stderr : stdout;
  flags.machine.apply(talk);
  const vision::LoadedModel model = flags.network.load(flags.machine.where(), talk);
  const vision::ModelCard& card = model.card;
  const vision::Pictures pictures = part_of(flags, card);
  if (pictures.class_names() != card.class_names && !(has_wordnet_names(pictures) && card.class_names == vision::imagenet_classes()))
    throw Error(fmt::format("{}: expected the {} classes of {}, got a network for {} others", flags.network.source(), pictures.classes(),
                            flags.data, card.class_names.size()));
  const vision::InputOptions input = vision::input_options(card);
  const vision::PictureShape got = pictures.shape(0);
  if (got.channels != card.channels || (input.resize == 0 && (got.height != card.height || got.width != card.width)))
    throw Error(fmt::format("{}: expected pictures of shape {}, got {} in {}", flags.network.source(),
                            Shape{card.height, card.width, card.channels}.str(), Shape{got.height, got.width, got.channels}.str(),
                            flags.data));
  const vision::Evaluation e = vision::evaluate(*model.network, pictures, {card.mean, card.std},
                                                {.device = flags.machine.where(), .dtype = flags.machine.dtype(), .input = input});
  if (flags.json) {
    std::vector<std::vector<std::int64_t>> confusion(card.class_names.size(), std::vector<std::int64_t>(card.class_names.size()));
    for (std::size_t i = 0; i < e.predictions.size(); ++i)
      ++confusion[static_cast<std::size_t>(pictures.label(static_cast<std::int64_t>(i)))][static_cast<std::size_t>(e.predictions[i])];
    fmt::print("{}\n", nlohmann::ordered_json{{"checkpoint", flags.network.source()},
                                              {"model", card.model},
                                              {"data", flags.data},
                                              {"split", flags.split},
                                              {"images", pictures.size()},
                                              {"top1", e.top1},
                                              {"loss", e.loss},
                                              {"classes", card.class_names},
                                              {"confusion", confusion}}
                           .dump());
    return 0;
  }
  fmt::print("{}, model {} with {} parameters\n", machine_text(flags.machine.where()), card.model,
             with_commas(model.network->parameter_count()));
  fmt::print("{} {}: accuracy {:.2f} % on {} pictures, loss {:.4f}\n", flags.data, flags.split, 100 * e.top1, with_commas(pictures.size()),
             e.loss);
  if (const std::string confused = confusion_text(pictures, e); !confused.empty()) fmt::print("most confused\n{}", confused);
  return 0;
}

}   // namespace

void add_eval(CommandLine& line) {
  Command command = line.command("eval", "Measure a checkpoint's accuracy on a data set.");
  auto flags = std::make_shared<EvalFlags>();
  flags->network.add_to(command);
  command.text("--data", flags->data, "the data set, by name or as a folder [mnist]", {.type = "mnist|folder:PATH"});
  command.text("--data-dir", flags->data_dir, "folder of the data set's files", {.type = "FOLDER"});
  command.text("--split", flags->split, "which part of it [test; where there is none, validation]",
               {.choices = {"test", "validation", "train"}});
  command.number("--limit", flags->limit, "the first so many pictures only", {.low = 1, .high = 1000000000});
  command.text("--damaged", flags->damaged, "image files that cannot be read: an error, or left out [error]",
               {.choices = {"error", "skip"}});
  flags->machine.add_to(command);
  command.flag("--json", flags->json, "print the result as JSON, with the confusion matrix (rows: true classes)");
  command.action([flags] { return eval(*flags); });
}

}   // namespace fovea::cli
