// pool_windows.h: the two walks of pooling: over the windows (forward) and over the pixels with the windows that see them (backward).
// A task is a few lines, cut by the shape alone.
#pragma once

#include "kernels/cpu/map.h"
#include "kernels/pooling.h"

namespace fovea::kernels::FOVEA_ISA {
namespace {

/// f(n, p, q, index of the first channel of y[n, p, q]) for every window, on the pool. f has to be FOVEA_LANES_INLINE;
/// `streamed` says that it streams its output.
template <class F> FOVEA_INLINE void for_windows(const Pool2dShape& s, bool streamed, const F& f) {
  const std::int64_t line_inputs = ceil_div(s.rows.in, max(1, s.rows.out)) * s.columns.in * s.c;   // what a line of windows reads, about
  parallel_ranges(s.n * s.rows.out, max(1, kGrain / max(1, line_inputs)), [&](std::int64_t first, std::int64_t count) {
    for (std::int64_t line = first; line < first + count; ++line)
      for (std::int64_t q = 0; q < s.columns.out; ++q) f(line / s.rows.out, line % s.rows.out, q, (line * s.columns.out + q) * s.c);
    stream_fence(streamed);
  });
}

/// A pixel's place along one axis, and the windows that see it.
struct Seen {
  std::int64_t pixel, first, last;
  FOVEA_INLINE Seen(const PoolAxis& axis, std::int64_t x) : pixel(x), first(axis.first(x)), last(axis.last(x)) {}
  /// The next pixel: no division for windows.
  FOVEA_INLINE void advance(const PoolAxis& axis) {
    ++pixel;
    while (first < axis.out && axis.end(first) <= pixel) ++first;
    while (last + 1 < axis.out && axis.origin(last + 1) <= pixel) ++last;
  }
};

/// f(n, rows, columns, index of the first channel of the pixel) for every pixel of x, on the pool, likewise.
template <class F> FOVEA_INLINE void for_pixels(const Pool2dShape& s, bool streamed, const F& f) {
  parallel_ranges(s.n * s.rows.in, max(1, kGrain / max(1, s.columns.in * s.c)), [&](std::int64_t first, std::int64_t count) {
    for (std::int64_t line = first; line < first + count; ++line) {
      const Seen rows(s.rows, line % s.rows.in);
      Seen columns(s.columns, 0);
      for (std::int64_t w = 0; w < s.columns.in; ++w, columns.advance(s.columns))
        f(line / s.rows.in, rows, columns, (line * s.columns.in + w) * s.c);
    }
    stream_fence(streamed);
  });
}

}   // namespace
}   // namespace fovea::kernels::FOVEA_ISA
