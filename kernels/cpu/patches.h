// patches.h: the left matrix of every product, never stored: row m is output pixel m, column k = (r, s, c) a tap and a channel
//
//   A[m, (r,s,c)] = prologue(x)[image, i * step_h + h0 + r * tap_h,  j * step_w + w0 + s * tap_w,  c],   m = (image, i, j)
//
// Forward convolution, each phase of the input gradient, and a plain matrix (one image of one row, 1x1) are all of this
// form. A block of rows copies the pixels it needs into a small slab that lives in the second-level cache (zeros for
// padding, floats for bfloat16, the prologue applied), once for each pixel and not for each tap: im2col would write every
// pixel R S times. The micro-kernel then finds A[m,k] at base[row[m] + offset(k)]. Neighbouring taps are adjacent in the
// slab, so k runs over S C contiguous floats.
#pragma once

#include "kernels/cpu/math.h"
#include "kernels/cpu/micro_kernel.h"
#include "kernels/fusion.h"

namespace fovea::kernels::FOVEA_ISA {
namespace {

constexpr std::int64_t kRows = kStatRows;   // rows of a block
static_assert(kRows % kMr == 0);
constexpr std::int64_t kSlab = 104 * 1024;   // floats of a slab: 416 KB of the second-level cache
constexpr std::int64_t kSlack = 64;          // the last register tile may read (and ignore) what lies behind

FOVEA_INLINE std::int64_t min_of(std::int64_t a, std::int64_t b) { return a < b ? a : b; }
FOVEA_INLINE std::int64_t max_of(std::int64_t a, std::int64_t b) { return a > b ? a : b; }
FOVEA_INLINE std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }
FOVEA_INLINE std::int64_t round_up(std::int64_t a, std::int64_t b) { return ceil_div(a, b) * b; }

template <class T> struct Patches {
  const T* x;
  std::int64_t h, w, c;        // input image; c: the channels of one group
  std::int64_t pixel;          // elements from one pixel to the next
  std::int64_t images, p, q;   // grid of outputs
  std::int64_t step_h = 1, step_w = 1, h0 = 0, w0 = 0, tap_h = 1, tap_w = 1, r = 1, s = 1;
  bool transposed = false;        // A^T in memory (matrices only): element (m, c) lies at x[c * pixel + m]
  const float* scale = nullptr;   // (c), with the group's offset
  const float* shift = nullptr;
  Activation activation = Activation::none;

  std::int64_t rows() const { return images * p * q; }
  std::int64_t taps() const { return r * s * c; }
};

/// A part of k: some taps, some channels. Cuts in order cover k in order.
struct Cut {
  std::int64_t r0, r, s0, s, c0, c;
};

/// One block of rows, ready for the micro-kernel.
struct Block {
  const float* base;
  std::int64_t row[kRows];   // rows past the last one repeat it
  Runs runs;
  bool in_place = false;   // rows lie in the input itself, which is likely not in a cache yet
};

/// Floats from one slab pixel to the next: rows 2 KB apart would fight for the same few sets of the first-level cache.
FOVEA_INLINE std::int64_t slab_pixel(std::int64_t c) { return c % 512 == 0 ? c + 16 : c; }

/// Output rows of up to this many pixels share one slab per image; longer ones get a slab each, over the pixels they need.
constexpr std::int64_t kMergedRow = 64;

/// An upper bound of the slab's floats for any block of `a` and a cut of this size.
template <class T> std::int64_t slab_floats(const Patches<T>& a, std::int64_t r, std::int64_t s, std::int64_t c) {
  const std::int64_t block = min_of(kRows, a.rows()), step_h = r == 1 ? 1 : a.step_h, step_w = s == 1 ? 1 : a.step_w;
  const std::int64_t width = (min_of(a.q, kRows) - 1) * step_w + (s - 1) * a.tap_w + 1, extra = (r - 1) * a.tap_h;
  const std::int64_t out_rows = min_of(a.images * a.p, (block + a.q - 2) / a.q + 1);
  if (a.q > kMergedRow) return out_rows * (extra + 1) * width * slab_pixel(c);
  const std::int64_t images = min_of(a.images, (block + a.p * a.q - 2) / (a.p * a.q) + 1);
  return (out_rows * step_h + images * extra) * width * slab_pixel(c);
}

constexpr std::int64_t kLongest = 3072;   // rows of k in a cut, at most

/// Size of one cut: all of k if the slab and the panels of B then stay in the cache, else a row of taps, a tap, or
/// 512 channels of it. From the shape alone.
template <class T> Cut first_cut(const Patches<T>& a) {
  constexpr std::int64_t kChannels = 512;
  const auto fits = [&](std::int64_t r, std::int64_t s, std::int64_t c) {
    return r * s * c <= kLongest && slab_floats(a, r, s, c) <= kSlab;
  };
  if (fits(a.r, a.s, a.c)) return {0, a.r, 0, a.s, 0, a.c};
  if (fits(1, a.s, a.c)) return {0, 1, 0, a.s, 0, a.c};
  if (fits(1, 1, a.c)) return {0, 1, 0, 1, 0, a.c};
  return {0, 1, 0, 1, 0, min_of(a.c, kChannels)};
}

/// Moves to the next cut; false behind the last one.
template <class T> bool next_cut(const Patches<T>& a, const Cut& size, Cut& cut) {
  cut.c0 += size.c;
  if (cut.c0 >= a.c) cut.c0 = 0, cut.s0 += size.s;
  if (cut.s0 >= a.s) cut.s0 = 0, cut.r0 += size.r;
  cut.c = min_of(size.c, a.c - cut.c0);
  return cut.r0 < a.r;
}

/// The first n, or all; the other lanes are 0.
template <class V = F16, class T> FOVEA_INLINE V load_some(const T* p, std::int64_t n) {
  return n >= V::kCount ? V::load(p) : V::load_first(p, n);
}
template <class T, int N> FOVEA_INLINE void store_some(T* p, Lanes<N> v, std::int64_t n) {
  n >= v.kCount ? v.store(p) : v.store_first(p, n);
}

template <class T> FOVEA_INLINE void copy_floats(const T* from, float* to, std::int64_t n) {
  std::int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) store(to + i, load(from + i));
  for (; i < n; ++i) to[i] = float(from[i]);
}
FOVEA_INLINE void zero_floats(float* to, std::int64_t n) {
  std::int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) store(to + i, Native{});
  for (; i < n; ++i) to[i] = 0;
}

