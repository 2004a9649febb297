// memory.h: where the emulated device keeps its bytes. All of global memory lies in one reserved range of addresses, so that "is this a
// device pointer" is a comparison and a byte's shadow is found by arithmetic.
//
// Each byte has a state. Fresh memory is filled with 0xff bytes: a NaN in every floating-point format, -1 in integers, so that reading too
// early shows even without checks. Allocations are at least kGap bytes apart: an index that runs over an end meets nobody's memory.
#pragma once

#include <cstddef>
#include <cstdint>

namespace fovea::emulator {

constexpr std::size_t kArena = std::size_t{64} << 30;   // addresses; pages exist once they are touched
constexpr std::size_t kAlignment = 256, kGap = 512;
constexpr std::size_t kSharedArena = 256 << 10;   // of one worker

namespace state {   // of a byte
constexpr std::uint8_t allocated = 1, written = 2, in_flight = 4, freed = 8;
constexpr std::uint8_t readable = allocated | written;
}   // namespace state

/// Where things are, for the checks of every access: fixed once the first allocation is made.
extern std::byte* arena;            // global memory
extern std::uint8_t* arena_state;   // one for each byte of it
inline bool in_arena(const void* p) { return reinterpret_cast<std::uintptr_t>(p) - reinterpret_cast<std::uintptr_t>(arena) < kArena; }

void make_arena();
std::byte* reserve(std::size_t bytes);          // addresses whose pages come, full of zeros, when they are touched
void* allocate(std::size_t bytes);              // null: no room
bool release(void* p);                          // false: not the start of an allocation
bool owned(const void* p, std::size_t bytes);   // within one allocation?
std::size_t allocated_bytes();
/// The allocation that p lies in or near, in words: "64 bytes past the end of an allocation of 4096 bytes".
struct Place {
  const std::byte* start = nullptr;
  std::size_t bytes = 0;
};
Place nearest_allocation(const void* p);

/// The program's own segments: constants, as a card would have them in constant memory, and code.
bool is_constant(const void* p);
bool is_code(const void* p);

/// This worker's shared memory, its states and its shadow.
std::byte* worker_shared_memory();
std::uint8_t* worker_shared_state();
/// Fresh shared memory for a block: NaN all over, unwritten, and unusable beyond `bytes`.
void begin_shared(std::byte* shared, std::size_t bytes, bool checked);

}   // namespace fovea::emulator
