#include "kernels/transpose.h"

#include <algorithm>

#include "kernels/parallel.h"

namespace fovea::kernels {

namespace {

constexpr std::int64_t kBlock = 16;   // 16 x 16 elements: 16 cache lines in, 16 out, so each line is fetched once

template <class E> void transpose_matrix(const E* x, E* y, std::int64_t rows, std::int64_t cols) {
  for (std::int64_t i0 = 0; i0 < rows; i0 += kBlock)
    for (std::int64_t j0 = 0; j0 < cols; j0 += kBlock)
      for (std::int64_t j = j0; j < std::min(j0 + kBlock, cols); ++j)
        for (std::int64_t i = i0; i < std::min(i0 + kBlock, rows); ++i) y[j * rows + i] = x[i * cols + j];
}

template <class E> void transpose_batch(const void* x, void* y, std::int64_t batch, std::int64_t rows, std::int64_t cols) {
  parallel_for(batch, [&](std::int64_t b) {
    transpose_matrix(static_cast<const E*>(x) + b * rows * cols, static_cast<E*>(y) + b * rows * cols, rows, cols);
  });
}

}   // namespace

void transpose(const void* x, void* y, std::int64_t batch, std::int64_t rows, std::int64_t cols, std::size_t element_bytes) {
  switch (element_bytes) {
    case 1: return transpose_batch<std::uint8_t>(x, y, batch, rows, cols);
    case 2: return transpose_batch<std::uint16_t>(x, y, batch, rows, cols);
    case 4: return transpose_batch<std::uint32_t>(x, y, batch, rows, cols);
    default: return transpose_batch<std::uint64_t>(x, y, batch, rows, cols);
  }
}

}   // namespace fovea::kernels
