// callbacks.cpp: how the checker hears of every access without a compiler of its own. Kernels are compiled with -fsanitize=thread,bounds,
// which makes GCC and clang put a call in front of each load and store; but they are linked without it, so these functions answer the
// calls instead of the sanitizer's library. Nothing here is in builds that link a real sanitizer.
#include "kernels/emulator/shadow.h"
#include "kernels/emulator/state.h"

#if FOVEA_EMULATOR_CHECKED

namespace {

using fovea::emulator::Access;
using fovea::emulator::current;

[[gnu::always_inline]] inline void seen(const void* p, std::size_t bytes, Access kind, const void* site) {
  if (fovea::emulator::Thread* t = current) {
    if (t->block->checked) fovea::emulator::check_access(*t, p, bytes, kind, site);
  } else {
    fovea::emulator::check_host_access(p, site);
  }
}
// Structs that are copied whole: in pieces of 8, as they have no size of hardware.
void seen_range(const void* p, std::size_t bytes, Access kind, const void* site) {
  const char* q = static_cast<const char*>(p);
  while (bytes > 0) {
    std::size_t piece = 8;
    while (piece > bytes || reinterpret_cast<std::uintptr_t>(q) % piece != 0) piece /= 2;
    seen(q, piece, kind, site);
    q += piece, bytes -= piece;
  }
}

}   // namespace

#define FOVEA_SITE __builtin_return_address(0)
#define FOVEA_ACCESS(n)                                                                    \
  void __tsan_read##n(void* p) { seen(p, n, Access::read, FOVEA_SITE); }                   \
  void __tsan_write##n(void* p) { seen(p, n, Access::write, FOVEA_SITE); }                 \
  void __tsan_unaligned_read##n(void* p) { seen_range(p, n, Access::read, FOVEA_SITE); }   \
  void __tsan_unaligned_write##n(void* p) { seen_range(p, n, Access::write, FOVEA_SITE); } \
  void __tsan_volatile_read##n(void* p) { seen(p, n, Access::read, FOVEA_SITE); }          \
  void __tsan_volatile_write##n(void* p) { seen(p, n, Access::write, FOVEA_SITE); }        \
  void __tsan_read_write##n(void* p) {                                                     \
    seen(p, n, Access::read, FOVEA_SITE);                                                  \
    seen(p, n, Access::write, FOVEA_SITE);                                                 \
  }

// The host code beside kernels may use atomics (a static's guard, say): the plain ones, as they would be without the flag.
#define FOVEA_ATOMIC(bits, T)                                                                                       \
  T __tsan_atomic##bits##_load(const volatile T* a, int) { return __atomic_load_n(a, __ATOMIC_SEQ_CST); }           \
  void __tsan_atomic##bits##_store(volatile T* a, T v, int) { __atomic_store_n(a, v, __ATOMIC_SEQ_CST); }           \
  T __tsan_atomic##bits##_exchange(volatile T* a, T v, int) { return __atomic_exchange_n(a, v, __ATOMIC_SEQ_CST); } \
  T __tsan_atomic##bits##_fetch_add(volatile T* a, T v, int) { return __atomic_fetch_add(a, v, __ATOMIC_SEQ_CST); } \
  T __tsan_atomic##bits##_fetch_sub(volatile T* a, T v, int) { return __atomic_fetch_sub(a, v, __ATOMIC_SEQ_CST); } \
  T __tsan_atomic##bits##_fetch_and(volatile T* a, T v, int) { return __atomic_fetch_and(a, v, __ATOMIC_SEQ_CST); } \
  T __tsan_atomic##bits##_fetch_or(volatile T* a, T v, int) { return __atomic_fetch_or(a, v, __ATOMIC_SEQ_CST); }   \
  T __tsan_atomic##bits##_fetch_xor(volatile T* a, T v, int) { return __atomic_fetch_xor(a, v, __ATOMIC_SEQ_CST); } \
  int __tsan_atomic##bits##_compare_exchange_strong(volatile T* a, T* expected, T v, int, int) {                    \
    return __atomic_compare_exchange_n(a, expected, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);                  \
  }                                                                                                                 \
  int __tsan_atomic##bits##_compare_exchange_weak(volatile T* a, T* expected, T v, int, int) {                      \
    return __atomic_compare_exchange_n(a, expected, v, true, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);                   \
  }                                                                                                                 \
  T __tsan_atomic##bits##_compare_exchange_val(volatile T* a, T expected, T v, int, int) {                          \
    __atomic_compare_exchange_n(a, &expected, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);                        \
    return expected;                                                                                                \
  }

extern "C" {

void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}
void __tsan_read_range(void* p, std::size_t n) { seen_range(p, n, Access::read_padded, FOVEA_SITE); }
void __tsan_write_range(void* p, std::size_t n) { seen_range(p, n, Access::write, FOVEA_SITE); }
FOVEA_ACCESS(1)
FOVEA_ACCESS(2)
FOVEA_ACCESS(4)
FOVEA_ACCESS(8)
FOVEA_ACCESS(16)
FOVEA_ATOMIC(8, unsigned char)
FOVEA_ATOMIC(16, unsigned short)
FOVEA_ATOMIC(32, unsigned)
FOVEA_ATOMIC(64, unsigned long)
void __tsan_atomic_thread_fence(int) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
void __tsan_atomic_signal_fence(int) {}

// Structs that clang copies, and memcpy itself, arrive here by the linker's --wrap. The emulator's own copies within its own memory do, too.
void* __real_memcpy(void* to, const void* from, std::size_t n);
void* __real_memmove(void* to, const void* from, std::size_t n);
void* __real_memset(void* to, int value, std::size_t n);
[[gnu::always_inline]] static inline void seen_copy(const void* to, const void* from, std::size_t n, const void* site) {
  fovea::emulator::Thread* t = current;
  if (!t || !t->block->checked) return;
  if (from && fovea::emulator::on_device(*t, from)) seen_range(from, n, Access::read_padded, site);
  if (fovea::emulator::on_device(*t, to)) seen_range(to, n, Access::write, site);
}
void* __wrap_memcpy(void* to, const void* from, std::size_t n) {
  seen_copy(to, from, n, FOVEA_SITE);
  return __real_memcpy(to, from, n);
}
void* __wrap_memmove(void* to, const void* from, std::size_t n) {
  seen_copy(to, from, n, FOVEA_SITE);
  return __real_memmove(to, from, n);
}
void* __wrap_memset(void* to, int value, std::size_t n) {
  seen_copy(to, nullptr, n, FOVEA_SITE);
  return __real_memset(to, value, n);
}

// -fsanitize=bounds: an index outside an array whose size the compiler knows, such as a tile in the struct of shared memory, where the
// byte that it meets may well belong to the next member.
struct OutOfBoundsData {
  const char* file;
  std::uint32_t line, column;
};
void __ubsan_handle_out_of_bounds(OutOfBoundsData*, std::uintptr_t index) {
  if (fovea::emulator::Thread* t = current)
    t->block->stopped().fail(*t, fovea::emulator::Mistake::out_of_bounds, FOVEA_SITE,
                             "index " + std::to_string(static_cast<std::int64_t>(index)) + " of an array of fixed size");
}

}   // extern "C"

#endif
