// isa.cpp: which instruction set runs. One CPUID check at start-up, an environment variable and a switch for tests.
#include "kernels/cpu/isa.h"

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>

namespace fovea::kernels {
namespace {

constexpr Isa kAll[] = {Isa::baseline, Isa::avx2, Isa::avx512};

Isa choose() {
  Isa best = Isa::baseline;
  for (Isa i : kAll)
    if (isa_available(i)) best = i;
  const char* asked = std::getenv("FOVEA_ISA");
  if (!asked || !*asked) return best;
  for (Isa i : kAll) {
    if (std::strcmp(asked, isa_name(i)) != 0) continue;
    if (!isa_available(i)) throw std::runtime_error(std::string("FOVEA_ISA=") + asked + ": this CPU runs at most " + isa_name(best));
    return i;
  }
  throw std::runtime_error(std::string("FOVEA_ISA: expected baseline, avx2 or avx512, got ") + asked);
}

// A function's static, so that a throw reaches the caller of the first kernel and not the loader of the program.
std::atomic<Isa>& current() {
  static std::atomic<Isa> value = choose();
  return value;
}

}   // namespace

Isa isa() { return current().load(std::memory_order_relaxed); }

const char* isa_name(Isa i) { return i == Isa::avx512 ? "avx512" : i == Isa::avx2 ? "avx2" : "baseline"; }

bool isa_available(Isa i) {
  __builtin_cpu_init();   // the checks below include the operating system's: are ymm and zmm saved (XGETBV)?
  switch (i) {
    case Isa::avx512:   // x86-64-v4
      return isa_available(Isa::avx2) && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    case Isa::avx2:
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
             __builtin_cpu_supports("bmi2");
    default: return true;
  }
}

void set_isa(Isa i) {
  if (!isa_available(i)) throw std::runtime_error(std::string("set_isa: expected an instruction set of this CPU, got ") + isa_name(i));
  current().store(i, std::memory_order_relaxed);
}

}   // namespace fovea::kernels
