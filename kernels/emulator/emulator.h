// emulator.h: the knobs of the emulated device, for tests: how threads are scheduled, which card is imitated, what is counted, and what
// went wrong. Kernels and their launchers need none of this; they see the toolkit's own names (runtime.h, device.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kernels/emulator/report.h"

namespace fovea::emulator {

/// Which of the threads that can run goes next. A kernel whose result depends on it has a race.
enum class Order {
  ascending,   // 0, 1, 2, ...: what naive emulation does, and what hides most mistakes
  descending,
  random,
  warp_ahead,   // the warps in a random order of precedence: one runs as far as barriers let it before the next may move
};

struct Schedule {
  Order order = Order::ascending;   // of threads within a block, and of blocks
  std::uint64_t seed = 1;
  bool late_copies = false;    // cp.async moves its bytes when it is waited for, not when it is issued
  bool late_streams = false;   // work of a stream happens when somebody waits for it, not when it is queued
  std::string name() const;
};
void set_schedule(const Schedule& s);
const Schedule& schedule();
/// The eight that tests walk: each order with copies and streams both ways, several seeds.
std::vector<Schedule> schedules();

/// What a card allows. Sizes in bytes.
struct Profile {
  const char* name;
  int major, minor, multiprocessors;
  std::size_t shared_per_block;          // without asking
  std::size_t shared_per_block_opt_in;   // with cudaFuncSetAttribute
  std::size_t shared_per_multiprocessor;
  int threads_per_multiprocessor;
  std::size_t memory;
  unsigned grid_yz = 65535;   // the largest y and z of a grid: less, so that a test crosses it
};
extern const Profile sm_80, sm_86, sm_90;
void set_profile(const Profile& p);   // sm_80 at first, the least of them
const Profile& profile();

/// Are accesses checked in this build? (It needs -fsanitize=thread on the kernels: cmake/FoveaCuda.cmake.)
bool checks_available();
/// Off: kernels run faster and nothing is accused. On at first.
void set_checks(bool on);

/// The first mistake since the last reset(), if any. It also makes every later call of the runtime fail, as on a card.
std::optional<Report> report();
/// As if the process started anew: no error, no work queued, no counters. What was allocated stays.
void reset();

/// What one launch did to memory. Counted only while set_counting(true), as it takes time and room.
struct Counters {
  std::string kernel;
  std::uint64_t blocks = 0, threads = 0, shared_bytes = 0;       // shared memory: of a block
  std::uint64_t global_load_bytes = 0, global_store_bytes = 0;   // as the threads asked for them
  std::uint64_t global_load_sectors = 0,
                global_store_sectors = 0;   // 32-byte pieces, each warp access by itself: 32 x this / bytes = 1 is ideal
  std::uint64_t shared_wavefronts = 0, shared_ideal_wavefronts = 0;   // passes through the 32 banks, and 128-byte pieces asked for
  std::uint64_t mma = 0;                                              // warp-wide mma.sync
  std::uint64_t mma_flops = 0;
  std::uint64_t async_bytes = 0;   // that cp.async brought
  std::uint64_t barriers = 0;      // __syncthreads, once for a block
};
void set_counting(bool on);
/// One entry for each launch since counting began or this was called last.
std::vector<Counters> take_counters();

}   // namespace fovea::emulator
