// fiber.h: many threads of control on one host thread. A fiber is a stack and a saved stack pointer; switching to it means to push the
// registers that a callee must preserve, to exchange the stack pointer, and to pop; the operating system has no part in it. Every CUDA thread
// of a block is one. Conway 1963, "Design of a Separable Transition-Diagram Compiler", calls them coroutines.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace fovea::emulator {

/// Leaves the stack in use, noting in *from where to go on, and goes on at `to`: fiber.cpp.
extern "C" void fovea_emulator_switch(void** from, void* to);

struct Stack {
  std::byte* low = nullptr;    // what is below cannot be touched: running over the end faults instead of damaging a neighbour
  std::byte* high = nullptr;   // one past the end; stacks grow downwards
  bool contains(const void* p) const { return p >= low && p < high; }
};

/// The stacks of one host worker. Made when first asked for, then used again for every block, so their pages stay warm.
class StackPool {
 public:
  static constexpr std::size_t kBytes = 128 << 10, kGuard = 64 << 10;   // only the pages that are touched exist
  StackPool() = default;
  StackPool(const StackPool&) = delete;
  StackPool& operator=(const StackPool&) = delete;
  ~StackPool();
  Stack operator[](int i);

 private:
  std::vector<Stack> stacks_;
};

/// A saved stack pointer from which a switch starts `entry` on a fresh stack. entry must not return.
void* fresh_fiber(const Stack& s, void (*entry)());

}   // namespace fovea::emulator
