// measure.h: what every bench does: know the machine and its limits, have arrays where the kernels run, time fairly.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tensor/cuda.h"
#include "tensor/tensor.h"

namespace fovea::bench {

struct Settings {
  int threads = 1;
  Device device = Device::cpu;
  std::string precision = "float32";   // bf16; with a GPU tf32: products of float32 on its tensor cores
  int repeats = 7;
  bool json = false;
  bool once = false;                        // every case once, small and not timed: does it run?
  std::string only;                         // cases whose name contains this
  std::string peer;                         // a Python that has PyTorch; empty: without
  std::string set = "all";                  // of convolutions
  std::vector<std::string> models;          // their names
  std::int64_t batch = 0, image_size = 0;   // of networks; 0: their usual ones
  DType dtype() const { return precision == "bf16" ? DType::bf16 : DType::f32; }
};

/// f.template operator()<T>(tag): the backend and the type that the settings name.
template <class F> void on_backend(const Settings& s, F&& f) {
  const bool half = s.dtype() == DType::bf16;
  if (s.device == Device::cpu) return half ? f.template operator()<bfloat16>(kernels::Cpu{}) : f.template operator()<float>(kernels::Cpu{});
  kernels::Cuda be = cuda();
  be.tf32 = s.precision == "tf32";
  half ? f.template operator()<bfloat16>(be) : f.template operator()<float>(be);
}

/// n numbers between -1 and 1, where the kernels run.
Tensor numbers(const Settings& s, std::int64_t n, std::uint64_t seed, DType dtype = DType::f32);
/// So many bytes there; none: null.
class Memory {
 public:
  Memory(const Settings& s, std::size_t bytes) : tensor_(Tensor::empty({static_cast<std::int64_t>(bytes)}, DType::u8, s.device)) {}
  void* data() { return tensor_.elements() ? tensor_.raw() : nullptr; }

 private:
  Tensor tensor_;
};

// ---- limits ------------------------------------------------------------------------------------------------------------

/// Floating-point operations per second. Of a CPU: what the instruction set in use reaches on registers alone, with all threads; of a GPU: what
/// cuBLAS reaches on a product of 8192^3 (0: not in this program). The best seen in this process so far.
double measure_peak(const Settings& s);

/// A copy of n floats past the caches, with the pool's threads; n is a multiple of 16384.
void streaming_copy(const float* from, float* to, std::int64_t n);
/// Each half of it alone.
void fill(float* to, std::int64_t n);
void read(const float* from, std::int64_t n);

/// This machine, in words: the processor or the GPU, threads, and its peak.
nlohmann::json describe_machine(const Settings& s);

// ---- time --------------------------------------------------------------------------------------------------------------

struct Contender {
  std::string name;
  std::function<void()> run;   // on a GPU: queues
};
/// Median seconds of one run() of each. Repeats are interleaved, so that a disturbance hits all alike; before each one, the others' threads get
/// time to fall asleep and one untimed run warms the caches. On a GPU runs are queued one behind the other, and the clock stops when the last is
/// done. With `once` each runs once, and all take 0 s.
std::vector<double> median_seconds(const Settings& s, const std::vector<Contender>& contenders);

/// On the CPU: n numbers between -1 and 1, and whether y is what it should be: throws with `what` unless |y - want| <= bound everywhere.
std::vector<float> random_floats(std::int64_t n, std::uint64_t seed);
void verify(const std::string& what, const std::vector<float>& y, const std::vector<double>& want, double bound);

// ---- groups ------------------------------------------------------------------------------------------------------------

void bench_gemm(const Settings& s);
void bench_conv(const Settings& s);
void bench_memory(const Settings& s, const std::string& group);   // "elementwise" or "norm"
void bench_attention(const Settings& s);
void bench_models(const Settings& s);

}   // namespace fovea::bench
