// commands.h: the commands of `fovea`, one file each, and what they share.
#pragma once

#include <cstdio>
#include <filesystem>
#include <string>

#include "examples/cli/flags.h"
#include "tensor/dtype.h"
#include "vision/data/folder.h"
#include "vision/training/checkpoint.h"
#include "vision/training/evaluate.h"
#include "vision/training/recipe.h"
#include "vision/weights/open_model.h"

namespace fovea::cli {

constexpr int kExitError = 1, kExitUsage = 2, kExitInterrupted = 130;   // 128 + SIGINT, as shells count

/// Each adds its command with its flags to the command line.
void add_train(CommandLine& line);
void add_eval(CommandLine& line);
void add_predict(CommandLine& line);
void add_models(CommandLine& line);
void add_summary(CommandLine& line);
void add_import(CommandLine& line);
void add_export(CommandLine& line);
void add_inspect(CommandLine& line);
void add_run(CommandLine& line);
void add_compare(CommandLine& line);

/// Options that several commands have, with their checks.
struct MachineOptions {
  int threads = 0;   // 0: one a core
  std::string device = "cpu", precision = "float32";
  void add_to(Command& command);
  void apply(std::FILE* talk) const;   // sets the number of threads; a GPU is named on `talk`
  Device where() const { return device_named(device); }
  DType dtype() const { return vision::precision_of(precision); }
};
/// On a GPU, the first line of a program: which one, and whether it is emulated.
void name_gpu(Device device, std::FILE* talk);

/// The network that --checkpoint or --weights and --model name. Throws UsageError unless it is one of both.
struct ModelFlags {
  std::string checkpoint, weights, model;
  void add_to(Command& command);
  const std::string& source() const { return checkpoint.empty() ? weights : checkpoint; }   // for messages
  vision::LoadedModel load(Device device, std::FILE* talk) const;                           // what an import leaves open is told to `talk`
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

/// Throws Error unless every weight came from the file, which `source` names: with random ones among them the numbers mean nothing.
void require_all(const vision::OpenedModel& opened, const std::string& source);

/// "device cpu (avx512), 2 threads", "device cuda (NVIDIA H200), 16 threads"
std::string machine_text(Device device);
/// 77562 -> "77,562"
std::string with_commas(std::int64_t n);
/// "4 as 9: 6 times, ..." on lines of their own; "" when nothing is wrong.
std::string confusion_text(const vision::Pictures& pictures, const vision::Evaluation& e);

}   // namespace fovea::cli
