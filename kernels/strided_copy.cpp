// strided_copy.cpp: axes that both sides step through alike are joined first; what is left is a loop over planes of two axes, i (the
// innermost of y) and j, and one of four ways to copy a block of such a plane:
//
//   runs        x and y are both contiguous along i (heads of attention, slices of rows)
//   transpose   x is contiguous along j instead (NHWC <-> NCHW): tiles of a cache line by a cache line
//   fill        x stands still along i (repetition along the last axis)
//   elements    anything else (every second channel)
//
// Bytes moved: each element once in, once out. Blocks are about 16384 elements, so that a tile's cache lines are still there when its
// neighbour wants them; tasks are blocks, or groups of small ones.
#include "kernels/strided_copy.h"

#include <algorithm>
#include <cstring>

#include "kernels/parallel.h"

namespace fovea::kernels {

namespace {

constexpr std::int64_t kGrain = 16384;   // elements of a task
constexpr std::int64_t kSide = 128;      // of a block that is transposed, at least, where the plane has it

struct Axis {
  std::int64_t extent, x, y;   // steps in elements
};

/// Axes in order, without those of extent 1; neighbours that both sides step through as one axis are one.
struct Axes {
  Axis axis[kMaxAxes + 2];   // two more for the blocks of the plane
  int count = 0;

  void push(Axis next) { axis[count++] = next; }
  Axis take(int i) {
    const Axis taken = axis[i];
    std::copy(axis + i + 1, axis + count, axis + i);
    --count;
    return taken;
  }

  static Axes joined(const StridedShape& s) {
    Axes axes;
    for (int i = 0; i < s.rank; ++i) {
      const Axis next{s.extent[i], s.x_step[i], s.y_step[i]};
      if (next.extent == 1) continue;
      Axis* last = axes.count ? &axes.axis[axes.count - 1] : nullptr;
      if (last && last->x == next.extent * next.x && last->y == next.extent * next.y)
        *last = {last->extent * next.extent, next.x, next.y};
      else
        axes.push(next);
    }
    return axes;
  }
};

/// A position in the loop nest over `axes`.
class Odometer {
 public:
  Odometer(const Axes& axes, std::int64_t item) : axes_(axes) {
    for (int a = axes.count - 1; a >= 0; --a) {
      index_[a] = item % axes.axis[a].extent;
      item /= axes.axis[a].extent;
      x += index_[a] * axes.axis[a].x;
      y += index_[a] * axes.axis[a].y;
    }
  }
  void next() {
    for (int a = axes_.count - 1; a >= 0; --a) {
      const Axis& axis = axes_.axis[a];
      x += axis.x;
      y += axis.y;
      if (++index_[a] < axis.extent) return;
      x -= axis.extent * axis.x;
      y -= axis.extent * axis.y;
      index_[a] = 0;
    }
  }
  std::int64_t index(int a) const { return index_[a]; }
  std::int64_t x = 0, y = 0;   // offsets

 private:
  const Axes& axes_;
  std::int64_t index_[kMaxAxes + 2] = {};
};

template <class E> void copy_run(const E* x, E* y, std::int64_t n) {
  const std::size_t bytes = std::size_t(n) * sizeof(E);
  if (bytes < 16 || bytes > 512) {
    std::memcpy(y, x, bytes);
    return;
  }
  // Short runs by 16 bytes, inline: a call costs as much as the copy. The last 16 overlap those before.
  const char* from = reinterpret_cast<const char*>(x);
  char* to = reinterpret_cast<char*>(y);
  for (std::size_t b = 0; b + 16 < bytes; b += 16) std::memcpy(to + b, from + b, 16);
  std::memcpy(to + bytes - 16, from + bytes - 16, 16);
}

/// Registers of 16 bytes, and the two halves of a and b interleaved: (a0, b0, a1, b1, ...).
template <class E> struct Register;
template <> struct Register<std::uint16_t> {
  typedef std::uint16_t Type __attribute__((vector_size(16)));
  static Type low(Type a, Type b) { return __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11); }
  static Type high(Type a, Type b) { return __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15); }
};
template <> struct Register<std::uint32_t> {
  typedef std::uint32_t Type __attribute__((vector_size(16)));
  static Type low(Type a, Type b) { return __builtin_shufflevector(a, b, 0, 4, 1, 5); }
  static Type high(Type a, Type b) { return __builtin_shufflevector(a, b, 2, 6, 3, 7); }
};
template <> struct Register<std::uint64_t> {
  typedef std::uint64_t Type __attribute__((vector_size(16)));
  static Type low(Type a, Type b) { return __builtin_shufflevector(a, b, 0, 2); }
  static Type high(Type a, Type b) { return __builtin_shufflevector(a, b, 1, 3); }
};

