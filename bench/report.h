// report.h: how a group of cases is written down: a line each, for people or (--json) for programs, beside its peers.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "bench/measure.h"

namespace fovea::bench {

/// PyTorch's times in milliseconds by the name of a case: {"eager_ms": .., "compiled_ms": ..}.
using PeerTimes = std::map<std::string, nlohmann::json>;
/// From peers/SCRIPT with these arguments, by s.peer; nothing without it. First, by itself: it would take cores and bandwidth away.
PeerTimes run_peer(const Settings& s, const std::string& script, const std::vector<std::string>& arguments);

class Report {
 public:
  struct Columns {
    std::string unit;                    // of the rate: "GB/s"
    std::vector<std::string> percents;   // of which limits
    std::vector<std::string> others;     // contenders besides ours and PyTorch
  };
  Report(const Settings& s, std::string group, Columns columns);

  struct Line {
    std::string what;
    double seconds = 0, rate = 0;                // ours; the rate in the unit
    std::vector<double> percents = {};           // 0: the limit is not known
    std::map<std::string, double> others = {};   // seconds
  };
  /// `named`: what the case is called among the peer's; empty: the same.
  void line(const Line& l, const PeerTimes& peer, const std::string& named = "");

 private:
  bool json_, once_, peer_;
  std::string group_;
  Columns columns_;
};

}   // namespace fovea::bench
