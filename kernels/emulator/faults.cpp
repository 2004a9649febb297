// faults.cpp: SIGSEGV on a stack of its own, as the thread's is full. The handler does not return: it leaves for the host's fiber, as every
// other report does.
#include "kernels/emulator/faults.h"

#include <signal.h>
#include <ucontext.h>

#include <memory>
#include <mutex>

#include "kernels/emulator/block.h"
#include "kernels/emulator/memory.h"
#include "kernels/emulator/state.h"

namespace fovea::emulator {
namespace {

struct sigaction before;

/// Where the kernel was: the faulting instruction, or the call that led to it (its return address is on the stack) if that is the emulator's.
const void* site_of_fault(const Thread& t, const ucontext_t& context) {
  const auto of_kernel = [](const void* p) {
    const Where w = where(p);
    return w.line != 0 && w.file.find("kernels/emulator/") == std::string::npos;
  };
  const void* instruction =
      reinterpret_cast<const char*>(context.uc_mcontext.gregs[REG_RIP]) + 1;   // as if it were a call that returns there
  if (of_kernel(instruction)) return instruction;
  auto* word = reinterpret_cast<const void* const*>(context.uc_mcontext.gregs[REG_RSP] & ~7ll);
  if (!t.stack.contains(word)) word = reinterpret_cast<const void* const*>(t.stack.low);
  for (int i = 0; i < 512 && t.stack.contains(word); ++i, ++word)
    if (is_code(*word) && of_kernel(*word)) return *word;
  return instruction;
}

void handle(int signal, siginfo_t* info, void* context) {
  Thread* t = current;
  if (!t) {   // not a kernel's: as it was before
    sigaction(signal, &before, nullptr);
    return;
  }
  current = nullptr;
  const auto* at = static_cast<const std::byte*>(info->si_addr);
  const void* site = site_of_fault(*t, *static_cast<const ucontext_t*>(context));
  if (at < t->stack.low && at >= t->stack.low - StackPool::kGuard)
    t->block->stopped().fail(*t, Mistake::stack_overflow, site,
                             "local memory of more than " + std::to_string(StackPool::kBytes) + " bytes, calls included");
  t->block->stopped().fail(*t, Mistake::out_of_bounds, site, "address " + hex(reinterpret_cast<std::uintptr_t>(at)) + " is nobody's");
}

struct AlternateStack {
  static constexpr std::size_t kBytes = 256 << 10;
  std::unique_ptr<std::byte[]> bytes{new std::byte[kBytes]};
  AlternateStack() {
    stack_t s{};
    s.ss_sp = bytes.get();
    s.ss_size = kBytes;
    sigaltstack(&s, nullptr);
  }
  ~AlternateStack() {
    stack_t s{};
    s.ss_flags = SS_DISABLE;
    sigaltstack(&s, nullptr);
  }
};

}   // namespace

void catch_faults() {
  thread_local const AlternateStack stack;
  static std::once_flag once;
  std::call_once(once, [] {
    struct sigaction action {};
    action.sa_sigaction = handle;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;   // the handler leaves without returning
    sigaction(SIGSEGV, &action, &before);
  });
}

}   // namespace fovea::emulator
