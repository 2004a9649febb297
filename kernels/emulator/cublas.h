// cublas.h: what this project calls of cuBLAS, with its names, arguments and error codes: one product, of matrices whose columns are adjacent.
#pragma once

#include <cstdint>

#include "kernels/emulator/runtime.h"

enum cublasStatus_t {
  CUBLAS_STATUS_SUCCESS = 0,
  CUBLAS_STATUS_NOT_INITIALIZED = 1,
  CUBLAS_STATUS_INVALID_VALUE = 7,
  CUBLAS_STATUS_EXECUTION_FAILED = 13,
  CUBLAS_STATUS_NOT_SUPPORTED = 15,
};
const char* cublasGetStatusString(cublasStatus_t status);

enum cublasOperation_t { CUBLAS_OP_N = 0, CUBLAS_OP_T = 1 };
enum cudaDataType { CUDA_R_32F = 0, CUDA_R_16BF = 14 };
enum cublasComputeType_t { CUBLAS_COMPUTE_32F = 68, CUBLAS_COMPUTE_32F_FAST_TF32 = 77 };
enum cublasGemmAlgo_t { CUBLAS_GEMM_DEFAULT = -1 };

struct cublasContext;
using cublasHandle_t = cublasContext*;
cublasStatus_t cublasCreate(cublasHandle_t* handle);
cublasStatus_t cublasSetStream(cublasHandle_t handle, cudaStream_t stream);

/// C (m, n) = alpha op(A) op(B) + beta C, `batch` times; alpha and beta are floats of the host. Sums are in float, over k in order; the real one
/// has an order of its own.
cublasStatus_t cublasGemmStridedBatchedEx_64(cublasHandle_t handle, cublasOperation_t op_a, cublasOperation_t op_b, std::int64_t m,
                                             std::int64_t n, std::int64_t k, const void* alpha, const void* a, cudaDataType type_a,
                                             std::int64_t lda, long long stride_a, const void* b, cudaDataType type_b, std::int64_t ldb,
                                             long long stride_b, const void* beta, void* c, cudaDataType type_c, std::int64_t ldc,
                                             long long stride_c, std::int64_t batch, cublasComputeType_t compute,
                                             cublasGemmAlgo_t algorithm);