/// A square of n registers of n lanes is transposed by log2(n) rounds of interleaving row k with row k + n/2.
template <class E, int Rounds, std::size_t N> void interleave(typename Register<E>::Type (&rows)[N]) {
  if constexpr (Rounds > 0) {
    typename Register<E>::Type next[N];
#pragma GCC unroll 8
    for (std::size_t k = 0; k < N / 2; ++k) {
      next[2 * k] = Register<E>::low(rows[k], rows[k + N / 2]);
      next[2 * k + 1] = Register<E>::high(rows[k], rows[k + N / 2]);
    }
#pragma GCC unroll 8
    for (std::size_t k = 0; k < N; ++k) rows[k] = next[k];
    interleave<E, Rounds - 1>(rows);
  }
}

template <class E> constexpr std::int64_t kTile = 64 / sizeof(E);   // one cache line

/// y[j * y_step + i] = x[i * x_step + j] for i, j < kTile. x goes through a buffer, line by line: where rows are a power of two apart,
/// their lines evict each other and must not be visited twice. For the same reason a line of y is written whole.
template <class E> void transpose_tile(const E* x, std::int64_t x_step, E* y, std::int64_t y_step) {
  using V = typename Register<E>::Type;
  constexpr int kLanes = 16 / sizeof(E), kRounds = kLanes == 8 ? 3 : kLanes == 4 ? 2 : 1;
  alignas(64) E buffer[kTile<E>][kTile<E>];
  for (std::int64_t i = 0; i < kTile<E>; ++i) std::memcpy(buffer[i], x + i * x_step, 64);
  for (std::int64_t j = 0; j < kTile<E>; j += kLanes)
    for (std::int64_t i = 0; i < kTile<E>; i += kLanes) {
      V rows[kLanes];
#pragma GCC unroll 8
      for (int k = 0; k < kLanes; ++k) std::memcpy(&rows[k], &buffer[i + k][j], 16);
      interleave<E, kRounds>(rows);
#pragma GCC unroll 8
      for (int k = 0; k < kLanes; ++k) std::memcpy(y + (j + k) * y_step + i, &rows[k], 16);
    }
}

/// y[j * y_step + i] = x[i * x_step + j] for i < rows, j < cols.
template <class E> void transpose_block(const E* x, std::int64_t x_step, E* y, std::int64_t y_step, std::int64_t rows, std::int64_t cols) {
  std::int64_t full_rows = 0, full_cols = 0;   // covered by whole tiles
  if constexpr (sizeof(E) > 1) {
    full_rows = rows / kTile<E> * kTile<E>;
    full_cols = cols / kTile<E> * kTile<E>;
    for (std::int64_t i = 0; i < full_rows; i += kTile<E>)
      for (std::int64_t j = 0; j < full_cols; j += kTile<E>) transpose_tile(x + i * x_step + j, x_step, y + j * y_step + i, y_step);
  }
  const auto plain = [&](std::int64_t i0, std::int64_t j0, std::int64_t i1, std::int64_t j1) {
    for (std::int64_t i = i0; i < i1; i += kTile<E>)
      for (std::int64_t j = j0; j < j1; ++j)
        for (std::int64_t k = i; k < std::min(i + kTile<E>, i1); ++k) y[j * y_step + k] = x[k * x_step + j];
  };
  plain(0, full_cols, full_rows, cols);
  plain(full_rows, 0, rows, cols);
}

