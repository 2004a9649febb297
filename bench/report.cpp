#include "bench/report.h"

#include <fmt/core.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>

namespace fovea::bench {
namespace {

/// Four digits.
std::string milliseconds(double ms) { return fmt::format("{:.{}f}", ms, ms < 10 ? 3 : ms < 100 ? 2 : ms < 1000 ? 1 : 0); }
std::string quoted(const std::string& s) {   // for the shell
  std::string q = "'";
  for (const char c : s) q += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return q + "'";
}

}   // namespace

PeerTimes run_peer(const Settings& s, const std::string& script, const std::vector<std::string>& arguments) {
  PeerTimes cases;
  if (s.peer.empty()) return cases;
  // The C library gives large arrays back to the system and maps them anew each time, unless told otherwise: PyTorch would pay for it.
  setenv("MALLOC_MMAP_MAX_", "0", 1);
  setenv("MALLOC_TRIM_THRESHOLD_", "1000000000000", 1);
  std::string command =
      fmt::format("{} {} --threads {} --repeats {} --device {} --precision {}", quoted(s.peer),
                  quoted(fmt::format("{}/peers/{}", FOVEA_BENCH_SOURCES, script)), s.threads, s.repeats, name_of(s.device), s.precision);
  for (const std::string& a : arguments) command += " " + quoted(a);
  if (!s.json) fmt::print(stderr, "PyTorch first: {}\n", command);
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> pipe(popen((command + " 2>/dev/null").c_str(), "r"), pclose);
  if (!pipe) throw std::runtime_error("--peer: cannot run " + command);
  char line[4096];
  while (std::fgets(line, sizeof line, pipe.get())) {
    const auto j = nlohmann::json::parse(line, nullptr, false);
    if (j.is_object() && j.contains("name")) cases[j["name"].get<std::string>()] = j;
  }
  if (cases.empty()) throw std::runtime_error("--peer: expected a Python with PyTorch and torchvision, but nothing came from: " + command);
  return cases;
}

Report::Report(const Settings& s, std::string group, Columns columns)
    : json_(s.json), once_(s.once), peer_(!s.peer.empty()), group_(std::move(group)), columns_(std::move(columns)) {
  if (json_ || once_) return;
  fmt::print("\n{:<46}{:>9}{:>10}", group_, "ms", columns_.unit);
  for (const std::string& p : columns_.percents) fmt::print("{:>9}", "% " + p);
  for (const std::string& o : columns_.others) fmt::print("{:>17}", o);
  if (peer_) fmt::print("{:>17}{:>17}", "PyTorch eager", "torch.compile");
  fmt::print("\n");
}

void Report::line(const Line& l, const PeerTimes& peer, const std::string& named) {
  const auto theirs = peer.find(named.empty() ? l.what : named);
  if (once_) {
    fmt::print("{}: {} ran\n", group_, l.what);
  } else if (json_) {
    nlohmann::json j{{"bench", group_}, {"what", l.what}, {"ms", l.seconds * 1e3}, {columns_.unit, l.rate}};
    for (std::size_t i = 0; i < l.percents.size(); ++i)
      if (l.percents[i] > 0) j["percent_of_" + columns_.percents[i]] = l.percents[i];
    for (const auto& [name, seconds] : l.others) j["others"][name] = seconds * 1e3;
    if (theirs != peer.end()) j["peer"] = theirs->second;
    fmt::print("{}\n", j.dump());
  } else {
    // A peer's time, and how many of ours it is.
    const auto beside = [&](double ms) { fmt::print("{:>17}", fmt::format("{} ({:.2f}x)", milliseconds(ms), ms / (l.seconds * 1e3))); };
    fmt::print("{:<46}{:>9}{:>10.{}f}", l.what, milliseconds(l.seconds * 1e3), l.rate, l.rate < 100 ? 1 : 0);
    for (const double p : l.percents) fmt::print("{:>9}", p > 0 ? fmt::format("{:.0f}%", p) : "-");
    for (const std::string& o : columns_.others) {
      const auto at = l.others.find(o);
      at == l.others.end() ? fmt::print("{:>17}", "-") : beside(at->second * 1e3);
    }
    if (peer_)
      for (const char* key : {"eager_ms", "compiled_ms"})
        theirs == peer.end() || !theirs->second.contains(key) ? fmt::print("{:>17}", "-") : beside(theirs->second[key].get<double>());
    fmt::print("\n");
  }
  std::fflush(stdout);
}

}   // namespace fovea::bench
