// traffic_testing.h: does a kernel move the bytes that its contract says, and few more? Asked of the emulator's counters.
#pragma once

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "tests/cuda/device_testing.h"

namespace fovea::kernels {

#ifdef FOVEA_CUDA_EMULATED
/// Appends the launches of `what` to the file that FOVEA_COUNTERS names, if any, as lines of the table of bench/cuda_kernels.sh.
inline void write_down(const std::vector<emulator::Counters>& launches, const std::string& what) {
  const char* path = std::getenv("FOVEA_COUNTERS");
  if (!path) return;
  const testing::TestInfo& test = *testing::UnitTest::GetInstance()->current_test_info();
  const std::string parameter = test.type_param() ? test.type_param() : "";
  std::string type = parameter == "float" ? ", float" : parameter.ends_with("bfloat16") ? ", bfloat16" : "";
  if (what.ends_with(type)) type.clear();   // it has been said
  const auto times = [](std::uint64_t part, std::uint64_t whole) {
    char text[32] = "";
    if (whole > 0) std::snprintf(text, sizeof text, "%.2f", double(part) / double(whole));
    return std::string(text);
  };
  std::ofstream file(path, std::ios::app);
  for (const emulator::Counters& c : launches) {
    const std::uint64_t bytes = c.global_load_bytes + c.global_store_bytes, sectors = c.global_load_sectors + c.global_store_sectors;
    file << "| " << what << type << " | `" << c.kernel << "` | " << c.blocks << " x " << c.threads / c.blocks << " | " << c.shared_bytes
         << " | " << c.global_load_bytes << " | " << c.global_store_bytes << " | " << times(32 * sectors, bytes) << " | "
         << times(c.shared_wavefronts, c.shared_ideal_wavefronts) << " | " << c.mma << " | " << times(c.async_bytes, c.global_load_bytes)
         << " |\n";
  }
}

/// What each launch of run() asked of the machine, in order. Only where emulator::checks_available(): a sanitizer's build sees no accesses.
/// `what`, an operation and a shape, enters the table of kernels (write_down).
inline std::vector<emulator::Counters> launches_of(const std::function<void()>& run, const std::string& what) {
  emulator::take_counters();
  emulator::set_counting(true);
  run();
  check_cuda(cudaDeviceSynchronize(), "launches_of");
  emulator::set_counting(false);
  const std::vector<emulator::Counters> launches = emulator::take_counters();
  write_down(launches, what);
  return launches;
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
/// card nothing is counted. `what`: an operation and a shape.
inline void expect_traffic(std::size_t bytes, const std::function<void()>& run, const std::string& what) {
#ifdef FOVEA_CUDA_EMULATED
  if (!emulator::checks_available()) return run();
  SCOPED_TRACE(what);
  const emulator::Counters all = sum_of(launches_of(run, what));
  expect_bytes(all, double(bytes));
  EXPECT_LE(32. * double(all.global_load_sectors + all.global_store_sectors), 1.5 * double(bytes));
#else
  (void)bytes, (void)run, (void)what;
#endif
}

}   // namespace fovea::kernels
