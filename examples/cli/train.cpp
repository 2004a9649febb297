// train.cpp: `fovea train`: from flags to a Recipe, from a Recipe to a trained network, and what is worth knowing about it.
#include <fmt/format.h>

#include <atomic>
#include <cmath>
#include <csignal>
#include <map>
#include <nlohmann/json.hpp>

#include "examples/cli/commands.h"
#include "kernels/parallel.h"
#include "tensor/safetensors.h"
#include "vision/analysis/contact_sheet.h"
#include "vision/training/progress.h"
#include "vision/training/trainer.h"

namespace fovea::cli {
namespace {

using vision::Recipe, vision::RecipeField, vision::RunFolder;

/// The first Ctrl-C asks the trainer to stop after its step; a second one ends the program as usual.
std::atomic<bool> stop_requested = false;
static_assert(std::atomic<bool>::is_always_lock_free);   // so a signal handler may write it
extern "C" void request_stop(int signal) {
  stop_requested = true;
  std::signal(signal, SIG_DFL);
}

struct TrainFlags {
  std::map<std::string, std::string> fields;   // what was given, by the recipe's key
  std::string recipe, out, resume;
  bool resuming = false, json = false;
};

/// "label_smoothing: expected ..." -> "--label-smoothing: expected ..."
std::string as_flag(std::string message) {
  for (std::size_t i = 0, end = message.find(':'); i < std::min(end, message.size()); ++i)
    if (message[i] == '_') message[i] = '-';
  return "--" + message;
}

/// Recipe file first, then flags.
Recipe apply_flags(Recipe recipe, const TrainFlags& flags) {
  if (!flags.recipe.empty()) recipe = vision::read_recipe(flags.recipe, std::move(recipe));
  for (const RecipeField& f : vision::recipe_fields())
    if (const auto it = flags.fields.find(f.key); it != flags.fields.end()) {
      try {
        vision::set_field(recipe, f, it->second);
      } catch (const vision::RecipeError& e) {
        throw UsageError(as_flag(e.what()));
      }
    }
  return recipe;
}

/// A resumed run keeps what decides its result: flags may say it again, not change it.
Recipe resumed_recipe(const RunFolder& folder, const TrainFlags& flags) {
  const Recipe begun = vision::read_recipe(folder.recipe()), wanted = apply_flags(begun, flags);
  for (const RecipeField& f : vision::recipe_fields())
    if (const auto was = field_text(begun, f), now = field_text(wanted, f); f.decides_result && was != now)
      throw UsageError(fmt::format("--{} {}: the run in {} was begun with {}; a resumed run keeps its recipe", f.flag(), now,
                                   folder.path().string(), was));
  return wanted;
}

vision::FolderOptions folder_options(const Recipe& r) {
  return {.val_fraction = r.val_fraction,
          .split_seed = static_cast<std::uint64_t>(r.split_seed),
          .damaged = r.damaged == "skip" ? vision::Damaged::skip : vision::Damaged::error};
}

/// The pictures that the network gets wrong, as a contact sheet.
void draw_wrong(const vision::Pictures& pictures, const std::string& part, const vision::Evaluation& e, const std::filesystem::path& path) {
  std::vector<vision::Prediction> predictions;
  for (std::size_t i = 0; i < e.predictions.size(); ++i)
    predictions.push_back({.index = static_cast<std::int64_t>(i), .predicted = e.predictions[i], .probability = e.probabilities[i]});
  vision::write_contact_sheet(path, pictures, predictions, {.title = part + " pictures taken for another class, surest first"});
}

int train(const TrainFlags& flags) {
  std::optional<RunFolder> folder;
  Recipe recipe;
  if (flags.resuming) {
    const std::string where = flags.resume.empty() ? flags.out : flags.resume;
    if (where.empty()) throw UsageError("--resume: expected the run's folder, as in --resume runs/mnist-resnet8_mnist-1");
    folder = RunFolder::open(where);
    recipe = resumed_recipe(*folder, flags);
    if (folder->finished())
      throw Error(folder->path().string() + ": this run has been trained and tested to its end; nothing is left to resume");
  } else {
    recipe = apply_flags({}, flags);
  }
  vision::check_recipe(recipe);
  if (recipe.threads > 0) kernels::set_threads(static_cast<int>(recipe.threads));
  std::FILE* const talk = flags.json ? stderr : stdout;   // with --json, standard output is data
  name_gpu(vision::device_of(recipe), talk);
  vision::DataSplits data =
      load_data({.data = recipe.data, .data_dir = recipe.data_dir, .normalize = recipe.normalize, .folder = folder_options(recipe)}, talk);
  const bool on_test = data.test.size() > 0;
  const vision::Pictures judged = (on_test ? data.test : data.validation).first(recipe.eval_limit);
  const std::string part = on_test ? "test" : "validation";
  if (!on_test) fmt::print(talk, "no test pictures: the result will be that on the validation pictures\n");
  try {
    vision::input_of(recipe, data);
  } catch (const vision::RecipeError& e) {
    throw UsageError(as_flag(e.what()));
  }
  if (!folder) {
    folder = RunFolder::create(flags.out.empty() ? RunFolder::free_name("runs", data.name + "-" + recipe.model)
                                                 : std::filesystem::path(flags.out));
    write_file_atomically(folder->recipe(), vision::to_toml(recipe, true));
  }

  vision::Trainer trainer(recipe, std::move(data), *folder,
                          {.resume = flags.resuming, .stop = [] { return stop_requested.load(); }, .progress = talk});
  std::signal(SIGINT, request_stop);
  std::signal(SIGTERM, request_stop);
  fmt::print(talk, "{}, model {} with {} parameters, run folder {}\n", machine_text(vision::device_of(recipe)), recipe.model,
             with_commas(trainer.network().parameter_count()), folder->path().string());
  std::fflush(talk);
  const vision::TrainingResult result = trainer.run();
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
  const std::string folder_word = quoted(folder->path().string());
  if (result.interrupted) {
    std::fflush(talk);
    fmt::print(stderr, "interrupted: saved in {}\nresume with: {} train --resume {}\n", folder->last().string(), program, folder_word);
    return kExitInterrupted;
  }

  const auto wrong = std::llround((1 - result.test.top1) * static_cast<double>(judged.size()));
  draw_wrong(judged, part, result.test, folder->wrong());
  fmt::print(talk, "\n{} accuracy  {:.2f} % ({} of {} wrong), by the network of epoch {}", part, 100 * result.test.top1, wrong,
             with_commas(judged.size()), result.best_epoch);
  fmt::print(talk, "{}\n", on_test ? fmt::format(" (validation {:.2f} %)", 100 * result.best_val_top1) : "");
  fmt::print(talk, "time           {} in {} epochs\n", vision::format_duration(result.seconds), recipe.epochs);
  if (wrong > 0) fmt::print(talk, "most confused\n{}its mistakes   {}\n", confusion_text(judged, result.test), folder->wrong().string());
  fmt::print(talk,
             "next\n  {0} eval --checkpoint {1}/best.safetensors --data {2}\n  {0} predict --checkpoint {1}/best.safetensors image.png\n",
             program, folder_word, recipe.data == "folder" ? cli::quoted("folder:" + recipe.data_dir) : recipe.data);
  if (flags.json)
    fmt::print("{}\n", nlohmann::ordered_json{{"run", folder->path().string()},
                                              {on_test ? "test_top1" : "val_top1", result.test.top1},
                                              {on_test ? "test_loss" : "val_loss", result.test.loss},
                                              {"best_val_top1", result.best_val_top1},
                                              {"best_epoch", result.best_epoch},
                                              {"seconds", result.seconds}}
                           .dump());
  return 0;
}

}   // namespace

void add_train(CommandLine& line) {
  Command command = line.command("train", "Train a network; without flags: MNIST to 99.5 % in a minute or two.");
  auto flags = std::make_shared<TrainFlags>();
  const Recipe defaults;
  for (const RecipeField& f : vision::recipe_fields()) {
    const std::string usual = field_text(defaults, f);
    const bool unset = usual.empty() || (usual == "0" && f.low > 0);
    command.text("--" + f.flag(), flags->fields[f.key], unset ? f.help : fmt::format("{} [{}]", f.help, usual),
                 {.type = f.range().empty() ? "TEXT" : f.range(), .last_counts = true});
  }
  command.text("--recipe", flags->recipe, "a TOML file with any of the above; flags win over it", {.type = "FILE"});
  command.text("--out", flags->out, "the run's folder [runs/<data>-<model>-<n>]", {.type = "FOLDER"});
  command.text("--resume", flags->resume, "go on with the run in FOLDER (or in --out)", {.type = "FOLDER", .value_optional = true});
  command.flag("--json", flags->json, "print the result as JSON on standard output, all else on standard error");
  command.action([=] {
    for (const RecipeField& f : vision::recipe_fields())
      if (!command.given("--" + f.flag())) flags->fields.erase(f.key);
    flags->resuming = command.given("--resume");
    return train(*flags);
  });
}

}   // namespace fovea::cli
