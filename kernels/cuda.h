// cuda.h: what every .cu file includes, and nothing else of CUDA's: the toolkit when nvcc compiles, the emulated one (kernels/emulator)
// when a C++ compiler does. Below it the few idioms in which all kernels here are written: one way to launch, one to have shared memory,
// one to move 16 bytes, one to combine a warp.
#pragma once

#ifdef FOVEA_CUDA_EMULATED
#include "kernels/emulator/device.h"
#include "kernels/emulator/ptx.h"
#endif

#include <bit>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <type_traits>

#include "kernels/backend.h"
#include "kernels/bfloat16.h"
#include "kernels/cuda_host.h"

/// In front of a loop with a constant count: its body is written out, so that arrays indexed by the counter live in registers. (The emulator
/// has no registers to spare, and a C++ compiler would take three times as long.)
#ifdef FOVEA_CUDA_EMULATED
#define FOVEA_UNROLL
#else
#define FOVEA_UNROLL _Pragma("unroll")
#endif

namespace fovea::kernels {

constexpr int kWarp = 32;
constexpr unsigned kFullWarp = 0xffffffffu;

__host__ __device__ __forceinline__ constexpr std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }
__host__ __device__ __forceinline__ constexpr std::int64_t min_of(std::int64_t a, std::int64_t b) { return a < b ? a : b; }
__host__ __device__ __forceinline__ constexpr std::int64_t max_of(std::int64_t a, std::int64_t b) { return a > b ? a : b; }

// ---- on the host ---------------------------------------------------------------------------------------------------------------

struct LaunchShape {
  dim3 grid, block;
  std::size_t smem = 0;   // bytes: sizeof what shared_memory<> is asked for
  cudaStream_t stream = nullptr;
};

/// ceil(n / per), as a number of blocks.
inline unsigned blocks(std::int64_t n, std::int64_t per) {
  const std::int64_t b = ceil_div(n, per);
  if (b > 0x7fffffff) throw std::length_error("CUDA: a grid of " + std::to_string(b) + " blocks is larger than a card takes");
  return static_cast<unsigned>(b);
}

/// kernel(arguments...) on a grid, asynchronous, on the shape's stream. Throws if the card does not take the configuration.
template <class... P, class... A> void launch(void (*kernel)(P...), const LaunchShape& s, const A&... arguments) {
  if (s.smem > (48 << 10))   // beyond this a kernel must ask
    check_cuda(
        cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel), cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(s.smem)),
        "shared memory");
#ifndef FOVEA_CUDA_EMULATED
  kernel<<<s.grid, s.block, s.smem, s.stream>>>(static_cast<P>(arguments)...);
  check_cuda(cudaGetLastError(), "launch");
#else
  check_cuda(emulator::launch_kernel(kernel, s.grid, s.block, s.smem, s.stream, arguments...), "launch");
#endif
}

// ---- on the device ---------------------------------------------------------------------------------------------------------------

/// The block's shared memory, as one struct. All of it starts out unwritten.
template <class Smem> __device__ __forceinline__ Smem& shared_memory() {
  static_assert(alignof(Smem) <= 128 && std::is_trivially_copyable_v<Smem>, "shared memory is raw: nothing is constructed in it");
#ifndef FOVEA_CUDA_EMULATED
  extern __shared__ __align__(128) unsigned char fovea_shared_memory[];
  return *reinterpret_cast<Smem*>(fovea_shared_memory);
#else
  return *static_cast<Smem*>(emulator::shared_memory(sizeof(Smem)));
#endif
}

/// As many T as 16 bytes hold: the widest access that there is. p must be a multiple of 16 bytes.
template <class T> struct alignas(16) Wide {
  static constexpr int kSize = 16 / sizeof(T);
  T v[kSize];
  __host__ __device__ __forceinline__ T& operator[](int i) { return v[i]; }
  __host__ __device__ __forceinline__ const T& operator[](int i) const { return v[i]; }
};
template <class T> __device__ __forceinline__ Wide<T> load16(const T* p) {
#ifndef FOVEA_CUDA_EMULATED
  const uint4 raw = *reinterpret_cast<const uint4*>(p);
#else
  const emulator::Wide raw = emulator::load_wide(p);
#endif
  return std::bit_cast<Wide<T>>(raw);
}
template <class T> __device__ __forceinline__ void store16(T* p, const Wide<T>& v) {
#ifndef FOVEA_CUDA_EMULATED
  *reinterpret_cast<uint4*>(p) = std::bit_cast<uint4>(v);
#else
  emulator::store_wide(p, std::bit_cast<emulator::Wide>(v));
#endif
}
__host__ __device__ __forceinline__ bool aligned16(const void* p) { return reinterpret_cast<std::uintptr_t>(p) % 16 == 0; }

/// 8 bytes as one access. p must be a multiple of 8.
using EightBytes [[gnu::may_alias]] = std::uint64_t;
__device__ __forceinline__ std::uint64_t load8(const void* p) {
  std::uint64_t raw = *static_cast<const EightBytes*>(p);
#ifdef FOVEA_CUDA_EMULATED
  asm("" : "+r"(raw));   // GCC would split it into accesses of two bytes, and the emulator would count those
#endif
  return raw;
}
__device__ __forceinline__ void store8(void* p, std::uint64_t raw) {
#ifdef FOVEA_CUDA_EMULATED
  asm("" : "+r"(raw));
#endif
  *static_cast<EightBytes*>(p) = raw;
}
__device__ __forceinline__ void store8(float* p, float a, float b) { store8(p, std::bit_cast<std::uint64_t>(float2{a, b})); }

/// Four T as one access, 16 bytes of float and 8 of bfloat16, for kernels in which arrays of both lie side by side: with as many elements of
/// each, both are read and written densely. p must be a multiple of them.
template <class T> struct alignas(4 * sizeof(T)) Four {
  T v[4];
  __host__ __device__ __forceinline__ T& operator[](int i) { return v[i]; }
  __host__ __device__ __forceinline__ const T& operator[](int i) const { return v[i]; }
};
template <class T> __device__ __forceinline__ Four<T> load4(const T* p) {
  if constexpr (sizeof(T) == 4)
    return std::bit_cast<Four<T>>(load16(p));
  else
    return std::bit_cast<Four<T>>(load8(p));
}
template <class T> __device__ __forceinline__ void store4(T* p, const Four<T>& v) {
  if constexpr (sizeof(T) == 4)
    store16(p, std::bit_cast<Wide<T>>(v));
  else
    store8(p, std::bit_cast<std::uint64_t>(v));
}
template <class T> __host__ __device__ __forceinline__ bool aligned4(const T* p) {
  return reinterpret_cast<std::uintptr_t>(p) % sizeof(Four<T>) == 0;
}

struct Sum {
  template <class T> __device__ __forceinline__ T operator()(T a, T b) const { return a + b; }
};
struct Max {   // a NaN is the largest of all
  template <class T> __device__ __forceinline__ T operator()(T a, T b) const { return a > b || a != a ? a : b; }
};
/// v of all 32 lanes combined, the same bits in every lane: lane i meets i ^ 16, then i ^ 8, ... and both compute the same.
template <class T, class Op> __device__ __forceinline__ T warp_all_reduce(T v, Op op) {
  for (int lanes = kWarp / 2; lanes > 0; lanes /= 2) v = op(v, __shfl_xor_sync(kFullWarp, v, lanes));
  return v;
}

}   // namespace fovea::kernels
