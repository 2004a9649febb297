// eval.cpp: `fovea eval`: how good is the network in a checkpoint on a data set?
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "examples/cli/commands.h"
#include "vision/training/checkpoint.h"

namespace fovea::cli {
namespace {

struct EvalFlags {
  std::string checkpoint, data = "mnist", data_dir, split = "test";
  std::int64_t limit = 0;
  MachineOptions machine;
  bool json = false;
};

int eval(const EvalFlags& flags) {
  flags.machine.apply();
  const vision::LoadedModel model = vision::load_model(flags.checkpoint, flags.machine.where());
  const vision::ModelCard& card = model.card;
  const vision::DataSplits data = load_data(flags.data, flags.data_dir);
  const vision::ImageSet& split = flags.split == "test" ? data.test : flags.split == "validation" ? data.validation : data.train;
  const vision::ImageSet set = vision::first_pictures(split, flags.limit);
  if (set.class_names != card.class_names)
    throw Error(fmt::format("{}: expected the {} classes of {}, got a network for {} others", flags.checkpoint, set.classes(), flags.data,
                            card.class_names.size()));
  const Shape expected{card.height, card.width, card.channels}, got{set.images.dim(1), set.images.dim(2), set.images.dim(3)};
  if (!(expected == got))
    throw Error(fmt::format("{}: expected pictures of shape {}, got {} in {}", flags.checkpoint, expected.str(), got.str(), flags.data));
  const vision::Evaluation e = vision::evaluate(*model.network, set, {card.mean, card.std}, flags.machine.where());
  if (flags.json) {
    std::vector<std::vector<std::int64_t>> confusion(card.class_names.size(), std::vector<std::int64_t>(card.class_names.size()));
    for (std::size_t i = 0; i < e.predictions.size(); ++i)
      ++confusion[static_cast<std::size_t>(set.labels[i])][static_cast<std::size_t>(e.predictions[i])];
    fmt::print("{}\n", nlohmann::ordered_json{{"checkpoint", flags.checkpoint},
                                              {"model", card.model},
                                              {"data", flags.data},
                                              {"split", flags.split},
                                              {"images", set.size()},
                                              {"top1", e.top1},
                                              {"loss", e.loss},
                                              {"classes", card.class_names},
                                              {"confusion", confusion}}
                           .dump());
    return 0;
  }
  fmt::print("{}, model {} with {} parameters\n", machine_text(flags.machine.where()), card.model,
             with_commas(model.network->parameter_count()));
  fmt::print("{} {}: accuracy {:.2f} % on {} pictures, loss {:.4f}\n", flags.data, flags.split, 100 * e.top1, with_commas(set.size()),
             e.loss);
  if (const std::string confused = confusion_text(set, e); !confused.empty()) fmt::print("most confused\n{}", confused);
  return 0;
}

}   // namespace

void add_eval(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("eval", "Measure a checkpoint's accuracy on a data set.");
  auto flags = std::make_shared<EvalFlags>();
  command->add_option("--checkpoint", flags->checkpoint, "a run's best.safetensors or last.safetensors")->required()->type_name("FILE");
  command->add_option("--data", flags->data, "the data set, by name [mnist]")->check(CLI::IsMember({"mnist"}))->type_name("mnist");
  command->add_option("--data-dir", flags->data_dir, "folder of the data set's files")->type_name("FOLDER");
  command->add_option("--split", flags->split, "which part of it [test]")
      ->check(CLI::IsMember({"test", "validation", "train"}))
      ->type_name("test|validation|train");
  command->add_option("--limit", flags->limit, "the first so many pictures only")
      ->check(CLI::Range(1, 1000000000))
      ->type_name("1..1000000000");
  flags->machine.add_to(*command);
  command->add_flag("--json", flags->json, "print the result as JSON, with the confusion matrix (rows: true classes)");
  command->callback([=, &action] { action = [flags] { return eval(*flags); }; });
}

}   // namespace fovea::cli
