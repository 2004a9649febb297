// device_cases.h: the launchers of device_cases.cu.
#pragma once

#include <cstdint>

#include "kernels/bfloat16.h"
#include "kernels/cuda_host.h"

namespace fovea::kernels {

void mma_bf16_case(bool wrong, const bfloat16* a, const bfloat16* b,
                   float* c);                                   // c (16, 8) += a (16, 16) b (16, 8); wrong: a1 and a2 exchanged
void mma_tf32_case(const float* a, const float* b, float* c);   // c (16, 8) += a (16, 8) b (8, 8)
void load_matrix_case(bool transpose, const std::uint16_t* in, std::uint32_t* out);   // in (4, 8, 8), out (32 lanes, 4)
void strided_copy(const float* x, float* y, int stride);                              // 64 floats
void vector_copy(const float* x, float* y);                                           // 256 floats
void transpose_32(bool padded, const float* x, float* y);                             // (32, 32), through shared memory
void intrinsics(const float* x, float* y, int n);   // y (n, 5): __expf, __logf of |x|, rsqrtf of |x|, __fdividef(1, x), bits of i
void add_one(float* x, cudaStream_t stream);        // 32 floats
void launch_shape(dim3 grid, dim3 block, std::size_t shared_bytes, bool opt_in, float* y);

}   // namespace fovea::kernels