/// Axis i is the innermost of y; j is the other one of the plane.
template <class E> void copy(const E* x, E* y, Axes axes) {
  const Axis i = axes.count ? axes.take(axes.count - 1) : Axis{1, 1, 1};
  int other = axes.count - 1;
  bool transposed = false;
  if (i.x != 1 && i.y == 1)
    for (int a = 0; a < axes.count; ++a)
      if (axes.axis[a].x == 1) other = a, transposed = true;
  const Axis j = other >= 0 ? axes.take(other) : Axis{1, 0, 0};

  std::int64_t rows, cols;   // of a block, along i and j
  if (transposed) {
    cols = std::min(j.extent, kSide);
    rows = std::min(i.extent, std::max(kSide, kGrain / cols / 32 * 32));
    if (rows < kSide) cols = std::min(j.extent, std::max(kSide, kGrain / rows / 32 * 32));
  } else {
    rows = std::min(i.extent, kGrain);
    cols = std::min(j.extent, std::max<std::int64_t>(1, kGrain / rows));
  }
  const int block_j = axes.count, block_i = axes.count + 1;
  axes.push({(j.extent + cols - 1) / cols, cols * j.x, cols * j.y});
  axes.push({(i.extent + rows - 1) / rows, rows * i.x, rows * i.y});
  std::int64_t items = 1;
  for (int a = 0; a < axes.count; ++a) items *= axes.axis[a].extent;
  const std::int64_t per_task = std::max<std::int64_t>(1, kGrain / (rows * cols));

  parallel_for((items + per_task - 1) / per_task, [&](std::int64_t task) {
    Odometer at(axes, task * per_task);
    for (std::int64_t item = task * per_task; item < std::min(items, (task + 1) * per_task); ++item, at.next()) {
      const std::int64_t ni = std::min(rows, i.extent - at.index(block_i) * rows), nj = std::min(cols, j.extent - at.index(block_j) * cols);
      const E* from = x + at.x;
      E* to = y + at.y;
      if (transposed)
        transpose_block(from, i.x, to, j.y, ni, nj);
      else if (i.x == 1 && i.y == 1)
        for (std::int64_t k = 0; k < nj; ++k) copy_run(from + k * j.x, to + k * j.y, ni);
      else if (i.x == 0 && i.y == 1)
        for (std::int64_t k = 0; k < nj; ++k) std::fill_n(to + k * j.y, ni, from[k * j.x]);
      else
        for (std::int64_t k = 0; k < nj; ++k)
          for (std::int64_t l = 0; l < ni; ++l) to[k * j.y + l * i.y] = from[k * j.x + l * i.x];
    }
  });
}

/// A dense tensor's step along each axis of the box, and the offset of the box's first element.
std::int64_t steps_of_whole(const Box& box, std::int64_t* step) {
  std::int64_t dense = 1, offset = 0;
  for (int a = box.rank - 1; a >= 0; --a) {
    step[a] = box.step[a] * dense;
    offset += box.begin[a] * dense;
    dense *= box.whole[a];
  }
  return offset;
}
void steps_of_part(const Box& box, std::int64_t* step) {
  std::int64_t dense = 1;
  for (int a = box.rank - 1; a >= 0; --a) {
    step[a] = dense;
    dense *= box.part[a];
  }
}

}   // namespace

void strided_copy(const void* x, void* y, StridedShape s, std::size_t element_bytes) {
  if (std::find(s.extent, s.extent + s.rank, 0) != s.extent + s.rank) return;
  const Axes axes = Axes::joined(s);
  switch (element_bytes) {
    case 1: return copy(static_cast<const std::uint8_t*>(x), static_cast<std::uint8_t*>(y), axes);
    case 2: return copy(static_cast<const std::uint16_t*>(x), static_cast<std::uint16_t*>(y), axes);
    case 4: return copy(static_cast<const std::uint32_t*>(x), static_cast<std::uint32_t*>(y), axes);
    default: return copy(static_cast<const std::uint64_t*>(x), static_cast<std::uint64_t*>(y), axes);
  }
}

void extract(const void* whole, void* part, Box box, std::size_t element_bytes) {
  StridedShape s{.rank = box.rank};
  std::copy_n(box.part, box.rank, s.extent);
  const std::int64_t offset = steps_of_whole(box, s.x_step);
  steps_of_part(box, s.y_step);
  strided_copy(static_cast<const char*>(whole) + offset * std::int64_t(element_bytes), part, s, element_bytes);
}

void embed(const void* part, void* whole, Box box, std::size_t element_bytes) {
  StridedShape s{.rank = box.rank};
  std::copy_n(box.part, box.rank, s.extent);
  steps_of_part(box, s.x_step);
  const std::int64_t offset = steps_of_whole(box, s.y_step);

  // Zeros and content go to the same cache lines, so one slab of `whole` after the other gets both. A slab spans the axes behind the
  // leading ones that the box covers whole, and is small enough to stay in the second-level cache in between.
  constexpr std::int64_t kSlab = 256 * 1024;
  std::int64_t slabs = 1, whole_bytes = std::int64_t(element_bytes), part_bytes = std::int64_t(element_bytes);
  for (int a = 0; a < box.rank; ++a) {
    whole_bytes *= box.whole[a];
    part_bytes *= box.part[a];
  }
  if (whole_bytes == 0) return;
  for (int a = 0; a < box.rank && box.part[a] == box.whole[a] && whole_bytes > kSlab; ++a) {
    slabs *= box.whole[a];
    whole_bytes /= box.whole[a];
    part_bytes /= box.whole[a];
    s.extent[a] = 1;
  }
  parallel_for(slabs, [&](std::int64_t slab) {
    char* to = static_cast<char*>(whole) + slab * whole_bytes;
    std::memset(to, 0, std::size_t(whole_bytes));
    strided_copy(static_cast<const char*>(part) + slab * part_bytes, to + offset * std::int64_t(element_bytes), s, element_bytes);
  });
}

}   // namespace fovea::kernels
