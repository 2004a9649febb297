// gemm_reference.cpp: the definition of a matrix product, and of what an epilogue does to it. m n k multiply-adds.
#include "kernels/gemm.h"

namespace fovea::kernels {

template <class T> std::size_t gemm_workspace_bytes(Reference, const GemmShape&) { return 0; }

template <class T, class TC> void gemm(Reference, const T* a, const T* b, TC* c, const GemmShape& s, const Epilogue<TC>& e, void*) {
  for (std::int64_t z = 0; z < s.batch; ++z, a += s.stride_a, b += s.stride_b, c += s.stride_c)
    for (std::int64_t i = 0; i < s.m; ++i)
      for (std::int64_t j = 0; j < s.n; ++j) {
        double sum = 0;   // C[i,j] = sum_k A[i,k] B[k,j]
        for (std::int64_t k = 0; k < s.k; ++k)
          sum += double(a[s.transpose_a ? k * s.row_a() + i : i * s.row_a() + k]) *
                 double(b[s.transpose_b ? j * s.row_b() + k : k * s.row_b() + j]);
        TC& y = c[i * s.row_c() + j];
        if (e.accumulate) {
          y = TC(y + sum);
          continue;
        }
        if (e.scale) sum *= e.scale[j];
        if (e.shift) sum += e.shift[j];
        if (e.residual) sum += e.residual[z * s.stride_c + i * s.row_c() + j];
        y = TC(activate(e.activation, sum));
      }
  if (!e.partials) return;
  c -= s.batch * s.stride_c;
  for (std::int64_t tile = 0; tile < stat_tiles(s.m); ++tile) {   // mean and M2 of kStatRows rows, column by column
    const std::int64_t first = tile * kStatRows, last = s.m < first + kStatRows ? s.m : first + kStatRows;
    for (std::int64_t j = 0; j < s.n; ++j) {
      double sum = 0, m2 = 0;
      for (std::int64_t i = first; i < last; ++i) sum += c[i * s.row_c() + j];
      const double mean = sum / double(last - first);
      for (std::int64_t i = first; i < last; ++i) m2 += (c[i * s.row_c() + j] - mean) * (c[i * s.row_c() + j] - mean);
      e.partials[(2 * tile) * s.n + j] = static_cast<acc_t<TC>>(mean);
      e.partials[(2 * tile + 1) * s.n + j] = static_cast<acc_t<TC>>(m2);
    }
  }
}

template std::size_t gemm_workspace_bytes<float>(Reference, const GemmShape&);
template std::size_t gemm_workspace_bytes<double>(Reference, const GemmShape&);
template void gemm(Reference, const float*, const float*, float*, const GemmShape&, const Epilogue<float>&, void*);
template void gemm(Reference, const double*, const double*, double*, const GemmShape&, const Epilogue<double>&, void*);

}   // namespace fovea::kernels
