// cut_cuda.cu: pictures travel to the GPU as bytes, a quarter of what the network's float input is, and become that input there. A thread makes
// 16 bytes of a window's row; its pixels and the table (1 KB a channel) come from the first-level cache, as neighbours share them.
#include "kernels/cut.h"

#include "kernels/cuda_divide.h"
#include "kernels/cuda_rows.h"

namespace fovea::kernels {
namespace {

template <class T>
__global__ void cut_kernel(const std::uint8_t* __restrict__ pixels, const Cut* __restrict__ cuts, const float* __restrict__ table, T* y,
                           FastDivide height, int width, FastDivide channels, RowGrid<T> grid) {
  const auto at = grid.piece();   // of row r of window n
  if (at.count <= 0) return;
  const int n = height(static_cast<int>(at.row)), r = static_cast<int>(at.row) - n * height.divisor(), c = channels.divisor();
  const Cut picture = cuts[n];
  const int row = picture.top + r;
  const bool inside = row >= 0 && row < picture.h;
  const std::uint8_t* from = pixels + picture.first + std::int64_t{row} * picture.w * c;
  Wide<T> out{};
  FOVEA_UNROLL
  for (int j = 0; j < Wide<T>::kSize; ++j) {
    if (j >= at.count) continue;
    const int i = static_cast<int>(at.col) + j, q = channels(i), ch = i - q * c;
    const int col = picture.left + (picture.flip ? width - 1 - q : q);
    const int pixel = inside && col >= 0 && col < picture.w ? from[std::int64_t{col} * c + ch] : 0;
    out[j] = T(table[256 * ch + pixel]);
  }
  store_up_to(y + at.row * grid.cols + at.col, out, at.count);
}

}   // namespace

template <class T> void cut(Cuda be, const std::uint8_t* pixels, const Cut* cuts, const float* table, T* y, const CutShape& s) {
  if (s.n * s.height * s.width * s.c == 0) return;
  const RowGrid<T> grid(s.n * s.height, s.width * s.c);
  launch(cut_kernel<T>, grid.launch_shape(be), pixels, cuts, table, y, FastDivide(s.height), static_cast<int>(s.width), FastDivide(s.c),
         grid);
}
template void cut(Cuda, const std::uint8_t*, const Cut*, const float*, float*, const CutShape&);
template void cut(Cuda, const std::uint8_t*, const Cut*, const float*, bfloat16*, const CutShape&);

}   // namespace fovea::kernels
