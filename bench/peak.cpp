// peak.cpp: the ceiling: nothing but independent multiply-adds on registers, compiled once per instruction set.
#include "kernels/cpu/isa.h"
#include "kernels/cpu/simd.h"

namespace fovea::bench::FOVEA_ISA {

/// Runs `rounds` of kChains fma on every lane; returns the floating-point operations done (2 for each multiply-add).
double peak_loop(std::int64_t rounds, float* sink) {
  using namespace kernels::FOVEA_ISA;
  constexpr int kChains = kWidth == 4 ? 6 : 12;   // more than latency times throughput, fewer than there are registers
  Native acc[kChains];
#pragma GCC unroll 16
  for (int j = 0; j < kChains; ++j) {
    acc[j] = broadcast(float(j));   // chains that the compiler saw to be equal would become one
    asm volatile("" : "+x"(acc[j]));
  }
  Native a = broadcast(0.999f), b = broadcast(0.001f);
  for (std::int64_t i = 0; i < rounds; ++i) {
    asm volatile("" : "+x"(a), "+x"(b));   // opaque, so that the loop stays a loop
#pragma GCC unroll 16
    for (int j = 0; j < kChains; ++j) acc[j] = fma(acc[j], a, b);
  }
  Native sum = acc[0];
  for (int j = 1; j < kChains; ++j) sum = sum + acc[j];
  store(sink, sum);
  return 2. * kChains * kWidth * double(rounds);
}

}   // namespace fovea::bench::FOVEA_ISA
