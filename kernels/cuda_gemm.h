// cuda_gemm.h: what the products of the Cuda backend share: where an element lies, and what is done to a sum before it is written.
#pragma once

#include "kernels/cuda.h"
#include "kernels/gemm.h"

namespace fovea::kernels {

/// One operand of one matrix of the batch: element (i, k), i being the row of A or the column of B.
template <class T> struct Operand {
  const T* p;
  std::int64_t row;   // elements from one row in memory to the next
  bool k_major;       // rows in memory are k: A transposed, B not
  __device__ __forceinline__ const T* at(std::int64_t i, std::int64_t k) const { return p + (k_major ? k * row + i : i * row + k); }
};

/// x' = act(scale x + shift): fusion.h.
template <class T> __device__ __forceinline__ float start_value(const Prologue<T>& p, float scale, float shift, float x) {
  return activate(p.activation, fmaf(scale, x, shift));
}
/// y = act(scale[n] sum + shift[n] + residual), or c + sum, c being what was there: fusion.h, in the operations of Cpu.
template <class TC>
__device__ __forceinline__ TC finish_sum(const Epilogue<TC>& e, float sum, std::int64_t column, float c, float residual) {
  if (e.accumulate) return TC(c + sum);
  if (e.scale)
    sum = e.shift ? fmaf(e.scale[column], sum, e.shift[column]) : e.scale[column] * sum;
  else if (e.shift)
    sum += e.shift[column];
  if (e.residual) sum += residual;
  return TC(activate(e.activation, sum));
}
/// The same for the element `offset` after C's start.
template <class TC>
__device__ __forceinline__ TC finish_sum(const Epilogue<TC>& e, float sum, std::int64_t column, const TC* c, std::int64_t offset) {
  return finish_sum(e, sum, column, e.accumulate ? float(c[offset]) : 0.f, e.residual ? float(e.residual[offset]) : 0.f);
}

/// The same for `count` neighbours of a row, as one access where that is possible: sums[0] belongs to `offset`.
template <class TC, int kCount>
__device__ __forceinline__ void write_sums(const Epilogue<TC>& e, const float (&sums)[kCount], std::int64_t column, std::int64_t columns,
                                           TC* c, std::int64_t offset) {
  static_assert(kCount % Wide<TC>::kSize == 0 || kCount < Wide<TC>::kSize);
  if constexpr (kCount % Wide<TC>::kSize == 0) {
    if (column + kCount <= columns && aligned16(c + offset)) {
      FOVEA_UNROLL
      for (int v = 0; v < kCount; v += Wide<TC>::kSize) {
        Wide<TC> out;
        FOVEA_UNROLL
        for (int j = 0; j < Wide<TC>::kSize; ++j) out[j] = finish_sum(e, sums[v + j], column + v + j, c, offset + v + j);
        store16(c + offset + v, out);
      }
      return;
    }
  }
  FOVEA_UNROLL
  for (int j = 0; j < kCount; ++j)
    if (column + j < columns) c[offset + j] = finish_sum(e, sums[j], column + j, c, offset + j);
}

/// Tensor cores, if they can take the operands (gemm_tensor_cuda.cu): false, and nothing is done, if not.
template <class TC> bool gemm_tensor(Cuda be, const bfloat16* a, const bfloat16* b, TC* c, const GemmShape& s, const Epilogue<TC>& e);

}   // namespace fovea::kernels
