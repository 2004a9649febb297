// eigen_gemm.cpp: the peer. One entry point a shared object, compiled for one instruction set, threaded with OpenMP.
#include <Eigen/Core>

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// c (m, n) = a (m, k) b (k, n), or b (n, k) transposed.
extern "C" [[gnu::visibility("default")]] void eigen_gemm(const float* a, const float* b, float* c, long m, long n, long k, int transpose_b,
                                                          int threads) {
  Eigen::setNbThreads(threads);
  const Eigen::Map<const Matrix> ma(a, m, k), mb(b, transpose_b ? n : k, transpose_b ? k : n);
  Eigen::Map<Matrix> mc(c, m, n);
  if (transpose_b)
    mc.noalias() = ma * mb.transpose();
  else
    mc.noalias() = ma * mb;
}
