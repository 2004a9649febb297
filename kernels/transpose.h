// transpose.h: y[b][j][i] = x[b][i][j]. Moves bytes and computes nothing, so every backend on the host shares it.
#pragma once

#include <cstdint>

namespace fovea::kernels {

/// x (batch, rows, cols) -> y (batch, cols, rows); elements of 1, 2, 4 or 8 bytes; y does not alias x.
void transpose(const void* x, void* y, std::int64_t batch, std::int64_t rows, std::int64_t cols, std::size_t element_bytes);

}   // namespace fovea::kernels
