// gemm_testing.h: what tests of GEMM share on every backend: sizes of the buffers, layouts, the textbook loop and the error it may have.
#pragma once

#include "kernels/gemm.h"
#include "tests/kernels/product_testing.h"

namespace fovea::kernels {

/// Elements from the first to the last of a batch of matrices in memory.
inline std::int64_t span_of(std::int64_t rows, std::int64_t row, std::int64_t cols, std::int64_t batch, std::int64_t stride) {
  return rows == 0 || cols == 0 ? 0 : (batch - 1) * stride + (rows - 1) * row + cols;
}
inline std::int64_t size_a(const GemmShape& s) {
  return s.transpose_a ? span_of(s.k, s.row_a(), s.m, s.batch, s.stride_a) : span_of(s.m, s.row_a(), s.k, s.batch, s.stride_a);
}
inline std::int64_t size_b(const GemmShape& s) {
  return s.transpose_b ? span_of(s.n, s.row_b(), s.k, s.batch, s.stride_b) : span_of(s.k, s.row_b(), s.n, s.batch, s.stride_b);
}
inline std::int64_t size_c(const GemmShape& s) { return span_of(s.m, s.row_c(), s.n, s.batch, s.stride_c); }

inline std::string name(const GemmShape& s) {
  return "m " + std::to_string(s.m) + " n " + std::to_string(s.n) + " k " + std::to_string(s.k) + (s.transpose_a ? " A^T" : "") +
         (s.transpose_b ? " B^T" : "") + " batch " + std::to_string(s.batch) + " lda " + std::to_string(s.lda);
}

/// Each with A and B as they are and transposed.
inline std::vector<GemmShape> in_every_layout(const std::vector<GemmShape>& shapes) {
  std::vector<GemmShape> all;
  for (bool transpose_a : {false, true})
    for (bool transpose_b : {false, true})
      for (GemmShape s : shapes) {
        s.transpose_a = transpose_a, s.transpose_b = transpose_b;
        all.push_back(s);
      }
  return all;
}

/// The textbook loop in floats, one chain of fused multiply-adds for each output, and then the epilogue, operation by operation: the bits of
/// Cpu and Cuda, if the activation has no exp in it. (No partials.) With slice_k a chain for each slice of k, added in double.
inline std::vector<float> chain(const std::vector<float>& a, const std::vector<float>& b, std::vector<float> c, const GemmShape& s,
                                const Epilogue<float>& e = {}, std::int64_t slice_k = 0) {
  for (std::int64_t z = 0; z < s.batch; ++z)
    for (std::int64_t i = 0; i < s.m; ++i)
      for (std::int64_t j = 0; j < s.n; ++j) {
        float sum = 0;
        double slices = 0;
        for (std::int64_t k = 0; k < s.k; ++k) {
          if (slice_k && k % slice_k == 0) slices += double(sum), sum = 0;
          sum = std::fma(a[z * s.stride_a + (s.transpose_a ? k * s.row_a() + i : i * s.row_a() + k)],
                         b[z * s.stride_b + (s.transpose_b ? j * s.row_b() + k : k * s.row_b() + j)], sum);
        }
        if (slice_k) sum = static_cast<float>(slices + double(sum));
        const std::int64_t at = z * s.stride_c + i * s.row_c() + j;
        if (e.accumulate) {
          c[at] += sum;
          continue;
        }
        if (e.scale)
          sum = e.shift ? std::fma(e.scale[j], sum, e.shift[j]) : e.scale[j] * sum;
        else if (e.shift)
          sum += e.shift[j];
        if (e.residual) sum += e.residual[at];
        c[at] = static_cast<float>(activate(e.activation, double(sum)));
      }
  return c;
}

/// C by Reference in double, from `c`; with `magnitudes` of the absolute values of everything: sum |a b|, on which bounds rest. An epilogue's
/// arrays are the caller's, in double.
template <class T, class TC>
std::vector<double> gemm_reference(const std::vector<T>& a, const std::vector<T>& b, const std::vector<TC>& c, const GemmShape& s,
                                   const Epilogue<double>& e = {}, bool magnitudes = false) {
  std::vector<double> da = converted<double>(a), db = converted<double>(b), y = converted<double>(c);
  if (magnitudes) da = absolute(da), db = absolute(db), y = absolute(y);
  gemm(Reference{}, da.data(), db.data(), y.data(), s, e, nullptr);
  return y;
}

}   // namespace fovea::kernels
