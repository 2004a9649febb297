// report.h: what the emulator says when a kernel does what a GPU would do wrong in silence.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace fovea::emulator {

enum class Mistake {
  none,
  out_of_bounds,       // outside every allocation, or outside the block's shared memory
  uninitialised,       // read before anybody wrote
  race,                // two threads, one of them writing, and nothing orders them
  misaligned,          // an address that is not a multiple of the access's size
  host_memory,         // device code at an address of the host's
  device_memory,       // host code at an address of the device's
  copy_in_flight,      // shared memory that a cp.async may still be writing
  exited_at_barrier,   // a barrier that an exited thread can no longer reach
  divergent_barrier,   // threads of a block at different barriers
  deadlock,            // nobody can go on
  wrong_mask,          // a warp operation whose mask names the wrong lanes
  wrong_lane,          // a shuffle from a lane that takes no part
  bad_argument,        // of a wrapped instruction
  stack_overflow,
};
const char* name(Mistake m);

/// A source position. line 0: unknown (a program without -g1).
struct Where {
  std::string file;   // as the compiler was given it
  int line = 0;
  std::string text() const;   // "softmax_cuda.cu:33"
};

/// Where `return_address` was called from. The call may sit in functions of the toolkit header that were inlined into the kernel: the
/// innermost line outside kernels/emulator/ and kernels/cuda*.h is meant. Asks addr2line once for each address.
Where where(const void* return_address);
/// The name of the function that starts at this address, without its parameters.
std::string function_name(const void* function);

struct Report {
  Mistake mistake = Mistake::none;
  std::string kernel;
  unsigned block[3] = {}, thread[3] = {};
  Where at;                        // the access, or the barrier
  std::string what;                // in words, without the place
  std::vector<std::string> also;   // other lines that take part: the other access of a race, everybody who waits
  std::string text() const;
};

}   // namespace fovea::emulator
