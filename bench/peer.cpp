// peer.cpp: runs PyTorch's side of a bench (peers/ops_torch.py) and reads its JSON lines.
#include <fmt/core.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <stdexcept>

#include "bench/measure.h"

namespace fovea::bench {

std::map<std::string, nlohmann::json> run_peer(const Settings& s, const std::string& group) {
  std::map<std::string, nlohmann::json> cases;
  if (s.peer.empty()) return cases;
  if (s.peer.find('\'') != std::string::npos) throw std::runtime_error("--peer: expected a path without quotes, got " + s.peer);
  // The C library gives large arrays back to the system and maps them anew each time, unless told otherwise: PyTorch would pay for it.
  setenv("MALLOC_MMAP_MAX_", "0", 1);
  setenv("MALLOC_TRIM_THRESHOLD_", "1000000000000", 1);
  const std::string command =
      fmt::format("'{}' '{}/peers/ops_torch.py' {} --threads {} 2>/dev/null", s.peer, FOVEA_BENCH_SOURCES, group, s.threads);
  if (!s.json) fmt::print(stderr, "PyTorch first: {}\n", command);
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> pipe(popen(command.c_str(), "r"), pclose);
  if (!pipe) throw std::runtime_error("--peer: cannot run " + command);
  char line[4096];
  while (std::fgets(line, sizeof line, pipe.get())) {
    const auto j = nlohmann::json::parse(line, nullptr, false);
    if (j.is_object() && j.contains("name")) cases[j["name"].get<std::string>()] = j;
  }
  if (cases.empty()) throw std::runtime_error("--peer: expected a Python with PyTorch, but nothing came from: " + command);
  return cases;
}

std::string peer_time(const std::map<std::string, nlohmann::json>& peer, const std::string& name, const char* key, double seconds) {
  const auto it = peer.find(name);
  if (it == peer.end() || !it->second.contains(key)) return "-";
  const double ms = it->second[key].get<double>();
  return fmt::format("{:.1f} ({:.1f}x)", ms, ms / (seconds * 1e3));
}

void print_json(nlohmann::json line, const std::map<std::string, nlohmann::json>& peer, const std::string& name) {
  if (const auto it = peer.find(name); it != peer.end()) line["peer"] = it->second;
  fmt::print("{}\n", line.dump());
}

}   // namespace fovea::bench
