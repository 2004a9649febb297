// traffic_testing.h: does a kernel move the bytes that its contract says, and few more? Asked of the emulator's counters.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "tests/cuda/device_testing.h"

namespace fovea::kernels {

#ifdef FOVEA_CUDA_EMULATED
/// What each launch of run() asked of the machine, in order. Only where emulator::checks_available(): a sanitizer's build sees no accesses.
inline std::vector<emulator::Counters> launches_of(const std::function<void()>& run) {
  emulator::take_counters();
  emulator::set_counting(true);
  run();
  check_cuda(cudaDeviceSynchronize(), "launches_of");
  emulator::set_counting(false);
  return emulator::take_counters();
}
inline emulator::Counters sum_of(const std::vector<emulator::Counters>& launches) {
  emulator::Counters sum;
  for (const emulator::Counters& c : launches) {
    sum.global_load_bytes += c.global_load_bytes, sum.global_store_bytes += c.global_store_bytes;
    sum.global_load_sectors += c.global_load_sectors, sum.global_store_sectors += c.global_store_sectors;
    sum.shared_wavefronts += c.shared_wavefronts, sum.shared_ideal_wavefronts += c.shared_ideal_wavefronts;
    sum.mma += c.mma, sum.mma_flops += c.mma_flops, sum.async_bytes += c.async_bytes;
  }
  return sum;
}

/// `bytes` of global memory have to be moved. What is asked for may come to `most` times that, beside `cached` bytes that are asked for
/// again and come from a cache; passes through the banks of shared memory to 1.2 times the least.
inline void expect_bytes(const emulator::Counters& c, double bytes, double cached = 0, double most = 1.5) {
  const double asked = double(c.global_load_bytes + c.global_store_bytes) - cached;
  EXPECT_GE(asked, 0.9 * bytes) << "less than the contract: it was counted wrongly";
  EXPECT_LE(asked, most * bytes);
  EXPECT_LE(double(c.shared_wavefronts), 1.2 * double(c.shared_ideal_wavefronts));
}
#endif

/// run() launches kernels that have to move `bytes` of global memory in all: what they ask for, and the 32-byte sectors that serve it. On a
/// card nothing is counted.
inline void expect_traffic(std::size_t bytes, const std::function<void()>& run) {
#ifdef FOVEA_CUDA_EMULATED
  if (!emulator::checks_available()) return run();
  const emulator::Counters all = sum_of(launches_of(run));
  expect_bytes(all, double(bytes));
  EXPECT_LE(32. * double(all.global_load_sectors + all.global_store_sectors), 1.5 * double(bytes));
#else
  (void)bytes, (void)run;
#endif
}

}   // namespace fovea::kernels
