// device.h: what device code finds in the toolkit, under the toolkit's names. Declarations and thin templates only; the work is done by
// functions of the emulator that take the place of instructions. Each of them is called from the kernel's own code, so that its return
// address tells the line.
#pragma once

#include <math.h>

#include <bit>
#include <cstdint>
#include <type_traits>

#include "kernels/emulator/types.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)

// At which of two equal calls in two branches a thread waits is what the checker asks, so they must not become one behind the branches.
#ifdef __clang__
#define FOVEA_NO_MERGE __attribute__((nomerge))
#else
#define FOVEA_NO_MERGE
#endif

namespace fovea::emulator {

// A thread's coordinates never change, so the compiler may ask once (const) and need not ask at all.
[[gnu::const]] uint3 thread_index();
[[gnu::const]] uint3 block_index();
[[gnu::const]] uint3 block_size();
[[gnu::const]] uint3 grid_size();
[[gnu::const]] void* shared_memory(std::size_t bytes);   // of this block; fails if the launch asked for less

enum class Shuffle { from, up, down, exclusive_or };
FOVEA_NO_MERGE std::uint64_t shuffle(Shuffle how, unsigned mask, std::uint64_t value, int lane, int width);
enum class Vote { ballot, any, all };
FOVEA_NO_MERGE unsigned vote(Vote how, unsigned mask, int predicate);
FOVEA_NO_MERGE unsigned match(bool all, unsigned mask, std::uint64_t value, int* all_equal);
FOVEA_NO_MERGE unsigned reduce_add(unsigned mask, unsigned value);
enum class Count { count, disjunction };
FOVEA_NO_MERGE int barrier_vote(Count how, int predicate);

/// 16 bytes as one access, in two registers.
struct Wide {
  std::uint64_t low, high;
};
Wide load_wide(const void* p);
void store_wide(void* p, Wide v);

enum class Atomic { add, max, increment };
template <class T> T atomic(Atomic how, T* p, T value);   // int, unsigned, unsigned long long

template <class T> std::uint64_t to_word(T v) {
  static_assert(std::is_trivially_copyable_v<T> && (sizeof(T) == 4 || sizeof(T) == 8), "4 or 8 bytes");
  if constexpr (sizeof(T) == 4)
    return std::bit_cast<std::uint32_t>(v);
  else
    return std::bit_cast<std::uint64_t>(v);
}
template <class T> T from_word(std::uint64_t v) {
  if constexpr (sizeof(T) == 4)
    return std::bit_cast<T>(static_cast<std::uint32_t>(v));
  else
    return std::bit_cast<T>(v);
}

}   // namespace fovea::emulator

#define threadIdx (::fovea::emulator::thread_index())
#define blockIdx (::fovea::emulator::block_index())
#define blockDim (::fovea::emulator::block_size())
#define gridDim (::fovea::emulator::grid_size())
constexpr int warpSize = 32;

// ---- the block -------------------------------------------------------------------------------------------------------------
FOVEA_NO_MERGE void __syncthreads();
__forceinline__ int __syncthreads_count(int predicate) { return fovea::emulator::barrier_vote(fovea::emulator::Count::count, predicate); }
__forceinline__ int __syncthreads_or(int predicate) {
  return fovea::emulator::barrier_vote(fovea::emulator::Count::disjunction, predicate);
}
void __threadfence();

// ---- the warp: every lane that the mask names and that has not left the kernel must come ---------------------------------------
FOVEA_NO_MERGE void __syncwarp(unsigned mask = 0xffffffffu);
template <class T> __forceinline__ T __shfl_sync(unsigned mask, T v, int lane, int width = warpSize) {
  return fovea::emulator::from_word<T>(
      fovea::emulator::shuffle(fovea::emulator::Shuffle::from, mask, fovea::emulator::to_word(v), lane, width));
}
template <class T> __forceinline__ T __shfl_up_sync(unsigned mask, T v, unsigned delta, int width = warpSize) {
  return fovea::emulator::from_word<T>(
      fovea::emulator::shuffle(fovea::emulator::Shuffle::up, mask, fovea::emulator::to_word(v), static_cast<int>(delta), width));
}
template <class T> __forceinline__ T __shfl_down_sync(unsigned mask, T v, unsigned delta, int width = warpSize) {
  return fovea::emulator::from_word<T>(
      fovea::emulator::shuffle(fovea::emulator::Shuffle::down, mask, fovea::emulator::to_word(v), static_cast<int>(delta), width));
}
template <class T> __forceinline__ T __shfl_xor_sync(unsigned mask, T v, int lanes, int width = warpSize) {
  return fovea::emulator::from_word<T>(
      fovea::emulator::shuffle(fovea::emulator::Shuffle::exclusive_or, mask, fovea::emulator::to_word(v), lanes, width));
}
__forceinline__ unsigned __ballot_sync(unsigned mask, int predicate) {
  return fovea::emulator::vote(fovea::emulator::Vote::ballot, mask, predicate);
}
__forceinline__ int __any_sync(unsigned mask, int predicate) {
  return int(fovea::emulator::vote(fovea::emulator::Vote::any, mask, predicate));
}
__forceinline__ int __all_sync(unsigned mask, int predicate) {
  return int(fovea::emulator::vote(fovea::emulator::Vote::all, mask, predicate));
}
template <class T> __forceinline__ unsigned __match_any_sync(unsigned mask, T v) {
  return fovea::emulator::match(false, mask, fovea::emulator::to_word(v), nullptr);
}
template <class T> __forceinline__ unsigned __match_all_sync(unsigned mask, T v, int* all_equal) {
  return fovea::emulator::match(true, mask, fovea::emulator::to_word(v), all_equal);
}
__forceinline__ unsigned __reduce_add_sync(unsigned mask, unsigned v) { return fovea::emulator::reduce_add(mask, v); }
__forceinline__ int __reduce_add_sync(unsigned mask, int v) { return int(fovea::emulator::reduce_add(mask, unsigned(v))); }

// ---- atomics, on integers only: a sum of floats would depend on the order ----------------------------------------------------------
#define FOVEA_ATOMICS(T)                                                                                         \
  __forceinline__ T atomicAdd(T* p, T v) { return fovea::emulator::atomic(fovea::emulator::Atomic::add, p, v); } \
  __forceinline__ T atomicMax(T* p, T v) { return fovea::emulator::atomic(fovea::emulator::Atomic::max, p, v); }
FOVEA_ATOMICS(int)
FOVEA_ATOMICS(unsigned)
FOVEA_ATOMICS(unsigned long long)
#undef FOVEA_ATOMICS
/// old >= v ? 0 : old + 1
__forceinline__ unsigned atomicInc(unsigned* p, unsigned v) { return fovea::emulator::atomic(fovea::emulator::Atomic::increment, p, v); }

// ---- integers ------------------------------------------------------------------------------------------------------------------
__forceinline__ int __popc(unsigned v) { return std::popcount(v); }
__forceinline__ int __clz(int v) { return std::countl_zero(static_cast<unsigned>(v)); }
__forceinline__ int __ffs(int v) { return __builtin_ffs(v); }
__forceinline__ unsigned __umulhi(unsigned a, unsigned b) { return static_cast<unsigned>((std::uint64_t{a} * b) >> 32); }

#include "kernels/emulator/intrinsics.h"
