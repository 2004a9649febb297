// isa.h: one binary, three instruction sets.
//
// Every kernels/*_cpu.cpp is compiled three times (baseline x86-64, AVX2+FMA, AVX-512), with FOVEA_ISA naming the
// namespace. Its code is `namespace fovea::kernels::FOVEA_ISA { namespace { ... } }`, and it exports one strong symbol, a
// table of function pointers. The baseline copy (FOVEA_BASELINE) also defines the public Cpu functions, which call
// through the table of the instruction set chosen at start-up:
//
//   struct SoftmaxTable { void (*forward)(const float*, float*, RowShape); ... };    // shared by the three copies
//   FOVEA_ISA_TABLES(SoftmaxTable, softmax_table)                                    // declares three tables + a picker
//   namespace FOVEA_ISA { const SoftmaxTable softmax_table{forward<float>, ...}; }   // defines this copy's
//   #ifdef FOVEA_BASELINE
//   template <> void softmax_forward(Cpu, const float* x, float* y, RowShape s) { softmax_table().forward(x, y, s); }
//   #endif
//
// What an AVX copy includes must not leave weak symbols behind (a test looks): the linker keeps one copy of a weak symbol
// for everybody. So: anonymous namespaces, FOVEA_INLINE, no std:: containers or std::function in these files.
#pragma once

#include <type_traits>

namespace fovea::kernels {

enum class Isa { baseline, avx2, avx512 };

/// The best instruction set that this CPU and operating system run; FOVEA_ISA=baseline|avx2|avx512 in the environment
/// asks for a lower one. Throws std::runtime_error for an unknown name or one that this CPU lacks.
Isa isa();
const char* isa_name(Isa i);
bool isa_available(Isa i);
/// For tests and benches: use this one from now on. Not while kernels run.
void set_isa(Isa i);

#define FOVEA_ISA_TABLES(Type, name)                                      \
  namespace baseline {                                                    \
  extern const Type name;                                                 \
  }                                                                       \
  namespace avx2 {                                                        \
  extern const Type name;                                                 \
  }                                                                       \
  namespace avx512 {                                                      \
  extern const Type name;                                                 \
  }                                                                       \
  [[maybe_unused, gnu::always_inline]] static inline const Type& name() { \
    switch (isa()) {                                                      \
      case Isa::avx512: return avx512::name;                              \
      case Isa::avx2: return avx2::name;                                  \
      default: return baseline::name;                                     \
    }                                                                     \
  }

/// The part of a table {f32, bf16, ...} that serves T.
template <class T, class Table> [[gnu::always_inline]] static inline const auto& for_type(const Table& table) {
  if constexpr (std::is_same_v<T, float>)
    return table.f32;
  else
    return table.bf16;
}

}   // namespace fovea::kernels
