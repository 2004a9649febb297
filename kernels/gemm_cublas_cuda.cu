// gemm_cublas_cuda.cu: the same products by cuBLAS, for whoever asks (Cuda::cublas) in a program that has it (CMake's FOVEA_CUBLAS): an engine to
// train with, and on a card a yardstick for the kernels beside it (none has been at hand for that). Its order of sums is its own: bits hold
// for one version of it on one kind of card.
//
// It knows matrices whose columns are adjacent. Ours have adjacent rows, which is the transpose, and C^T = op(B)^T op(A)^T: so B comes first,
// and what is transposed for us is for it as well.
#include "kernels/cuda_gemm.h"

#ifdef FOVEA_CUBLAS
#ifdef FOVEA_CUDA_EMULATED
#include "kernels/emulator/cublas.h"
#else
#include <cublas_v2.h>
#endif

#include <mutex>
#endif

namespace fovea::kernels {

#ifdef FOVEA_CUBLAS

namespace {

void check_cublas(cublasStatus_t status, const char* what) {
  if (status != CUBLAS_STATUS_SUCCESS) throw std::runtime_error(std::string("cuBLAS: ") + what + ": " + cublasGetStatusString(status));
}

template <class T> constexpr cudaDataType kType = std::is_same_v<T, float> ? CUDA_R_32F : CUDA_R_16BF;

}   // namespace

template <class T, class TC> void gemm_cublas(Cuda be, const T* a, const T* b, TC* c, const GemmShape& s, bool accumulate) {
  static std::mutex turn;   // a handle is for one thread at a time
  static cublasHandle_t handle = nullptr;
  const std::lock_guard lock(turn);
  if (!handle) check_cublas(cublasCreate(&handle), "cublasCreate");
  check_cublas(cublasSetStream(handle, be.stream), "cublasSetStream");
  const float alpha = 1, beta = accumulate ? 1.f : 0.f;
  const auto op = [](bool transpose) { return transpose ? CUBLAS_OP_T : CUBLAS_OP_N; };
  const bool tf32 = std::is_same_v<T, float> && be.tf32;
  check_cublas(
      cublasGemmStridedBatchedEx_64(handle, op(s.transpose_b), op(s.transpose_a), s.n, s.m, s.k, &alpha, b, kType<T>, max_of(1, s.row_b()),
                                    s.stride_b, a, kType<T>, max_of(1, s.row_a()), s.stride_a, &beta, c, kType<TC>, max_of(1, s.row_c()),
                                    s.stride_c, s.batch, tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT),
      "product");
}

#else

template <class T, class TC> void gemm_cublas(Cuda, const T*, const T*, TC*, const GemmShape&, bool) {
  throw std::runtime_error("this program was built without cuBLAS (CMake's FOVEA_CUBLAS=ON builds it in)");
}

#endif

template void gemm_cublas(Cuda, const float*, const float*, float*, const GemmShape&, bool);
template void gemm_cublas(Cuda, const bfloat16*, const bfloat16*, float*, const GemmShape&, bool);
template void gemm_cublas(Cuda, const bfloat16*, const bfloat16*, bfloat16*, const GemmShape&, bool);

}   // namespace fovea::kernels
