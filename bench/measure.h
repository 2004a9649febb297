// measure.h: what every bench does: know the machine, time fairly, print.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace fovea::bench {

struct Settings {
  int threads = 1;
  bool json = false;
  std::string set = "all";
  int repeats = 7;
  std::string peer;   // a Python that has PyTorch; empty: without
  std::string only;   // cases whose name contains this
};

/// Floating-point operations per second that the instruction set in use reaches on registers alone, with this many threads:
/// the best seen in this process so far.
double measure_peak(int threads);

/// Numbers between -1 and 1 in memory as tensors have it (tensor/allocator.cpp): it begins at a huge page, and huge pages are asked for.
class Array {
 public:
  Array(std::int64_t n, std::uint64_t seed);
  float* data() { return memory_.get(); }

 private:
  struct Free {
    void operator()(float* p) const { std::free(p); }
  };
  std::unique_ptr<float, Free> memory_;
};

/// A copy of n floats past the caches, with the pool's threads; n is a multiple of 16384.
void streaming_copy(const float* from, float* to, std::int64_t n);
/// Each half of it alone.
void fill(float* to, std::int64_t n);
void read(const float* from, std::int64_t n);

/// Bytes per second, read and written ones counted, of a copy past the last-level cache with the pool's threads: the best of several.
struct Bandwidth {
  double copy = 0;             // with plain stores, as kernels have that leave their output to whoever reads it next
  double streaming_copy = 0;   // with stores that go past the caches
};
Bandwidth measure_copy();

/// This machine, in words: CPU model, instruction set, threads, peak, and what OpenBLAS takes it for.
nlohmann::json describe_machine(const Settings& s, double peak);

struct Contender {
  std::string name;
  std::function<void()> run;
};
/// Median seconds of one run() of each. Repeats are interleaved, so that a disturbance hits all alike; before each one, the
/// others' threads get time to fall asleep and one untimed run warms the caches.
std::vector<double> median_seconds(const std::vector<Contender>& contenders, int repeats);

/// One line (per cent of a freshly measured peak): what was computed, how many operations, the median times; under --json one object a line.
class Table {
 public:
  Table(const Settings& s, std::string title, const std::vector<std::string>& contenders);
  void row(const std::string& what, double operations, const std::vector<std::pair<std::string, double>>& seconds);

 private:
  bool json_;
  double peak_;
  std::string title_;
  std::vector<std::string> contenders_;
};

std::vector<float> random_floats(std::int64_t n, std::uint64_t seed);
/// Throws with `what` unless |y - want| <= bound everywhere.
void verify(const std::string& what, const std::vector<float>& y, const std::vector<double>& want, double bound);

/// PyTorch's times in milliseconds for the cases of a group, by name: {"eager_ms": .., "compiled_ms": ..}; nothing without s.peer.
std::map<std::string, nlohmann::json> run_peer(const Settings& s, const std::string& group);

/// "5.2 (1.3x)": the peer's time in milliseconds and how many of ours it is; "-" where it has none.
std::string peer_time(const std::map<std::string, nlohmann::json>& peer, const std::string& name, const char* key, double seconds);
/// A case as a JSON line: `line` with the peer's times, if there are any.
void print_json(nlohmann::json line, const std::map<std::string, nlohmann::json>& peer, const std::string& name);

void bench_gemm(const Settings& s);
void bench_memory(const Settings& s, const std::string& group);   // "elementwise" or "norm"
void bench_attention(const Settings& s);
void bench_conv(const Settings& s);

}   // namespace fovea::bench
