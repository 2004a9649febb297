// backend.h: the tags that choose an implementation, and what every kernel contract shares.
#pragma once

#include <cstddef>
#include <cstdint>

/// Small functions of headers that per-instruction-set files include must never become shared weak symbols: the linker
/// keeps one copy of those, and it might be the AVX-512 one. Inlining them leaves nothing to share.
#ifdef __CUDACC__
#define FOVEA_INLINE __host__ __device__ __forceinline__   // formulas serve kernels, too
#define FOVEA_NOINLINE __host__ __device__ __noinline__
#else
#define FOVEA_INLINE [[gnu::always_inline]] inline
#define FOVEA_NOINLINE [[gnu::noinline]]
#endif

struct CUstream_st;   // what a cudaStream_t points to

namespace fovea::kernels {

/// The definition: plain loops, sums in double; float and double. What a reader reads first and every test trusts.
struct Reference {};
/// Vectors, tiles and threads; float and bfloat16. The same bits for any number of threads.
struct Cpu {};
/// A GPU, or the emulated one; float and bfloat16, pointers to its memory. Asynchronous: done when the stream is.
struct Cuda {
  CUstream_st* stream = nullptr;   // null: the default stream
  bool tf32 = false;               // products of float32 may round their operands to 10 bits of mantissa: gemm.h
  bool cublas = false;             // gemm() is cuBLAS', in a program that has it
};

/// What sums, statistics, norm parameters, weight gradients and losses are made of: double for double, else float. (A struct,
/// because GCC and clang give functions that mention std::conditional_t different symbols, and their objects shall link together.)
template <class T> struct Accumulator { using type = float; };
template <> struct Accumulator<double> { using type = double; };
template <class T> using acc_t = typename Accumulator<T>::type;

/// A matrix of contiguous rows, row-major.
struct RowShape {
  std::int64_t rows, cols;
};

}   // namespace fovea::kernels
