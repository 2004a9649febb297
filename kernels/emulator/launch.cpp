// launch.cpp: is the configuration one that the card would take, and the grid's walk over the host's workers.
#include "kernels/emulator/launch.h"

#include <xmmintrin.h>

#include <map>
#include <memory>
#include <numeric>
#include <string>

#include "kernels/emulator/block.h"
#include "kernels/emulator/shadow.h"
#include "kernels/emulator/state.h"
#include "kernels/parallel.h"

namespace fovea::emulator {
namespace {

std::map<const void*, std::size_t>& opted_in() {   // kernel -> bytes of shared memory that cudaFuncSetAttribute allowed it
  static std::map<const void*, std::size_t> m;
  return m;
}

std::string triple(dim3 d) { return "(" + std::to_string(d.x) + ", " + std::to_string(d.y) + ", " + std::to_string(d.z) + ")"; }

/// The host's pool may have switched denormal numbers off for its own kernels; a card has them.
class Denormals {
 public:
  Denormals() : saved_(_mm_getcsr()) { _mm_setcsr(saved_ & ~0x8040u); }
  ~Denormals() { _mm_setcsr(saved_); }
  Denormals(const Denormals&) = delete;
  Denormals& operator=(const Denormals&) = delete;

 private:
  unsigned saved_;
};

Block& worker_block() {
  thread_local const std::unique_ptr<Block> block = std::make_unique<Block>();
  return *block;
}

}   // namespace

void Launch::run() {
  schedule = emulator::schedule();
  checked = checks_enabled();
  counted = counting() && checked;
  number = next_launch_number();
  failed = false;
  atomics = 0;
  counters = {
      .kernel = counted ? function_name(kernel) : "", .blocks = blocks(), .threads = blocks() * threads(), .shared_bytes = shared_bytes};
  published = std::vector<Published>(checked ? blocks() : 0);

  // Blocks may come in any order: i -> (i step + offset) mod n is a permutation if step and n have no common divisor.
  const std::uint64_t n = blocks();
  std::uint64_t step = 1, offset = 0;
  if (schedule.order == Order::descending) {
    step = n - 1, offset = n - 1;   // i -> -i - 1
  } else if (schedule.order != Order::ascending) {
    step = (schedule.seed * 0x9e3779b1u + 12345) % n | 1;
    while (std::gcd(step, n) != 1) step += 2;
    offset = schedule.seed * 0x85ebca77u % n;
  }
  kernels::parallel_for(static_cast<std::int64_t>(n), [&](std::int64_t i) {
    if (failed.load(std::memory_order_relaxed)) return;
    const Denormals denormals;
    worker_block().run(*this, (static_cast<std::uint64_t>(i) * step + offset) % n);
  });
  published.clear();
  if (counted && !failed) add_counters(counters);
}

cudaError_t launch(const void* kernel, void (*invoke)(const void*, const void*), std::shared_ptr<const void> arguments,
                   std::size_t argument_bytes, dim3 grid, dim3 block, std::size_t shared_bytes, cudaStream_t stream) {
  std::lock_guard lock(runtime_mutex());
  if (const cudaError_t lost = sticky_error(); lost != cudaSuccess) return lost;
  const auto refuse = [&](cudaError_t e, const std::string& why) {
    return error(e, function_name(kernel) + ": grid " + triple(grid) + ", block " + triple(block) + ", " + std::to_string(shared_bytes) +
                        " bytes of shared memory on " + profile().name + ": " + why);
  };
  if (grid.x == 0 || grid.y == 0 || grid.z == 0 || block.x == 0 || block.y == 0 || block.z == 0)
    return refuse(cudaErrorInvalidConfiguration, "nothing to do is no launch");
  if (const unsigned most = profile().grid_yz; grid.x > 0x7fffffffu || grid.y > most || grid.z > most)
    return refuse(cudaErrorInvalidConfiguration,
                  "a grid has at most (2^31 - 1, " + std::to_string(most) + ", " + std::to_string(most) + ") blocks");
  if (block.x > 1024 || block.y > 1024 || block.z > 64)
    return refuse(cudaErrorInvalidConfiguration, "a block has at most (1024, 1024, 64) threads");
  if (std::uint64_t{block.x} * block.y * block.z > kMaxThreads)
    return refuse(cudaErrorInvalidConfiguration, "a block has at most 1024 threads");
  if (argument_bytes > 32764) return refuse(cudaErrorInvalidValue, "arguments have at most 32764 bytes");
  if (shared_bytes > profile().shared_per_block_opt_in)
    return refuse(cudaErrorInvalidValue,
                  "a block has at most " + std::to_string(profile().shared_per_block_opt_in) + " bytes of shared memory");
  if (shared_bytes > profile().shared_per_block && shared_bytes > opted_in()[kernel])
    return refuse(cudaErrorInvalidValue, "more than " + std::to_string(profile().shared_per_block) + " bytes need cudaFuncSetAttribute");
  auto l = std::make_shared<Launch>();
  l->kernel = kernel;
  l->invoke = invoke;
  l->arguments = std::move(arguments);
  l->argument_bytes = argument_bytes;
  l->grid = grid;
  l->block = block;
  l->shared_bytes = shared_bytes;
  return queue(stream, [l] { l->run(); });
}

}   // namespace fovea::emulator

cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute attribute, int value) {
  using namespace fovea::emulator;
  std::lock_guard lock(runtime_mutex());
  if (const cudaError_t lost = sticky_error(); lost != cudaSuccess) return lost;
  if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize)
    return error(cudaErrorInvalidValue, "cudaFuncSetAttribute: unknown attribute");
  if (value < 0 || static_cast<std::size_t>(value) > profile().shared_per_block_opt_in)
    return error(cudaErrorInvalidValue, "cudaFuncSetAttribute: " + function_name(kernel) + " cannot have " + std::to_string(value) +
                                            " bytes of shared memory; " + profile().name + " has " +
                                            std::to_string(profile().shared_per_block_opt_in) + " for a block");
  opted_in()[kernel] = static_cast<std::size_t>(value);
  return cudaSuccess;
}
