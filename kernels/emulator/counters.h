// counters.h: what a kernel asks of memory, counted as the hardware serves it: a warp's access at a time.
//
// Fibers run lane after lane, so the 32 accesses of one warp instruction come far apart. Each thread's accesses are logged in the order in
// which it makes them; at a barrier, where all lanes stand at the same place, the n-th access of each lane at one instruction is taken
// as one warp access, and looked at as the memory system would: global memory moves 32-byte sectors, shared memory has 32 banks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace fovea::emulator {

struct Counters;
enum class Space : std::uint8_t { global, shared };

class AccessLog {
 public:
  void add(const void* site, int thread, std::uintptr_t address, std::size_t bytes, Space space, bool write) {
    entries_.push_back({reinterpret_cast<std::uintptr_t>(site), address, static_cast<std::uint32_t>(entries_.size()),
                        static_cast<std::uint16_t>(thread), static_cast<std::uint8_t>(bytes), space, write});
  }
  /// Adds what was logged to c and forgets it.
  void flush(Counters& c);
  void clear() { entries_.clear(); }

 private:
  struct Entry {
    std::uintptr_t site, address;
    std::uint32_t order;   // then the occurrence of this site in this thread
    std::uint16_t thread;
    std::uint8_t bytes;
    Space space;
    bool write;
  };
  std::vector<Entry> entries_;
};

}   // namespace fovea::emulator
