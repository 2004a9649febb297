// ptx.h: the instructions that CUDA C++ has no name for; kernels/cuda_ptx.h wraps them. Operands travel by value, in registers as on the
// card, so that fragments never need an address.
#pragma once

#include <cstdint>

#include "kernels/emulator/device.h"

namespace fovea::emulator {

/// cp.async: `bytes` (4, 8, 16) at `to` in shared memory become the first `read` bytes (0 .. bytes) at `from` in global memory and zeros.
/// When: between now and the wait for the group that it is committed to.
void copy_async(void* to, const void* from, int bytes, int read);
void copy_async_commit();
void copy_async_wait(int newest);   // until at most this many of the newest groups are on their way

/// ldmatrix: four matrices of 8 x 8 16-bit elements. Lane 8 i + r gives the address of row r of matrix i. Register i of lane l
/// becomes elements (l / 4, 2 (l % 4)) and (l / 4, 2 (l % 4) + 1) of matrix i, or of its transpose.
Wide load_matrices(const void* row, bool transpose);

struct Accumulators {
  float v[4];   // (g, 2t), (g, 2t + 1), (g + 8, 2t), (g + 8, 2t + 1) of 16 x 8, for lane 4 g + t
};
/// D = A B + C, 16 x 8 x 16, bfloat16. For lane 4 g + t, each register a pair, the lower half first:
/// a0 (g, 2t..), a1 (g + 8, 2t..), a2 (g, 2t + 8..), a3 (g + 8, 2t + 8..);  b0 (2t.., g), b1 (2t + 8.., g).
Accumulators mma_bf16(Accumulators c, std::uint32_t a0, std::uint32_t a1, std::uint32_t a2, std::uint32_t a3, std::uint32_t b0,
                      std::uint32_t b1);
/// D = A B + C, 16 x 8 x 8, tf32 (a float whose lowest 13 bits are ignored): a0 (g, t), a1 (g + 8, t), a2 (g, t + 4), a3 (g + 8, t + 4);
/// b0 (t, g), b1 (t + 4, g).
Accumulators mma_tf32(Accumulators c, std::uint32_t a0, std::uint32_t a1, std::uint32_t a2, std::uint32_t a3, std::uint32_t b0,
                      std::uint32_t b1);

}   // namespace fovea::emulator
