// run_folder.h: where a training run keeps what it makes.
//
//   recipe.toml        what was asked for
//   metrics.jsonl      one JSON object an epoch, and a last one with "best_epoch" and the test result
//   last.safetensors   everything that continuing needs; best.safetensors: the network with the best validation accuracy
//   wrong.png          the test pictures it gets wrong (where there are none: validation pictures)
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace fovea::vision {

class RunFolder {
 public:
  /// Makes the folder (and those above it) for a new run. Throws Error: not writable, or it holds a run already.
  static RunFolder create(const std::filesystem::path& path);
  /// The folder of a run that was begun before; also by a file in it, such as its last.safetensors. Throws Error: there is none.
  static RunFolder open(const std::filesystem::path& path);
  /// parent/<name>-<n> with the smallest n = 1, 2, ... that is not taken.
  static std::filesystem::path free_name(const std::filesystem::path& parent, const std::string& name);

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path recipe() const { return path_ / "recipe.toml"; }
  std::filesystem::path metrics() const { return path_ / "metrics.jsonl"; }
  std::filesystem::path last() const { return path_ / "last.safetensors"; }
  std::filesystem::path best() const { return path_ / "best.safetensors"; }
  std::filesystem::path wrong() const { return path_ / "wrong.png"; }

  /// The whole lines of metrics.jsonl so far.
  std::vector<std::string> metrics_lines() const;
  /// The run has come to its end: metrics.jsonl has its last line.
  bool finished() const;
  /// Replaces metrics.jsonl, atomically: a line is there or not there.
  void write_metrics(const std::vector<std::string>& lines) const;

 private:
  explicit RunFolder(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;
};

}   // namespace fovea::vision