/// `count` pixels of channels [c0, c0 + c), `from_step` elements apart, to slab pixels `to_step` floats apart.
template <class T>
void copy_pixels(const Patches<T>& a, const T* from, std::int64_t from_step, std::int64_t c0, std::int64_t c, float* to,
                 std::int64_t to_step, std::int64_t count) {
  if (!a.scale && from_step == c && to_step == c) return copy_floats(from, to, count * c);
  for (std::int64_t i = 0; i < count; ++i, from += from_step, to += to_step) {
    if (!a.scale) {
      copy_floats(from, to, c);
      continue;
    }
    for (std::int64_t j = 0; j < c; j += 16) {
      const F16 v = fma(load_some(a.scale + c0 + j, c - j), load_some(from + j, c - j), load_some(a.shift + c0 + j, c - j));
      store_some(to + j, activate(a.activation, v), c - j);
    }
  }
}

typedef float Quad __attribute__((vector_size(16)));
template <class T> FOVEA_INLINE Quad load_quad(const T* p) {
  if constexpr (std::is_same_v<T, float>) {
    Quad v;
    __builtin_memcpy(&v, p, sizeof v);
    return v;
  } else {
    return Quad{float(p[0]), float(p[1]), float(p[2]), float(p[3])};
  }
}

/// to[j * to_step + i] = from[i * from_step + j] for i < rows, j < cols: squares of 4x4, so that both sides move in vectors;
/// 64 columns at a time, so that the lines that several squares share are written while they are in the first-level cache.
template <class T>
void transpose(const T* from, std::int64_t from_step, std::int64_t rows, std::int64_t cols, float* to, std::int64_t to_step) {
  for (std::int64_t j0 = 0; j0 < cols; j0 += 64) {
    const std::int64_t j1 = min_of(cols, j0 + 64);
    std::int64_t i = 0;
    for (; i + 4 <= rows; i += 4) {
      std::int64_t j = j0;
      for (std::int64_t l = i; l < i + 4 && j1 < cols; ++l)   // where these rows go on, to arrive while the others are moved
        for (std::int64_t k = 0; k < 64; k += 64 / std::int64_t(sizeof(T))) __builtin_prefetch(from + l * from_step + j1 + k);
      for (; j + 4 <= j1; j += 4) {
        const T* f = from + i * from_step + j;
        const Quad a = load_quad(f), b = load_quad(f + from_step), c = load_quad(f + 2 * from_step), d = load_quad(f + 3 * from_step);
        const Quad ab_low = __builtin_shufflevector(a, b, 0, 4, 1, 5), ab_high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
        const Quad cd_low = __builtin_shufflevector(c, d, 0, 4, 1, 5), cd_high = __builtin_shufflevector(c, d, 2, 6, 3, 7);
        const Quad columns[4] = {__builtin_shufflevector(ab_low, cd_low, 0, 1, 4, 5), __builtin_shufflevector(ab_low, cd_low, 2, 3, 6, 7),
                                 __builtin_shufflevector(ab_high, cd_high, 0, 1, 4, 5),
                                 __builtin_shufflevector(ab_high, cd_high, 2, 3, 6, 7)};
        for (int l = 0; l < 4; ++l) __builtin_memcpy(to + (j + l) * to_step + i, &columns[l], sizeof(Quad));
      }
      for (; j < j1; ++j)
        for (std::int64_t l = i; l < i + 4; ++l) to[j * to_step + l] = float(from[l * from_step + j]);
    }
    for (; i < rows; ++i)
      for (std::int64_t j = j0; j < j1; ++j) to[j * to_step + i] = float(from[i * from_step + j]);
  }
}

