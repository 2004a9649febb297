// traffic_testing.h: does a kernel move the bytes that its contract says, and few more? Asked of the emulator's counters.
#pragma once

#include <gtest/gtest.h>

#include <functional>

#include "tests/cuda/device_testing.h"

namespace fovea::kernels {

/// run() launches kernels that have to move `bytes` of global memory in all. What they ask for, and the 32-byte sectors that serve it, may
/// come to one and a half times that; passes through the banks of shared memory to 1.2 times the least. On a card
/// nothing is counted.
inline void expect_traffic(std::size_t bytes, const std::function<void()>& run) {
#ifdef FOVEA_CUDA_EMULATED
  if (!emulator::checks_available()) return run();   // a sanitizer's build: it has callbacks of its own
  emulator::take_counters();
  emulator::set_counting(true);
  run();
  check_cuda(cudaDeviceSynchronize(), "expect_traffic");
  emulator::set_counting(false);
  double asked = 0, served = 0, wavefronts = 0, least = 0;
  for (const emulator::Counters& c : emulator::take_counters()) {
    asked += double(c.global_load_bytes + c.global_store_bytes);
    served += 32. * double(c.global_load_sectors + c.global_store_sectors);
    wavefronts += double(c.shared_wavefronts);
    least += double(c.shared_ideal_wavefronts);
  }
  EXPECT_GT(asked, 0.9 * double(bytes)) << "less than the contract: it was counted wrongly";
  EXPECT_LE(asked, 1.5 * double(bytes));
  EXPECT_LE(served, 1.5 * double(bytes));
  EXPECT_LE(wavefronts, 1.2 * least);
#else
  (void)bytes, (void)run;
#endif
}

}   // namespace fovea::kernels
