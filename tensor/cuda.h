// cuda.h: the GPU behind Device::cuda, real or emulated: the first one of this computer, and one stream, on which everything is queued in the
// order in which the program says it. So memory that a tensor gives back may be another's at once, and the host waits for nothing but values
// that it reads: to_vector(), item(), to(Device::cpu).
#pragma once

#include <memory>

#include "kernels/device.h"

namespace fovea {

/// Is there one that this program can use?
bool cuda_available();
/// Throws Error, one sentence: no such device, or a program that was built without CUDA.
kernels::CudaDevice& cuda_device();
/// The tag of its kernels, with the stream.
kernels::Cuda cuda();
/// May products of float32 (of Linear; not of convolutions) round their operands to 10 bits of mantissa, on the tensor cores (kernels/gemm.h)?
/// At first they may not.
void allow_tf32(bool yes);
/// Shall products of matrices (of Linear) be cuBLAS'? At first they are ours. Throws Error in a program without it.
void use_cublas(bool yes);
/// Waits until all that was queued is done.
void cuda_synchronize();

/// Host memory to the device, through pinned memory: `from` may change as soon as the call returns, and nobody has waited.
void upload(void* to, const void* from, std::size_t bytes);

}   // namespace fovea
