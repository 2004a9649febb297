// panels.h: the right matrix of every product, packed before it is multiplied: panels of kNr columns, in each the rows k = 0, 1, 2...
// adjacent, so that the micro-kernel reads one stream. The last panel is kWidth wide if that holds the columns that are
// left; columns past the last are 0.
//
//   B[(r,s,c), n] = w[r * step_r + s * step_s + c * step_c + n * step_n]      one of step_c, step_n is 1
//
// Forward convolution: n is the filter and c is adjacent (transposed while packing); input gradient: n is the input channel
// and adjacent, c is the filter.
#pragma once

#include "kernels/cpu/patches.h"
#include "kernels/parallel.h"

namespace fovea::kernels::FOVEA_ISA {
namespace {

template <class T> struct Weights {
  const T* w;
  std::int64_t n, step_n, step_c, step_r = 0, step_s = 0;
};

/// Floats of a packed right matrix of `taps` rows: the same for every instruction set.
FOVEA_INLINE std::int64_t packed_floats(std::int64_t taps, std::int64_t n) { return taps * round_up(n, 32); }
FOVEA_INLINE std::int64_t panel_width(std::int64_t n, std::int64_t n0) { return n - n0 <= kWidth ? kWidth : kNr; }

/// Those rows of the panel that starts at column n0 which belong to the cut.
template <class T> void pack_panel(const Weights<T>& b, std::int64_t n0, const Cut& cut, float* to) {
  const std::int64_t width = panel_width(b.n, n0), cols = min_of(width, b.n - n0);
  for (std::int64_t tap = 0; tap < cut.r * cut.s; ++tap, to += cut.c * width) {
    const std::int64_t r = cut.r0 + tap / cut.s, s = cut.s0 + tap % cut.s;
    const T* from = b.w + r * b.step_r + s * b.step_s + cut.c0 * b.step_c + n0 * b.step_n;
    if (cols < width) zero_floats(to, cut.c * width);
    if (b.step_n == 1 && cols == kNr)
      for (std::int64_t c = 0; c < cut.c; ++c) {
        store(to + c * kNr, load(from + c * b.step_c));
        store(to + c * kNr + kWidth, load(from + c * b.step_c + kWidth));
      }
    else if (b.step_n == 1)
      for (std::int64_t c = 0; c < cut.c; ++c) copy_floats(from + c * b.step_c, to + c * width, cols);
    else
      transpose(from, b.step_n, cols, cut.c, to, width);
  }
}

}   // namespace
}   // namespace fovea::kernels::FOVEA_ISA
