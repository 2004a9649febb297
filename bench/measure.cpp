#include "bench/measure.h"

#include <cblas.h>
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>
#include <stdexcept>
#include <thread>

#include "kernels/cpu/isa.h"
#include "kernels/parallel.h"

namespace fovea::bench {

namespace baseline {
double peak_loop(std::int64_t rounds, float* sink);
}
namespace avx2 {
double peak_loop(std::int64_t rounds, float* sink);
}
namespace avx512 {
double peak_loop(std::int64_t rounds, float* sink);
}

namespace {

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

}   // namespace

double measure_peak(int threads) {
  const auto loop = kernels::isa() == kernels::Isa::avx512 ? avx512::peak_loop
                    : kernels::isa() == kernels::Isa::avx2 ? avx2::peak_loop
                                                           : baseline::peak_loop;
  static double best = 0;                         // of all calls: a neighbour on the same core halves what a moment shows
  for (int repeat = 0; repeat < 40; ++repeat) {   // 40 times about 5 ms, over half a second
    std::vector<double> operations(static_cast<std::size_t>(threads));
    const auto start = Clock::now();
    kernels::parallel_for(threads, [&](std::int64_t i) {
      alignas(64) float sink[16];
      operations[static_cast<std::size_t>(i)] = loop(1'000'000, sink);
    });
    double sum = 0;
    for (double o : operations) sum += o;
    best = std::max(best, sum / seconds_since(start));
    std::this_thread::sleep_for(std::chrono::milliseconds(8));
  }
  return best;
}

nlohmann::json describe_machine(const Settings& s, double peak) {
  std::string model = "unknown CPU", line;
  std::ifstream info("/proc/cpuinfo");
  while (std::getline(info, line))
    if (line.rfind("model name", 0) == 0) {
      model = line.substr(std::min(line.size(), line.find(':') + 2));
      break;
    }
  return {{"cpu", model},
          {"isa", kernels::isa_name(kernels::isa())},
          {"threads", s.threads},
          {"peak_gflops", peak / 1e9},
          {"openblas_core", openblas_get_corename()},
          {"openblas", openblas_get_config()}};
}

std::vector<double> median_seconds(const std::vector<Contender>& contenders, int repeats) {
  std::vector<std::vector<double>> times(contenders.size());
  for (int repeat = 0; repeat < repeats; ++repeat)
    for (std::size_t i = 0; i < contenders.size(); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(30));   // OpenBLAS's threads spin for 26 ms
      contenders[i].run();
      auto start = Clock::now();
      contenders[i].run();
      const int runs = static_cast<int>(std::clamp(0.01 / seconds_since(start), 1., 1000.));   // 10 ms
      start = Clock::now();
      for (int n = 0; n < runs; ++n) contenders[i].run();
      times[i].push_back(seconds_since(start) / runs);
    }
  std::vector<double> medians;
  for (auto& t : times) {
    std::nth_element(t.begin(), t.begin() + std::ptrdiff_t(t.size() / 2), t.end());
    medians.push_back(t[t.size() / 2]);
  }
  return medians;
}

Table::Table(const Settings& s, std::string title, const std::vector<std::string>& contenders)
    : json_(s.json), peak_(measure_peak(s.threads)), title_(std::move(title)), contenders_(contenders) {
  if (json_) return;
  fmt::print("\n{:<44}", title_);
  for (const auto& c : contenders_) fmt::print("{:>20}", c);
  fmt::print("\n{:<44}", "");
  for (std::size_t i = 0; i < contenders_.size(); ++i) fmt::print("{:>20}", "ms  GFLOP/s  %peak");
  fmt::print("\n");
}

void Table::row(const std::string& what, double operations, const std::vector<std::pair<std::string, double>>& seconds) {
  if (json_) {
    for (const auto& [name, t] : seconds)
      fmt::print("{}\n", nlohmann::json{{"bench", title_},
                                        {"what", what},
                                        {"contender", name},
                                        {"ms", t * 1e3},
                                        {"gflops", operations / t / 1e9},
                                        {"percent_of_peak", 100 * operations / t / peak_}}
                             .dump());
  } else {
    fmt::print("{:<44}", what);
    for (const auto& c : contenders_) {
      const auto at = std::find_if(seconds.begin(), seconds.end(), [&](const auto& x) { return x.first == c; });
      if (at == seconds.end())
        fmt::print("{:>20}", "-");
      else
        fmt::print("{:>20}", fmt::format("{:.3f} {:6.0f} {:4.0f}%", at->second * 1e3, operations / at->second / 1e9,
                                         100 * operations / at->second / peak_));
    }
    fmt::print("\n");
  }
  std::fflush(stdout);
}

std::vector<float> random_floats(std::int64_t n, std::uint64_t seed) {
  std::vector<float> v(static_cast<std::size_t>(n));
  std::uint64_t state = seed;
  for (float& x : v) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    x = float(std::int32_t(state >> 40) - (1 << 23)) * 0x1p-23f;
  }
  return v;
}

void verify(const std::string& what, const std::vector<float>& y, const std::vector<double>& want, double bound) {
  for (std::size_t i = 0; i < y.size(); ++i)
    if (!(std::abs(double(y[i]) - want[i]) <= bound))
      throw std::runtime_error(fmt::format("{}: wrong result: expected {}, got {} at {}", what, want[i], y[i], i));
}

}   // namespace fovea::bench
