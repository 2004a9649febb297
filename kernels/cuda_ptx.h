// cuda_ptx.h: instructions of PTX, each as a function: asynchronous copies, and what feeds and runs the tensor core. All that the project has of
// PTX. sm_80 and later.
#pragma once

#include "kernels/cuda.h"

namespace fovea::kernels {

/// v, which the compiler may not reason about: what is made of it is made here, and not ahead of a loop, to occupy registers all through it.
__device__ __forceinline__ int opaque(int v) {
  asm volatile("" : "+r"(v));
  return v;
}

// ---- cp.async: global to shared memory without a register in between --------------------------------------------------------------------

#ifndef FOVEA_CUDA_EMULATED
__device__ __forceinline__ unsigned shared_address(const void* p) { return static_cast<unsigned>(__cvta_generic_to_shared(p)); }
#endif

/// `kBytes` (4, 8 or 16) to shared memory, the first `read` of them from global memory and the rest zeros; both addresses are multiples of
/// kBytes. read = 0 touches no global memory: padding. Arrives after copy_async_wait for its group, and then for this thread only: others
/// need a barrier.
template <int kBytes> __device__ __forceinline__ void copy_async(void* shared, const void* global, int read = kBytes) {
  static_assert(kBytes == 4 || kBytes == 8 || kBytes == 16);
#ifndef FOVEA_CUDA_EMULATED
  if constexpr (kBytes == 16)   // .cg: past the first-level cache, as nobody reads it twice from there
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;\n" ::"r"(shared_address(shared)), "l"(global), "r"(read) : "memory");
  else
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;\n" ::"r"(shared_address(shared)), "l"(global), "n"(kBytes), "r"(read)
                 : "memory");
#else
  emulator::copy_async(shared, global, kBytes, read);
#endif
}
/// Everything issued since the last commit becomes a group, be it empty.
__device__ __forceinline__ void copy_async_commit() {
#ifndef FOVEA_CUDA_EMULATED
  asm volatile("cp.async.commit_group;\n" ::: "memory");
#else
  emulator::copy_async_commit();
#endif
}
/// Waits until at most the kNewest newest groups are on their way.
template <int kNewest> __device__ __forceinline__ void copy_async_wait() {
#ifndef FOVEA_CUDA_EMULATED
  asm volatile("cp.async.wait_group %0;\n" ::"n"(kNewest) : "memory");
#else
  emulator::copy_async_wait(kNewest);
#endif
}

// ---- ldmatrix: 8 x 8 tiles of 16-bit elements from shared memory into the tensor core's fragments ----------------------------------------

/// Four tiles; lane 8 i + r points at row r of tile i, 16 aligned bytes. r[i] of lane 4 g + t becomes (g, 2t) and (g, 2t + 1) of tile i.
__device__ __forceinline__ void load_matrix_x4(std::uint32_t (&r)[4], const void* row) {
#ifndef FOVEA_CUDA_EMULATED
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];\n"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
#else
  const emulator::Wide w = emulator::load_matrices(row, false);
  r[0] = static_cast<std::uint32_t>(w.low), r[1] = static_cast<std::uint32_t>(w.low >> 32);
  r[2] = static_cast<std::uint32_t>(w.high), r[3] = static_cast<std::uint32_t>(w.high >> 32);
#endif
}
/// The same of the transposed tiles: (2t, g) and (2t + 1, g).
__device__ __forceinline__ void load_matrix_x4_transposed(std::uint32_t (&r)[4], const void* row) {
#ifndef FOVEA_CUDA_EMULATED
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];\n"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
#else
  const emulator::Wide w = emulator::load_matrices(row, true);
  r[0] = static_cast<std::uint32_t>(w.low), r[1] = static_cast<std::uint32_t>(w.low >> 32);
  r[2] = static_cast<std::uint32_t>(w.high), r[3] = static_cast<std::uint32_t>(w.high >> 32);
#endif
}

// ---- mma.sync: the tensor core --------------------------------------------------------------------------------------------------------------

/// C (16, 8) += A (16, 16) B (16, 8), bfloat16 with float32 sums. Lane 4 g + t holds pairs (lower half first)
/// a = (g, 2t..), (g + 8, 2t..), (g, 2t + 8..), (g + 8, 2t + 8..);  b = (2t.., g), (2t + 8.., g);
/// c = (g, 2t), (g, 2t + 1), (g + 8, 2t), (g + 8, 2t + 1).
__device__ __forceinline__ void mma_bf16(float (&c)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1) {
#ifndef FOVEA_CUDA_EMULATED
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};\n"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#else
  const emulator::Accumulators d = emulator::mma_bf16({{c[0], c[1], c[2], c[3]}}, a[0], a[1], a[2], a[3], b0, b1);
  c[0] = d.v[0], c[1] = d.v[1], c[2] = d.v[2], c[3] = d.v[3];
#endif
}
/// C (16, 8) += A (16, 8) B (8, 8), tf32: floats without their lowest 13 bits. Lane 4 g + t holds
/// a = (g, t), (g + 8, t), (g, t + 4), (g + 8, t + 4);  b = (t, g), (t + 4, g);  c as above.
__device__ __forceinline__ void mma_tf32(float (&c)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1) {
#ifndef FOVEA_CUDA_EMULATED
  asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};\n"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#else
  const emulator::Accumulators d = emulator::mma_tf32({{c[0], c[1], c[2], c[3]}}, a[0], a[1], a[2], a[3], b0, b1);
  c[0] = d.v[0], c[1] = d.v[1], c[2] = d.v[2], c[3] = d.v[3];
#endif
}
/// Two floats rounded to bfloat16, ties to even: a pair of a fragment.
__device__ __forceinline__ std::uint32_t to_bf16_pair(float low, float high) {
#ifndef FOVEA_CUDA_EMULATED
  std::uint32_t r;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;\n" : "=r"(r) : "f"(high), "f"(low));
  return r;
#else
  return bfloat16(low).bits | std::uint32_t{bfloat16(high).bits} << 16;
#endif
}
/// x rounded to tf32, ties away from zero.
__device__ __forceinline__ std::uint32_t to_tf32(float x) {
#ifndef FOVEA_CUDA_EMULATED
  std::uint32_t r;
  asm("cvt.rna.tf32.f32 %0, %1;\n" : "=r"(r) : "f"(x));
  return r;
#else
  return x == x ? (std::bit_cast<std::uint32_t>(x) + 0x1000u) & 0xffffe000u : 0x7fffffffu;
#endif
}

}   // namespace fovea::kernels
