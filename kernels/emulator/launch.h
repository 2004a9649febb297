// launch.h: a kernel with its arguments and its grid, ready to run now, later, or once more (a stream's queue, a graph's node).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "kernels/emulator/counters.h"
#include "kernels/emulator/emulator.h"
#include "kernels/emulator/types.h"

namespace fovea::emulator {

/// What a block's last act, an atomic after a __threadfence, has made visible to blocks that see it (shadow.h).
struct Published {
  std::atomic<std::uint32_t> fence{0};      // the block's time at its last __threadfence, + 1
  std::atomic<std::uint32_t> release{0};    // ... of the fence that an atomic followed
  std::atomic<std::uint64_t> released{0};   // when, on the launch's clock of atomics
  std::atomic<std::uint64_t> acquired{0};   // when this block last saw an atomic
};

struct Launch {
  const void* kernel = nullptr;
  void (*invoke)(const void* kernel, const void* arguments) = nullptr;   // calls it, typed; runs once in each thread
  std::shared_ptr<const void> arguments;
  std::size_t argument_bytes = 0;
  dim3 grid, block;
  std::size_t shared_bytes = 0;

  std::uint64_t blocks() const { return std::uint64_t{grid.x} * grid.y * grid.z; }
  int threads() const { return static_cast<int>(block.x * block.y * block.z); }
  void run();   // the whole grid, blocks over the host's workers

  // While it runs:
  std::uint32_t number = 0;   // of this launch, for the shadow: 1 .. kLaunches - 1
  Schedule schedule;
  bool checked = false, counted = false;
  std::atomic<bool> failed{false};
  std::vector<Published> published;   // one for each block, when checked
  std::atomic<std::uint64_t> atomics{0};
  std::mutex mutex;
  Counters counters;
};

}   // namespace fovea::emulator
