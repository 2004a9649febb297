// gemm.h: matrix products, C = op(A) op(B), in m n k multiply-adds. The gradients are products again: of C = A B, dA = dC B^T and
// dB = A^T dC.
#pragma once

#include "kernels/backend.h"
#include "kernels/bfloat16.h"
#include "kernels/fusion.h"

namespace fovea::kernels {

/// C (m, n) = op(A) (m, k) * op(B) (k, n), `batch` times. A lies in memory as (m, k), or as (k, m) with transpose_a; B as
/// (k, n), or (n, k) with transpose_b. Sizes may be 0: with k = 0 the sum is 0 and the epilogue still happens.
struct GemmShape {
  std::int64_t m, n, k;
  bool transpose_a = false, transpose_b = false;
  std::int64_t lda = 0, ldb = 0, ldc = 0;   // elements from one row in memory to the next; 0: rows are adjacent
  std::int64_t batch = 1;
  std::int64_t stride_a = 0, stride_b = 0, stride_c = 0;   // elements from one matrix of the batch to the next; 0 repeats A or B
  FOVEA_INLINE std::int64_t row_a() const { return lda ? lda : transpose_a ? m : k; }
  FOVEA_INLINE std::int64_t row_b() const { return ldb ? ldb : transpose_b ? k : n; }
  FOVEA_INLINE std::int64_t row_c() const { return ldc ? ldc : n; }
};

template <class T> std::size_t gemm_workspace_bytes(Reference, const GemmShape& s);
template <class T> std::size_t gemm_workspace_bytes(Cpu, const GemmShape& s);
template <class T> std::size_t gemm_workspace_bytes(Cuda, const GemmShape& s);

/// C is TC: T, or acc_t<T> for weight gradients. C aliases neither A nor B.
/// Cpu: each output is one chain of fused multiply-adds over k = 0, 1, 2, ... from 0, so AVX2 and AVX-512, any tile and any
/// number of threads give the bits of the textbook triple loop.
template <class T, class TC>
void gemm(Reference, const T* a, const T* b, TC* c, const GemmShape& s, const Epilogue<TC>& e, void* workspace);
template <class T, class TC> void gemm(Cpu, const T* a, const T* b, TC* c, const GemmShape& s, const Epilogue<TC>& e, void* workspace);
/// Cuda: k is cut in slices where C is small and k long (then there is a workspace), their sums added in order in double: by the shape alone.
/// float, where k is not cut, gives the bits of Cpu (but for an activation with exp in it). bfloat16 runs on the tensor cores, summing 16
/// products at a time; so does float with Cuda::tf32 if rows begin at multiples of 16 bytes: each operand is then off by 2^-11 of itself
/// and the sum by 2^-10 sum |a b| beside its own roundings. With Cuda::cublas the sums are cuBLAS', in an order of its own.
template <class T, class TC> void gemm(Cuda, const T* a, const T* b, TC* c, const GemmShape& s, const Epilogue<TC>& e, void* workspace);

}   // namespace fovea::kernels
