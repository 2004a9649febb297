// run_folder.cpp: making, finding and protecting run folders.
#include "vision/training/run_folder.h"

#include <fstream>

#include "tensor/error.h"
#include "tensor/safetensors.h"

namespace fovea::vision {

namespace fs = std::filesystem;

RunFolder RunFolder::create(const fs::path& path) {
  RunFolder run(path);
  std::error_code error;
  for (const fs::path& file : {run.metrics(), run.last(), run.best()})
    if (fs::exists(file, error))
      throw Error(path.string() + ": holds a run already: continue it with --resume, or choose another folder with --out");
  fs::create_directories(path, error);
  if (error || !fs::is_directory(path))
    throw Error(path.string() + ": cannot make this folder: " + (error ? error.message() : "it is a file"));
  return run;
}

RunFolder RunFolder::open(const fs::path& path) {
  std::error_code error;
  RunFolder run(fs::is_regular_file(path, error) ? path.parent_path() : path);
  if (!fs::exists(run.recipe(), error)) throw Error(run.path().string() + ": no run to continue: expected a recipe.toml there");
  return run;
}

fs::path RunFolder::free_name(const fs::path& parent, const std::string& name) {
  std::error_code error;
  for (int n = 1;; ++n)
    if (fs::path path = parent / (name + "-" + std::to_string(n)); !fs::exists(path, error)) return path;
}

std::vector<std::string> RunFolder::metrics_lines() const {
  std::ifstream in(metrics());
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

bool RunFolder::finished() const {
  const std::vector<std::string> lines = metrics_lines();
  return !lines.empty() && lines.back().find("\"best_epoch\"") != std::string::npos;
}

void RunFolder::write_metrics(const std::vector<std::string>& lines) const {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  write_file_atomically(metrics(), text);
}

}   // namespace fovea::vision