/// Makes rows [m0, m1) of the cut readable: in place where the matrix is one already, else through the slab.
template <class T> void gather(const Patches<T>& a, const Cut& cut, std::int64_t m0, std::int64_t m1, float* slab, Block& block) {
  const std::int64_t rows = m1 - m0;
  if constexpr (std::is_same_v<T, float>) {
    const bool matrix = a.r == 1 && a.s == 1 && a.h0 == 0 && a.w0 == 0 && a.step_h == 1 && a.step_w == 1 && a.p == a.h && a.q == a.w;
    if (matrix && !a.transposed && !a.scale && a.pixel % 512 != 0 && a.c % 4 == 0) {
      block.base = a.x + cut.c0;
      block.in_place = true;
      block.runs = {1, 0, 1, 0, cut.c};
      for (std::int64_t i = 0; i < kRows; ++i) block.row[i] = (m0 + min_of(i, rows - 1)) * a.pixel;
      return;
    }
  }
  const std::int64_t cs = slab_pixel(cut.c);
  block.base = slab;
  if (a.transposed) {
    transpose(a.x + cut.c0 * a.pixel + m0, a.pixel, cut.c, rows, slab, cs);
    block.runs = {1, 0, 1, 0, cut.c};
    for (std::int64_t i = 0; i < kRows; ++i) block.row[i] = min_of(i, rows - 1) * cs;
    return;
  }

  // With a single tap along an axis only every step-th pixel is needed: the slab then has those alone.
  const std::int64_t in_step_h = cut.r == 1 ? a.step_h : 1, in_step_w = cut.s == 1 ? a.step_w : 1;
  const std::int64_t slab_step_h = cut.r == 1 ? 1 : a.step_h, slab_step_w = cut.s == 1 ? 1 : a.step_w;
  const bool merged = a.q <= kMergedRow;
  const std::int64_t width = (min_of(a.q, kRows) - 1) * slab_step_w + (cut.s - 1) * a.tap_w + 1;   // of every line, in pixels
  block.runs = {cut.r, a.tap_h * width * cs, cut.s, a.tap_w * cs, cut.c};
  if (a.tap_w == 1 && cs == cut.c) block.runs = {cut.r, a.tap_h * width * cs, 1, 0, cut.s * cut.c};

  float* line = slab;
  for (std::int64_t m = m0; m < m1;) {   // a piece: consecutive output rows of one image, or pixels of one output row
    const std::int64_t image = m / (a.p * a.q), i0 = m / a.q % a.p, j0 = merged ? 0 : m % a.q;
    const std::int64_t m_end = merged ? min_of(m1, (image + 1) * a.p * a.q) : min_of(m1, m - m % a.q + a.q);
    const std::int64_t out_rows = (m_end - 1) / a.q % a.p - i0 + 1, out_cols = merged ? a.q : m_end - m;
    std::int64_t at = m - m0, i = 0, j = m % a.q - j0;
    for (; at < m_end - m0; ++at) {
      block.row[at] = line - slab + (i * slab_step_h * width + j * slab_step_w) * cs;
      if (++j + j0 == a.q) j = 0, ++i;
    }
    const std::int64_t lines = (out_rows - 1) * slab_step_h + (cut.r - 1) * a.tap_h + 1;
    const std::int64_t cols = (out_cols - 1) * slab_step_w + (cut.s - 1) * a.tap_w + 1;
    const std::int64_t top = i0 * a.step_h + a.h0 + cut.r0 * a.tap_h, left = j0 * a.step_w + a.w0 + cut.s0 * a.tap_w;
    const std::int64_t first = min_of(cols, left >= 0 ? 0 : ceil_div(-left, in_step_w));   // columns [first, last) are inside the image
    const std::int64_t last = max_of(first, min_of(cols, left >= a.w ? 0 : ceil_div(a.w - left, in_step_w)));
    for (std::int64_t l = 0; l < lines; ++l, line += width * cs) {
      const std::int64_t in_row = top + l * in_step_h;
      if (in_row < 0 || in_row >= a.h) {
        zero_floats(line, cols * cs);
        continue;
      }
      zero_floats(line, first * cs);
      const T* from = a.x + ((image * a.h + in_row) * a.w + left + first * in_step_w) * a.pixel + cut.c0;
      copy_pixels(a, from, in_step_w * a.pixel, cut.c0, cut.c, line + first * cs, cs, last - first);
      zero_floats(line + last * cs, (cols - last) * cs);
    }
    m = m_end;
  }
  for (std::int64_t i = rows; i < kRows; ++i) block.row[i] = block.row[rows - 1];
}

}   // namespace
}   // namespace fovea::kernels::FOVEA_ISA
