#include "bench/measure.h"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>
#include <stdexcept>
#include <thread>

#include "kernels/cpu/isa.h"
#include "kernels/gemm.h"
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

double cpu_peak(const Settings& s) {
  const auto loop = kernels::isa() == kernels::Isa::avx512 ? avx512::peak_loop
                    : kernels::isa() == kernels::Isa::avx2 ? avx2::peak_loop
                                                           : baseline::peak_loop;
  double best = 0;
  for (int repeat = 0; repeat < 40; ++repeat) {   // 40 times about 5 ms, over half a second
    std::vector<double> operations(static_cast<std::size_t>(s.threads));
    const auto start = Clock::now();
    kernels::parallel_for(s.threads, [&](std::int64_t i) {
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

template <class T> double gpu_peak(const Settings& s) {
  kernels::Cuda be = cuda();
  be.cublas = true, be.tf32 = s.precision == "tf32";
  constexpr std::int64_t kSide = 8192;
  const kernels::GemmShape shape{.m = kSide, .n = kSide, .k = kSide, .transpose_b = true};
  const Tensor a = numbers(s, kSide * kSide, 1, dtype_of<T>), b = numbers(s, kSide * kSide, 2, dtype_of<T>);
  Tensor c = Tensor::empty_like(a);
  Memory workspace(s, kernels::gemm_workspace_bytes<T>(be, shape));
  const auto run = [&] { kernels::gemm(be, a.data<T>(), b.data<T>(), c.data<T>(), shape, kernels::Epilogue<T>{}, workspace.data()); };
  return 2. * kSide * kSide * kSide / median_seconds(s, {{"cublas", run}})[0];
}

}   // namespace

double measure_peak(const Settings& s) {
  static double best = 0;   // of all calls: a neighbour on the same core halves what a moment shows
  if (s.once) return 0;
  if (s.device == Device::cpu) return best = std::max(best, cpu_peak(s));
  if (!cuda_device().facts().cublas) return 0;
  return best = std::max(best, s.dtype() == DType::bf16 ? gpu_peak<bfloat16>(s) : gpu_peak<float>(s));
}

nlohmann::json describe_machine(const Settings& s) {
  nlohmann::json j{{"device", name_of(s.device)}, {"precision", s.precision}, {"threads", s.threads}};
  if (s.device == Device::cuda) {
    const kernels::DeviceFacts& facts = cuda_device().facts();
    j["name"] = facts.name;
    j["cublas"] = facts.cublas;
  } else {
    std::string model = "unknown CPU", line;
    std::ifstream info("/proc/cpuinfo");
    while (std::getline(info, line))
      if (line.rfind("model name", 0) == 0) {
        model = line.substr(std::min(line.size(), line.find(':') + 2));
        break;
      }
    j["name"] = model;
    j["isa"] = kernels::isa_name(kernels::isa());
  }
  j["peak_gflops"] = measure_peak(s) / 1e9;
  return j;
}

Tensor numbers(const Settings& s, std::int64_t n, std::uint64_t seed, DType dtype) {
  return Tensor::from(random_floats(n, seed), {n}, Device::cpu).to(s.device).to(dtype);
}

std::vector<double> median_seconds(const Settings& s, const std::vector<Contender>& contenders) {
  const bool gpu = s.device == Device::cuda;
  const auto timed = [&](const Contender& c, int runs) {
    const auto start = Clock::now();
    for (int n = 0; n < runs; ++n) c.run();
    if (gpu) cuda_synchronize();
    return seconds_since(start);
  };
  std::vector<std::vector<double>> times(contenders.size());
  for (int repeat = 0; repeat < (s.once ? 1 : s.repeats); ++repeat)
    for (std::size_t i = 0; i < contenders.size(); ++i) {
      if (!gpu && !s.once) std::this_thread::sleep_for(std::chrono::milliseconds(30));   // OpenBLAS's threads spin for 26 ms
      timed(contenders[i], 1);
      if (s.once) continue;
      const double one = timed(contenders[i], 1);
      const int runs = static_cast<int>(std::clamp(0.01 / one, 1., 1000.));   // 10 ms
      times[i].push_back(runs == 1 ? one : timed(contenders[i], runs) / runs);
    }
  std::vector<double> medians;
  for (auto& t : times) {
    if (t.empty()) t.push_back(0);
    std::nth_element(t.begin(), t.begin() + std::ptrdiff_t(t.size() / 2), t.end());
    medians.push_back(t[t.size() / 2]);
  }
  return medians;
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
