// block.h: one block of CUDA threads on one host worker: who runs, who waits for whom, and who is through.
//
// A thread runs until it must wait (a barrier, a warp operation) or ends; then the schedule names the next one that can run and the host
// switches to its fiber directly. So at any time one thread of a block runs, and what threads may rely on is decided by the rules of CUDA,
// which shadow.h checks, not by what happens to run when.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/emulator/counters.h"
#include "kernels/emulator/emulator.h"
#include "kernels/emulator/fiber.h"
#include "kernels/emulator/types.h"

namespace fovea::emulator {

struct Block;
struct Launch;

constexpr int kWarp = 32;
constexpr int kMaxThreads = 1024;   // in a block: every card
constexpr unsigned kFullWarp = 0xffffffffu;

/// What the threads of one warp operation gave, and where each wants its result. The last to arrive has `complete` called.
struct WarpOp {
  using Complete = void (*)(Block& block, int warp, unsigned lanes, void* const* records);
  Complete complete = nullptr;   // also tells the operations apart
  const char* name = "";
  unsigned mask = 0;
  void* record = nullptr;   // of this lane, on its stack
};

/// One cp.async on its way: 4, 8 or 16 bytes to shared memory, of which the first `read` come from global memory and the rest are 0.
struct AsyncCopy {
  std::byte* to;
  const std::byte* from;
  std::uint8_t bytes, read;
  const void* site;
};

struct CopyGroup {
  std::uint32_t end;   // copies[.. end) belong to it and to the groups before it
};

struct Thread {
  enum class State : std::uint8_t { ready, at_barrier, in_warp_op, exited };
  void* stack_pointer = nullptr;
  Block* block = nullptr;
  Stack stack;
  uint3 index{};              // threadIdx
  std::uint16_t linear = 0;   // x fastest, as warps are cut
  std::uint16_t slot = 0;     // its place in the order of the schedule
  State state = State::ready;
  const void* site = nullptr;   // where it waits: the return address of the call
  const char* waits_in = "";    // and that call's name
  WarpOp op;
  unsigned vote = 0;               // what it brought to a barrier that counts or combines
  std::uint32_t time = 0;          // synchronisations so far (shadow.h)
  std::vector<AsyncCopy> copies;   // in order of issue, from the first that has not been waited for
  std::vector<CopyGroup> groups;   // committed: each ends where copies.size() was
  int warp() const { return linear / kWarp; }
  int lane() const { return linear % kWarp; }
};

struct Warp {
  unsigned exists = 0, live = 0, waiting = 0;   // lanes
  std::uint32_t known[kWarp][kWarp];            // known[i][j]: up to which time lane i has seen what lane j did (a vector clock)
};

struct Block {
  void run(Launch& launch, std::uint64_t index);   // every thread to its end, or to the first mistake

  // What a running thread calls. Each may switch to others before it returns.
  unsigned barrier(Thread& t, unsigned vote, unsigned (*combine)(const Block&), const char* name, const void* site);
  void warp_op(Thread& t, const WarpOp& op, const void* site);
  [[noreturn]] void exit(Thread& t);
  /// stopped().fail(...) ends the launch with this report; the threads of the block are abandoned where they are. (stopped() comes
  /// first so that the strings of the report are not taken for work of the kernel: see Outside.)
  Block& stopped();
  [[noreturn]] void fail(const Thread& t, Mistake m, const void* site, std::string what, std::vector<std::string> also = {});

  Launch* launch = nullptr;
  uint3 index{};   // blockIdx
  std::uint64_t linear = 0;
  bool checked = false, counted = false;   // this launch
  int count = 0, exited = 0, arrived = 0;
  std::uint32_t time = 0;   // of the last __syncthreads: everything before it is known to everybody
  std::uint32_t max_time = 0;
  unsigned vote_result = 0;
  Thread threads[kMaxThreads];
  Warp warps[kMaxThreads / kWarp];
  std::byte* shared = nullptr;   // launch->shared_bytes are usable
  AccessLog log;

 private:
  void begin_order();
  Thread* pick();
  void make_ready(Thread& t);
  void yield(Thread& t);
  bool try_complete(const Thread& t);
  void complete_barrier(Thread& last);
  [[noreturn]] void report_deadlock();
  std::vector<std::string> waiters() const;
  std::uint64_t random();

  StackPool stacks_;
  void* host_ = nullptr;                    // where run() waits
  std::uint64_t ready_[kMaxThreads / 64];   // by slot
  std::uint16_t at_slot_[kMaxThreads];      // slot -> thread
  unsigned (*combine_)(const Block&) = nullptr;
  std::uint64_t random_state_ = 0;
  int last_slot_ = -1;
};

/// The thread that runs on this host thread; null outside kernels.
extern __thread Thread* current;

/// While the emulator does work of its own on a thread's behalf. (It shares inline functions of the standard library with the kernels'
/// files, whose copies report their accesses; those are not the thread's.)
class Outside {
 public:
  Outside() : thread_(current) { current = nullptr; }
  ~Outside() { current = thread_; }
  Outside(const Outside&) = delete;
  Outside& operator=(const Outside&) = delete;

 private:
  Thread* thread_;
};

}   // namespace fovea::emulator
