// fiber.cpp: the switch and the stacks.
#include "kernels/emulator/fiber.h"

#include <sys/mman.h>

#include <cstring>
#include <new>
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

// System V x86-64: a function may overwrite every register but rbx, rbp, r12-r15 and rsp, so a call that looks like any other saves
// these six and nothing else. (The SSE control word and the x87 one are the same for all threads of a kernel.)
asm(R"(
  .text
  .globl fovea_emulator_switch
  .type fovea_emulator_switch, @function
fovea_emulator_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
  .size fovea_emulator_switch, .-fovea_emulator_switch
  .section .note.GNU-stack,"",@progbits
  .text
)");

namespace fovea::emulator {
StackPool::~StackPool() {
  for (const Stack& s : stacks_) munmap(s.low - kGuard, kBytes + kGuard);
}

Stack StackPool::operator[](int i) {
  while (i >= static_cast<int>(stacks_.size())) {
    void* memory = mmap(nullptr, kBytes + kGuard, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    mprotect(memory, kGuard, PROT_NONE);
    std::byte* low = static_cast<std::byte*>(memory) + kGuard;
    stacks_.push_back({.low = low, .high = low + kBytes});
  }
  return stacks_[i];
}

void* fresh_fiber(const Stack& s, void (*entry)()) {
#if defined(__SANITIZE_ADDRESS__)
  __asan_unpoison_memory_region(s.low, s.high - s.low);   // what an abandoned fiber left
#endif
  // As if `entry` had been called and had then switched away at once: six registers, where to return to, and (for an entry that
  // never returns) an empty slot that puts rsp at 8 mod 16, as the ABI wants it at a function's first instruction.
  void** top = reinterpret_cast<void**>(s.high) - 8;
  std::memset(top, 0, 8 * sizeof(void*));
  top[6] = reinterpret_cast<void*>(entry);
  return top;
}

}   // namespace fovea::emulator
