// shadow.h: the rules of CUDA's memory, held against every access of every thread.
//
// For each two bytes of shared and global memory the shadow remembers who wrote last and who has read since: thread, block, launch, and
// the thread's time: how many synchronisations it had been through. Two accesses to the same byte, one of them a write, by different
// threads, must be ordered by something that CUDA says orders memory:
//   - a __syncthreads between them (same block);
//   - a chain of __syncwarp between them (same warp): a vector clock in each warp, Lamport 1978 and Mattern 1989;
//   - a launch that ended before the other began;
//   - between blocks of one launch: __threadfence and an atomic by the first, an atomic by the second (the "last block" idiom).
// Nothing else orders anything: neither a shuffle, nor "they are in the same warp". Otherwise it is a race, whatever order the emulator
// happened to run them in. (Two atomics never race with each other.) Serebryany & Iskhodzhanov 2009, "ThreadSanitizer".
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/emulator/block.h"

namespace fovea::emulator {

enum class Access : std::uint8_t {
  read,
  read_padded,   // of a piece of a struct that is copied whole: some of its bytes may be nobody's
  write,
  atomic,
};

/// One access of a running thread, before it happens: bounds, alignment, state, races; and counted. Fails the launch if it is wrong.
void check_access(Thread& t, const void* p, std::size_t bytes, Access kind, const void* site);
bool on_device(const Thread& t, const void* p);   // global memory, or the block's shared memory
/// Host code in a file of kernels touches p: is it the device's?
void check_host_access(const void* p, const void* site);

/// What only explicit calls can tell: vector accesses, copies, atomics. Nothing without checks.
inline void check(Thread& t, const void* p, std::size_t bytes, Access kind, const void* site) {
#if FOVEA_EMULATOR_CHECKED
  check_access(t, p, bytes, kind, site);
#else
  (void)t, (void)p, (void)bytes, (void)kind, (void)site;
#endif
}

/// A cp.async into p .. p + bytes begins or ends: in between nobody may touch it.
void mark_in_flight(const Thread& t, const std::byte* p, std::size_t bytes, bool begins);

void make_shadow();
std::uint32_t next_launch_number();   // forgets the past when the numbers start again

}   // namespace fovea::emulator
