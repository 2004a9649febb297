// common.cpp: what the commands share.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "examples/cli/commands.h"
#include "kernels/cpu/isa.h"
#include "kernels/parallel.h"
#include "vision/analysis/confusion.h"

namespace fovea::cli {

std::string program = "fovea";

std::string quoted(const std::string& word) {
  const bool plain = !word.empty() && std::all_of(word.begin(), word.end(), [](unsigned char c) {
    return std::isalnum(c) || std::string_view("/._-+=:@%,").find(static_cast<char>(c)) != std::string_view::npos;
  });
  if (plain) return word;
  std::string out = "'";
  for (const char c : word) out += c == '\'' ? "'\\''" : std::string(1, c);
  return out + "'";
}

void MachineOptions::add_to(CLI::App& command) {
  command.add_option("--threads", threads, "number of threads; results do not depend on it")
      ->check(CLI::Range(1, 1024))
      ->type_name("1..1024");
  command.add_option("--device", device, "cpu, or reference: the plain loops, slow")
      ->check(CLI::IsMember({"cpu", "reference"}))
      ->type_name("NAME");
}

void MachineOptions::apply() const {
  if (threads > 0) kernels::set_threads(threads);
}

std::filesystem::path data_folder(const std::string& data, const std::string& data_dir) {
  if (!data_dir.empty()) return data_dir;
  if (const char* root = std::getenv("FOVEA_DATA"); root && *root) return std::filesystem::path(root) / data;
  return std::filesystem::path(FOVEA_SOURCE_DIR) / "data" / data;
}

vision::DataSplits load_data(const std::string& data, const std::string& data_dir) {
  return vision::load_mnist(data_folder(data, data_dir));   // the only data set so far: flags accept no other name
}

std::string machine_text(Device device) {
  const int n = kernels::threads();
  return fmt::format("device {} ({}), {} thread{}", name_of(device),
                     device == Device::cpu ? kernels::isa_name(kernels::isa()) : "plain loops", n, n == 1 ? "" : "s");
}

std::string with_commas(std::int64_t n) {
  std::string s = fmt::format("{}", n);
  for (auto i = std::ssize(s) - 3; i > 0; i -= 3) s.insert(static_cast<std::size_t>(i), ",");
  return s;
}

std::string confusion_text(const vision::ImageSet& set, const vision::Evaluation& e) {
  vision::ConfusionMatrix matrix(set.class_names);
  for (std::int64_t i = 0; i < set.size(); ++i)
    matrix.add(set.labels[static_cast<std::size_t>(i)], e.predictions[static_cast<std::size_t>(i)]);
  std::string out;
  for (const auto& p : matrix.most_confused(5))
    out += fmt::format("  {} taken for {}: {} of {}\n", set.class_names[static_cast<std::size_t>(p.truth)],
                       set.class_names[static_cast<std::size_t>(p.predicted)], p.count,
                       std::count(set.labels.begin(), set.labels.end(), p.truth));
  return out;
}

}   // namespace fovea::cli
