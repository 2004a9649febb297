// strided_copy_cuda.cu: axes that both sides step through alike are joined first. What is left is copied in one of two ways:
//
//   rows        a thread moves 16 bytes of a row of y: one access each way where x is dense along it, too (heads of attention, slices);
//               an element at a time where x repeats, or steps (every second channel; three colours)
//   transpose   x is dense along another axis j than y (NHWC <-> NCHW): square tiles through shared memory, so that both sides are read and
//               written along their rows. A row of the tile is one bank of 4 bytes longer than its elements (two for 8 bytes), so that a
//               column's elements lie in different banks.
//
// Bytes moved: each element once in, once out.
#include "kernels/strided_copy.h"

#include "kernels/cuda_rows.h"

namespace fovea::kernels {
namespace {

using Nest = LoopNest<2>;   // steps of x, of y

template <class E> __global__ void copy_rows_kernel(const E* __restrict__ x, E* __restrict__ y, Nest rows, Nest::Axis i, RowGrid<E> grid) {
  const auto at = grid.piece();
  if (at.count <= 0) return;
  std::int64_t offset[2];
  locate(rows, at.row, offset);
  x += offset[0] + at.col * i.step[0];
  y += offset[1] + at.col * i.step[1];
  if (i.step[0] == 1 && i.step[1] == 1) return store_up_to(y, load_up_to(x, at.count), at.count);
  Wide<E> v{};
  for (int j = 0; j < Wide<E>::kSize; ++j)
    if (j < at.count) v[j] = x[j * i.step[0]];
  if (i.step[1] == 1) return store_up_to(y, v, at.count);
  for (int j = 0; j < Wide<E>::kSize; ++j)
    if (j < at.count) y[j * i.step[1]] = v[j];
}

/// A square of kSide x kSide elements, moved by kThreads threads: rows of it by 32 lanes, 128 bytes at a time (less where an element has less
/// than 4 bytes).
template <class E> struct Tile {
  static constexpr int kThreads = 256, kSide = sizeof(E) < 4 ? 64 : 32;
  static constexpr int kPitch = kSide + (sizeof(E) < 4 ? 4 / int{sizeof(E)} : 1);   // of a row in shared memory
  struct Smem {
    E at[kSide][kPitch];
  };
};

/// y[j * y_step + i] = x[i * x_step + j] for i < i_extent, j < j_extent, at every position of the nest `around`.
template <class E>
__global__ void __launch_bounds__(Tile<E>::kThreads, 2)
    transpose_kernel(const E* __restrict__ x, E* __restrict__ y, Nest around, std::int64_t i_extent, std::int64_t j_extent,
                     std::int64_t x_step, std::int64_t y_step, unsigned i_tiles, unsigned j_tiles) {
  using Tile = Tile<E>;
  constexpr int kSide = Tile::kSide, kEach = kSide * kSide / Tile::kThreads;
  auto& tile = shared_memory<typename Tile::Smem>().at;
  const unsigned plane = blockIdx.x / (i_tiles * j_tiles), in_plane = blockIdx.x - plane * (i_tiles * j_tiles);
  const unsigned i_tile = in_plane / j_tiles, j_tile = in_plane - i_tile * j_tiles;
  std::int64_t offset[2];
  locate(around, plane, offset);
  const std::int64_t i0 = std::int64_t{i_tile} * kSide, j0 = std::int64_t{j_tile} * kSide;
  x += offset[0] + i0 * x_step + j0;
  y += offset[1] + j0 * y_step + i0;
  E v[kEach];
  for (int n = 0; n < kEach; ++n) {   // all on their way before the first is needed
    const int e = n * Tile::kThreads + int(threadIdx.x), i = e / kSide, j = e % kSide;
    if (i0 + i < i_extent && j0 + j < j_extent) v[n] = x[i * x_step + j];
  }
  for (int n = 0; n < kEach; ++n) {
    const int e = n * Tile::kThreads + int(threadIdx.x), i = e / kSide, j = e % kSide;
    if (i0 + i < i_extent && j0 + j < j_extent) tile[i][j] = v[n];
  }
  __syncthreads();
  for (int n = 0; n < kEach; ++n) {
    const int e = n * Tile::kThreads + int(threadIdx.x), j = e / kSide, i = e % kSide;
    if (i0 + i < i_extent && j0 + j < j_extent) y[j * y_step + i] = tile[i][j];
  }
}

/// Below this many elements either way a tile is mostly empty, and the rows' kernel, which reads or writes every sector several times, is
/// not behind.
constexpr std::int64_t kLeastSide = 8;

template <class E> void copy(Cuda be, const E* x, E* y, Nest nest) {
  const Nest::Axis i = nest.take_innermost();
  if (i.step[0] != 1 && i.step[1] == 1 && i.extent >= kLeastSide)
    for (int a = 0; a < nest.count; ++a)
      if (nest.axis[a].step[0] == 1 && nest.axis[a].extent >= kLeastSide) {
        const Nest::Axis j = nest.take(a);
        const unsigned i_tiles = blocks(i.extent, Tile<E>::kSide), j_tiles = blocks(j.extent, Tile<E>::kSide);
        launch(transpose_kernel<E>,
               {.grid = blocks(positions(nest) * i_tiles * j_tiles, 1),
                .block = Tile<E>::kThreads,
                .smem = sizeof(typename Tile<E>::Smem),
                .stream = be.stream},
               x, y, nest, i.extent, j.extent, i.step[0], j.step[1], i_tiles, j_tiles);
        return;
      }
  const RowGrid<E> grid(positions(nest), i.extent);
  launch(copy_rows_kernel<E>, grid.launch_shape(be), x, y, nest, i, grid);
}

/// whole = 0, or the element of `part` that belongs there: every element of `whole` is written once.
template <class E> __global__ void embed_kernel(const E* __restrict__ part, E* __restrict__ whole, Box box, RowGrid<E> grid) {
  const auto at = grid.piece();
  if (at.count <= 0) return;
  const int last = box.rank - 1;
  std::int64_t rest = at.row, from = 0, dense = box.part[last];
  bool inside = true;
  for (int a = last - 1; a >= 0; --a) {
    std::int64_t index = rest, between = 0;
    if (a > 0) rest = divide(rest, box.whole[a], index);
    index -= box.begin[a];
    if (index > 0 && box.step[a] > 1) index = divide(index, box.step[a], between);
    inside = inside && index >= 0 && index < box.part[a] && between == 0;
    from += index * dense;
    dense *= box.part[a];
  }
  Wide<E> v{};
  const std::int64_t first = at.col - box.begin[last], count = min_of(at.count, Wide<E>::kSize);   // the piece, counted from the box
  inside = inside && first + count > 0 && first < (box.part[last] - 1) * box.step[last] + 1;
  if (inside && box.step[last] == 1 && first >= 0 && first + count <= box.part[last]) {
    v = load_up_to(part + from + first, count);
  } else if (inside) {
    for (int j = 0; j < Wide<E>::kSize; ++j) {
      std::int64_t index = first + j, between = 0;
      if (index > 0 && box.step[last] > 1) index = divide(index, box.step[last], between);
      if (j < at.count && index >= 0 && index < box.part[last] && between == 0) v[j] = part[from + index];
    }
  }
  store_up_to(whole + at.row * grid.cols + at.col, v, at.count);
}

}   // namespace

void strided_copy(Cuda be, const void* x, void* y, StridedShape s, std::size_t element_bytes) {
  if (s.empty()) return;
  with_unsigned(element_bytes, [&]<class E>(E) { copy(be, static_cast<const E*>(x), static_cast<E*>(y), s.nest()); });
}

void extract(Cuda be, const void* whole, void* part, Box box, std::size_t element_bytes) {
  strided_copy(be, static_cast<const char*>(whole) + box.first() * std::int64_t(element_bytes), part, box.copy_out(), element_bytes);
}

void insert(Cuda be, const void* part, void* whole, Box box, std::size_t element_bytes) {
  strided_copy(be, part, static_cast<char*>(whole) + box.first() * std::int64_t(element_bytes), box.copy_in(), element_bytes);
}

void embed(Cuda be, const void* part, void* whole, Box box, std::size_t element_bytes) {
  // An axis that the box covers whole is one with the axis around it, if that is stepped through one by one: so rows are long.
  Box b;
  std::int64_t rows = 1;
  for (int a = 0; a < box.rank; ++a) {
    if (box.whole[a] == 0) return;
    const bool covered = box.begin[a] == 0 && box.step[a] == 1 && box.part[a] == box.whole[a];
    if (covered && b.rank > 0 && b.step[b.rank - 1] == 1) {
      for (std::int64_t* v : {b.whole, b.begin, b.part}) v[b.rank - 1] *= box.whole[a];
      continue;
    }
    b.whole[b.rank] = box.whole[a], b.begin[b.rank] = box.begin[a], b.step[b.rank] = box.step[a], b.part[b.rank] = box.part[a];
    ++b.rank;
  }
  if (b.rank == 0) b = {.rank = 1, .whole = {1}, .begin = {0}, .step = {1}, .part = {1}};   // a scalar
  for (int a = 0; a + 1 < b.rank; ++a) rows *= b.whole[a];
  with_unsigned(element_bytes, [&]<class E>(E) {
    const RowGrid<E> grid(rows, b.whole[b.rank - 1]);
    launch(embed_kernel<E>, grid.launch_shape(be), static_cast<const E*>(part), static_cast<E*>(whole), b, grid);
  });
}

}   // namespace fovea::kernels
