// cuda_host.h: the runtime as host code sees it (memory, streams, events, graphs): the toolkit's, or the emulated one where the build says
// FOVEA_CUDA_EMULATED. For .cpp files; .cu files have it from cuda.h.
#pragma once

#ifdef FOVEA_CUDA_EMULATED
#include "kernels/emulator/runtime.h"
#else
#include <cuda_runtime.h>
#endif

#include <stdexcept>
#include <string>

namespace fovea::kernels {

/// Throws what a call of the runtime returned, if that is an error.
inline void check_cuda(cudaError_t e, const char* what) {
  if (e != cudaSuccess) throw std::runtime_error(std::string(what) + ": " + cudaGetErrorString(e));
}

}   // namespace fovea::kernels
