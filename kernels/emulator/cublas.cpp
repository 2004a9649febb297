// cublas.cpp: the emulated cuBLAS: arguments are checked as its documentation says, the product is three plain loops.
#include "kernels/emulator/cublas.h"

#include <bit>
#include <cmath>
#include <cstring>

#include "kernels/bfloat16.h"
#include "kernels/emulator/counters.h"
#include "kernels/emulator/memory.h"
#include "kernels/emulator/state.h"

struct cublasContext {
  cudaStream_t stream = nullptr;
};

namespace fovea::emulator {
namespace {

/// A matrix of `rows` x `columns` in memory, column after column, `ld` apart; `batch` of them, `stride` apart.
struct Matrices {
  const void* p;
  cudaDataType type;
  std::int64_t rows, columns, ld, stride, batch;
  std::int64_t size() const { return type == CUDA_R_32F ? 4 : 2; }
  std::int64_t bytes() const { return size() * ((batch - 1) * stride + (columns - 1) * ld + rows); }
  bool fits() const { return owned(p, static_cast<std::size_t>(bytes())); }
  std::int64_t at(std::int64_t z, std::int64_t row, std::int64_t column) const { return z * stride + column * ld + row; }
  float operator()(std::int64_t z, std::int64_t row, std::int64_t column) const {
    const std::int64_t i = at(z, row, column);
    return type == CUDA_R_32F ? static_cast<const float*>(p)[i] : float(static_cast<const fovea::bfloat16*>(p)[i]);
  }
};

/// Rounded to the 10 bits of mantissa that tf32 has.
float rounded(float x, cublasComputeType_t compute) {
  if (compute != CUBLAS_COMPUTE_32F_FAST_TF32 || !std::isfinite(x)) return x;
  return std::bit_cast<float>((std::bit_cast<std::uint32_t>(x) + 0x1000u) & 0xffffe000u);
}

}   // namespace
}   // namespace fovea::emulator

using namespace fovea::emulator;

const char* cublasGetStatusString(cublasStatus_t status) {
  switch (status) {
    case CUBLAS_STATUS_SUCCESS: return "CUBLAS_STATUS_SUCCESS";
    case CUBLAS_STATUS_NOT_INITIALIZED: return "CUBLAS_STATUS_NOT_INITIALIZED";
    case CUBLAS_STATUS_INVALID_VALUE: return "CUBLAS_STATUS_INVALID_VALUE";
    case CUBLAS_STATUS_EXECUTION_FAILED: return "CUBLAS_STATUS_EXECUTION_FAILED";
    case CUBLAS_STATUS_NOT_SUPPORTED: break;
  }
  return "CUBLAS_STATUS_NOT_SUPPORTED";
}

cublasStatus_t cublasCreate(cublasHandle_t* handle) {
  *handle = new cublasContext;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetStream(cublasHandle_t handle, cudaStream_t stream) {
  if (!handle) return CUBLAS_STATUS_NOT_INITIALIZED;
  handle->stream = stream;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGemmStridedBatchedEx_64(cublasHandle_t handle, cublasOperation_t op_a, cublasOperation_t op_b, std::int64_t m,
                                             std::int64_t n, std::int64_t k, const void* alpha, const void* a, cudaDataType type_a,
                                             std::int64_t lda, long long stride_a, const void* b, cudaDataType type_b, std::int64_t ldb,
                                             long long stride_b, const void* beta, void* c, cudaDataType type_c, std::int64_t ldc,
                                             long long stride_c, std::int64_t batch, cublasComputeType_t compute, cublasGemmAlgo_t) {
  if (!handle) return CUBLAS_STATUS_NOT_INITIALIZED;
  const std::int64_t rows_a = op_a == CUBLAS_OP_N ? m : k, rows_b = op_b == CUBLAS_OP_N ? k : n;
  const auto at_least = [](std::int64_t ld, std::int64_t rows) { return ld >= (rows > 1 ? rows : 1); };
  if (m < 0 || n < 0 || k < 0 || batch < 0 || !at_least(lda, rows_a) || !at_least(ldb, rows_b) || !at_least(ldc, m))
    return CUBLAS_STATUS_INVALID_VALUE;
  if (type_a != type_b || (type_a == CUDA_R_32F && type_c != CUDA_R_32F)) return CUBLAS_STATUS_NOT_SUPPORTED;
  if (m == 0 || n == 0 || batch == 0) return CUBLAS_STATUS_SUCCESS;
  const Matrices ma{a, type_a, rows_a, op_a == CUBLAS_OP_N ? k : m, lda, stride_a, batch},
      mb{b, type_b, rows_b, op_b == CUBLAS_OP_N ? n : k, ldb, stride_b, batch}, mc{c, type_c, m, n, ldc, stride_c, batch};
  const std::lock_guard lock(runtime_mutex());
  if ((k > 0 && (!ma.fits() || !mb.fits())) || !mc.fits()) {
    error(cudaErrorInvalidValue, "cuBLAS: a matrix that no allocation has");
    return CUBLAS_STATUS_EXECUTION_FAILED;
  }
  const float by = *static_cast<const float*>(alpha), kept = *static_cast<const float*>(beta);
  const cudaError_t e = queue(handle->stream, [=] {
    for (std::int64_t z = 0; z < batch; ++z)
      for (std::int64_t j = 0; j < n; ++j)
        for (std::int64_t i = 0; i < m; ++i) {
          float sum = 0;
          for (std::int64_t l = 0; l < k; ++l)
            sum = std::fma(rounded(op_a == CUBLAS_OP_N ? ma(z, i, l) : ma(z, l, i), compute),
                           rounded(op_b == CUBLAS_OP_N ? mb(z, l, j) : mb(z, j, l), compute), sum);
          const float value = by * sum + (kept != 0 ? kept * mc(z, i, j) : 0.f);
          std::byte* to = static_cast<std::byte*>(c) + mc.at(z, i, j) * mc.size();
          if (type_c == CUDA_R_32F) {
            std::memcpy(to, &value, sizeof value);
          } else {
            const fovea::bfloat16 half(value);
            std::memcpy(to, &half, sizeof half);
          }
          std::memset(arena_state + (to - arena), state::readable, static_cast<std::size_t>(mc.size()));
        }
  });
  return e == cudaSuccess ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}
