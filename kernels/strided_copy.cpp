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

#include <emmintrin.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "kernels/parallel.h"

namespace fovea::kernels {

namespace {

constexpr std::int64_t kSide = 128;              // of a block that is transposed, at least, where the plane has it
constexpr std::int64_t kTall = 4 * kNestGrain;   // elements of such a block: the first tiles of its columns are not asked for in advance

constexpr std::int64_t kStreamed = 16 << 20;   // bytes of y: half of a third-level cache

using Nest = LoopNest<2>;   // steps of x, of y

/// n elements; with `stream` past the caches, where that covers whole cache lines of y.
template <class E> void copy_run(const E* x, E* y, std::int64_t n, bool stream) {
  const std::size_t bytes = std::size_t(n) * sizeof(E);
  if (stream && bytes % 64 == 0 && reinterpret_cast<std::uintptr_t>(y) % 64 == 0) {
    const auto* from = reinterpret_cast<const __m128i*>(x);
    auto* to = reinterpret_cast<__m128i*>(y);
    for (std::size_t i = 0; i < bytes / 16; i += 4) {
      const __m128i a = _mm_loadu_si128(from + i), b = _mm_loadu_si128(from + i + 1), c = _mm_loadu_si128(from + i + 2),
                    d = _mm_loadu_si128(from + i + 3);
      _mm_stream_si128(to + i, a), _mm_stream_si128(to + i + 1, b), _mm_stream_si128(to + i + 2, c), _mm_stream_si128(to + i + 3, d);
    }
    return;
  }
  if (bytes < 16 || bytes > 128) {
    std::memcpy(y, x, bytes);
    return;
  }
  // Short runs by 16 bytes, inline: a call costs as much as the copy. The last 16 overlap those before.
  const char* from = reinterpret_cast<const char*>(x);
  char* to = reinterpret_cast<char*>(y);
  for (std::size_t b = 0; b + 16 < bytes; b += 16) std::memcpy(to + b, from + b, 16);
  std::memcpy(to + bytes - 16, from + bytes - 16, 16);
}

/// Runs of n elements that begin x_step and y_step apart. Those that come next are asked for in advance: the hardware does not foresee short
/// pieces of memory.
template <class E>
void copy_runs(const E* x, std::int64_t x_step, E* y, std::int64_t y_step, std::int64_t n, std::int64_t runs, bool stream) {
  constexpr std::int64_t kAhead = 16, kLine = 64 / sizeof(E);
  for (std::int64_t k = 0; k < runs; ++k) {
    for (std::int64_t i = 0; i < std::min<std::int64_t>(n, 32 * kLine) && k + kAhead < runs; i += kLine)
      _mm_prefetch(reinterpret_cast<const char*>(x + (k + kAhead) * x_step + i), _MM_HINT_T0);
    copy_run(x + k * x_step, y + k * y_step, n, stream);
  }
  if (stream) _mm_sfence();
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
/// With Stream the lines of y, whole ones, go past the caches.
template <bool Stream, class E> void transpose_tile(const E* x, std::int64_t x_step, E* y, std::int64_t y_step) {
  using V = typename Register<E>::Type;
  constexpr int kLanes = 16 / sizeof(E), kRounds = kLanes == 8 ? 3 : kLanes == 4 ? 2 : 1;
  alignas(64) E buffer[kTile<E>][kTile<E>];
  for (std::int64_t i = 0; i < kTile<E>; ++i) std::memcpy(buffer[i], x + i * x_step, 64);
  for (std::int64_t j = 0; j < kTile<E>; j += kLanes) {
    V lines[kLanes][64 / 16];   // of y
#pragma GCC unroll 4
    for (std::int64_t i = 0; i < kTile<E>; i += kLanes) {
      V rows[kLanes];
#pragma GCC unroll 8
      for (int k = 0; k < kLanes; ++k) std::memcpy(&rows[k], &buffer[i + k][j], 16);
      interleave<E, kRounds>(rows);
#pragma GCC unroll 8
      for (int k = 0; k < kLanes; ++k) lines[k][i / kLanes] = rows[k];
    }
#pragma GCC unroll 8
    for (int k = 0; k < kLanes; ++k)   // a line whole: half a line would go to memory by itself
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) {
        E* to = y + (j + k) * y_step + i * kLanes;
        if constexpr (Stream)
          _mm_stream_si128(reinterpret_cast<__m128i*>(to), (__m128i)lines[k][i]);
        else
          std::memcpy(to, &lines[k][i], 16);
      }
  }
}

/// y[j * y_step + i] = x[i * x_step + j] for i < rows, j < cols.
template <class E>
void transpose_block(const E* x, std::int64_t x_step, E* y, std::int64_t y_step, std::int64_t rows, std::int64_t cols, bool stream) {
  std::int64_t full_rows = 0, full_cols = 0;   // covered by whole tiles
  if constexpr (sizeof(E) > 1) {
    full_rows = rows / kTile<E> * kTile<E>;
    full_cols = cols / kTile<E> * kTile<E>;
    const bool aligned = reinterpret_cast<std::uintptr_t>(y) % 64 == 0 && y_step * std::int64_t(sizeof(E)) % 64 == 0;
    for (std::int64_t i = 0; i < full_rows; i += kTile<E>)
      for (std::int64_t j = 0; j < full_cols; j += kTile<E>) {
        for (std::int64_t k = i + kTile<E>; k < std::min(i + 2 * kTile<E>, rows); ++k)   // the hardware does not foresee lines so far apart
          _mm_prefetch(reinterpret_cast<const char*>(x + k * x_step + j), _MM_HINT_T0);
        const E* from = x + i * x_step + j;
        E* to = y + j * y_step + i;
        stream&& aligned ? transpose_tile<true>(from, x_step, to, y_step) : transpose_tile<false>(from, x_step, to, y_step);
      }
    if (stream && aligned) _mm_sfence();   // streamed stores are seen by whoever is told that the task is done
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
template <class E> void copy(const E* x, E* y, Nest nest) {
  const Nest::Axis i = nest.take_innermost();
  const std::int64_t xi = i.step[0], yi = i.step[1];
  int other = nest.count - 1;
  bool transposed = false;
  if (xi != 1 && yi == 1)
    for (int a = 0; a < nest.count; ++a)
      if (nest.axis[a].step[0] == 1) other = a, transposed = true;
  if (xi == 1 && yi == 1)   // runs: as they lie in x. Written pieces may go anywhere, read ones are foreseen only where they are neighbours
    for (int a = 0; a < nest.count; ++a)
      if (nest.axis[a].step[0] < nest.axis[other].step[0]) other = a;
  const Nest::Axis j = other >= 0 ? nest.take(other) : Nest::Axis{1, {0, 0}};

  std::int64_t rows = std::min(i.extent, kNestGrain),
               cols = std::min(j.extent, std::max<std::int64_t>(1, kNestGrain / rows));   // of a block
  if (transposed) {
    cols = std::min(j.extent, kSide);
    rows = std::min(i.extent, kTall / cols / 32 * 32);   // whole tiles
    if (rows < kSide) cols = std::min(j.extent, kTall / rows / 32 * 32);
  }
  const std::int64_t xj = j.step[0], yj = j.step[1];
  // What is far larger than the caches is not there when somebody reads it, so it need not be fetched in order to be written.
  std::int64_t bytes = i.extent * j.extent * std::int64_t(sizeof(E));
  for (int a = 0; a < nest.count; ++a) bytes *= nest.axis[a].extent;
  const bool stream = bytes > kStreamed;
  for_blocks(nest, i, j, rows, cols, [=](const std::int64_t* offset, std::int64_t ni, std::int64_t nj) {
    const E* from = x + offset[0];
    E* to = y + offset[1];
    if (transposed)
      transpose_block(from, xi, to, yj, ni, nj, stream);
    else if (xi == 1 && yi == 1)
      copy_runs(from, xj, to, yj, ni, nj, stream);
    else if (xi == 0 && yi == 1)
      for (std::int64_t k = 0; k < nj; ++k) std::fill_n(to + k * yj, ni, from[k * xj]);
    else
      for (std::int64_t k = 0; k < nj; ++k)
        for (std::int64_t l = 0; l < ni; ++l) to[k * yj + l * yi] = from[k * xj + l * xi];
  });
}

}   // namespace

bool StridedShape::empty() const { return std::find(extent, extent + rank, 0) != extent + rank; }
LoopNest<2> StridedShape::nest() const {
  LoopNest<2> nest;
  for (int a = 0; a < rank; ++a) nest.join({extent[a], {x_step[a], y_step[a]}});
  return nest;
}

StridedShape Box::copy_out() const {
  StridedShape s{.rank = rank};
  std::int64_t dense_whole = 1, dense_part = 1;
  for (int a = rank - 1; a >= 0; --a) {
    s.extent[a] = part[a];
    s.x_step[a] = step[a] * dense_whole;
    s.y_step[a] = dense_part;
    dense_whole *= whole[a];
    dense_part *= part[a];
  }
  return s;
}
StridedShape Box::copy_in() const {
  StridedShape s = copy_out();
  std::swap(s.x_step, s.y_step);
  return s;
}
std::int64_t Box::first() const {
  std::int64_t offset = 0;
  for (int a = 0; a < rank; ++a) offset = offset * whole[a] + begin[a];
  return offset;
}

void strided_copy(Cpu, const void* x, void* y, StridedShape s, std::size_t element_bytes) {
  if (s.empty()) return;
  with_unsigned(element_bytes, [&]<class E>(E) { copy(static_cast<const E*>(x), static_cast<E*>(y), s.nest()); });
}

void extract(Cpu be, const void* whole, void* part, Box box, std::size_t element_bytes) {
  strided_copy(be, static_cast<const char*>(whole) + box.first() * std::int64_t(element_bytes), part, box.copy_out(), element_bytes);
}

void insert(Cpu be, const void* part, void* whole, Box box, std::size_t element_bytes) {
  strided_copy(be, part, static_cast<char*>(whole) + box.first() * std::int64_t(element_bytes), box.copy_in(), element_bytes);
}

void embed(Cpu be, const void* part, void* whole, Box box, std::size_t element_bytes) {
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
    box.whole[a] = box.part[a] = 1;
  }
  parallel_for(slabs, [&](std::int64_t slab) {
    char* to = static_cast<char*>(whole) + slab * whole_bytes;
    std::memset(to, 0, std::size_t(whole_bytes));
    insert(be, static_cast<const char*>(part) + slab * part_bytes, to, box, element_bytes);
  });
}

}   // namespace fovea::kernels
