// commands.h: the commands of `fovea`, one file each, and what they share.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <map>
#include <string>

#include "tensor/dtype.h"
#include "tensor/error.h"
#include "vision/data/folder.h"
#include "vision/training/checkpoint.h"
#include "vision/training/evaluate.h"

namespace fovea::cli {

/// A command line that cannot be meant: exit code 2.
struct UsageError : Error {
  using Error::Error;
};
constexpr int kExitError = 1, kExitUsage = 2, kExitInterrupted = 130;   // 128 + SIGINT, as shells count

/// What main() calls when a command was chosen; the exit code.
using Action = std::function<int()>;
/// Each adds its subcommand with its flags to `app` and sets `action` when it is the one.
void add_train(CLI::App& app, Action& action);
void add_eval(CLI::App& app, Action& action);
void add_predict(CLI::App& app, Action& action);
void add_import(CLI::App& app, Action& action);
void add_export(CLI::App& app, Action& action);
void add_inspect(CLI::App& app, Action& action);

/// Options that several commands have, with their checks.
struct MachineOptions {
  int threads = 0;   // 0: one a core
  std::string device = "cpu";
  void add_to(CLI::App& command);
  void apply() const;   // sets the number of threads
  Device where() const { return device == "reference" ? Device::reference : Device::cpu; }
};

/// The network that --checkpoint or --weights and --model name. Throws UsageError unless it is one of both.
struct ModelFlags {
  std::string checkpoint, weights, model;
  void add_to(CLI::App& command);
  const std::string& source() const { return checkpoint.empty() ? weights : checkpoint; }   // for messages
  vision::LoadedModel load(Device device, std::FILE* talk) const;   // what an import leaves open is told to `talk`
};

/// How the user called this program, for the commands we suggest: argv[0], quoted for the shell where needed.
extern std::string program;
std::string quoted(const std::string& word);

/// Where a data set with a name lies: data_dir, else $FOVEA_DATA/<data>, else the copy in Fovea's own source folder.
std::filesystem::path data_folder(const std::string& data, const std::string& data_dir);
/// What the flags of train and eval say about a data set.
struct DataRequest {
  std::string data, data_dir;          // "folder:PATH" is data "folder", data_dir PATH
  std::string normalize = "";          // as the recipe has it; "": mean and std are not asked for
  vision::FolderOptions folder = {};   // of a folder; its progress and messages are set by load_data
};
/// Loads it, and tells `talk` how that goes and what is there.
vision::DataSplits load_data(const DataRequest& r, std::FILE* talk);

/// "device cpu (avx512), 2 threads"
std::string machine_text(Device device);
/// 77562 -> "77,562"
std::string with_commas(std::int64_t n);
/// "4 as 9: 6 times, ..." on lines of their own; "" when nothing is wrong.
std::string confusion_text(const vision::Pictures& pictures, const vision::Evaluation& e);

}   // namespace fovea::cli
