// depthwise_lines.h: the two inner loops of depthwise convolution, on one line of pixels of 16 channels: filter a line, and correlate
// two lines. Everything they read was laid out for them: pixel j of a row of taps r is row[r][16 j .. 16 j + 15], in float.
//
// Both slide along the line several outputs at a time, so that a pixel is loaded once for all the taps of a row that see it: for S
// taps and U outputs, U + S - 1 loads (stride 1) feed U S multiply-adds. Instances for the usual widths, a plain loop for the others.
#pragma once

#include "kernels/cpu/simd.h"

namespace fovea::kernels::FOVEA_ISA {
namespace {

constexpr std::int64_t kMaxTapRows = 31;
constexpr int kSlide = kWidth == 16 ? 8 : kWidth == 8 ? 4 : 2;   // outputs at a time: 8 registers

struct Line {
  const float* row[kMaxTapRows];   // the lines that the rows of taps [r0, r1) see; the others lie outside the image
  std::int64_t r0, r1;
  std::int64_t s, step, tap;   // tap t of output j sees pixel j * step + t * tap
  std::int64_t offset;         // floats to add to every row
  const float* w;              // tap (r, t): w[r * w_r + t * w_s .. + 15]
  std::int64_t w_r, w_s;

  // What memory shall bring meanwhile, `step` pixels of each of `ahead_lines` lines of x and a pixel of y (or dy) for every output.
  const char *ahead, *y;
  std::int64_t ahead_lines, ahead_line, ahead_pixel, y_pixel;   // bytes from one to the next

  template <int U, int Write> FOVEA_INLINE void fetch(std::int64_t j) const {
    for (int u = 0; u < U; ++u) __builtin_prefetch(y + (j + u) * y_pixel, Write);
    for (std::int64_t i = 0; i < ahead_lines; ++i)
      for (std::int64_t k = j * step; k < (j + U) * step; ++k) __builtin_prefetch(ahead + i * ahead_line + k * ahead_pixel);
  }
};

/// out[u step ..] = sum over r, then t, of row[r][16 ((j + u) step + t)] * w[r, t], for u < U: one chain each.
template <int S, int Step, int U> FOVEA_INLINE void filter_some(const Line& l, std::int64_t j, float* out, std::int64_t step) {
  F16 sum[U];
  for (std::int64_t r = l.r0; r < l.r1; ++r) {
    const float* x = l.row[r] + l.offset + 16 * Step * j;
    F16 w[S];
#pragma GCC unroll 8
    for (int t = 0; t < S; ++t) w[t] = F16::load(l.w + r * l.w_r + t * l.w_s);
#pragma GCC unroll 24
    for (int i = 0; i < (U - 1) * Step + S; ++i) {
      const F16 pixel = F16::load(x + 16 * i);
#pragma GCC unroll 8
      for (int t = 0; t < S; ++t)
        if (i >= t && (i - t) % Step == 0 && (i - t) / Step < U) sum[(i - t) / Step] = fma(pixel, w[t], sum[(i - t) / Step]);
    }
  }
#pragma GCC unroll 8
  for (int u = 0; u < U; ++u) sum[u].store(out + u * step);
}
/// Any S, step and tap.
template <int U> FOVEA_INLINE void filter_some(const Line& l, std::int64_t j, float* out, std::int64_t step) {
  F16 sum[U];
  for (std::int64_t r = l.r0; r < l.r1; ++r)
    for (std::int64_t t = 0; t < l.s; ++t) {
      const float* x = l.row[r] + l.offset + 16 * (j * l.step + t * l.tap);
      const F16 w = F16::load(l.w + r * l.w_r + t * l.w_s);
#pragma GCC unroll 8
      for (int u = 0; u < U; ++u) sum[u] = fma(F16::load(x + 16 * u * l.step), w, sum[u]);
    }
#pragma GCC unroll 8
  for (int u = 0; u < U; ++u) sum[u].store(out + u * step);
}

/// some.template operator()<U>(j) for all n outputs of a line, U of them from j on at a time.
template <int S, class F> FOVEA_INLINE void slide_along(std::int64_t n, const F& some) {
  std::int64_t j = 0;
  if constexpr (kSlide == 8 && S > 2)   // 7, 14, 28: nothing is left over
    if (n % 8 != 0 && n % 7 == 0)
      for (; j < n; j += 7) some.template operator()<7>(j);
  for (; j + kSlide <= n; j += kSlide) some.template operator()<kSlide>(j);
  for (; j + 2 <= n; j += 2) some.template operator()<2>(j);
  if (j < n) some.template operator()<1>(j);
}

/// n outputs of a line, 16 floats each, `out_step` apart. S = 0: any.
template <int S, int Step> void filter_line(const Line& l, std::int64_t n, float* out, std::int64_t out_step) {
  const auto some = [&]<int U>(std::int64_t j) __attribute__((always_inline)) {
    l.fetch<U, 1>(j);
    if constexpr (S == 0)
      filter_some<U>(l, j, out + j * out_step, out_step);
    else
      filter_some<S, Step, U>(l, j, out + j * out_step, out_step);
  };
  slide_along<S>(n, some);
}

using FilterLine = void (*)(const Line&, std::int64_t, float*, std::int64_t);
FOVEA_INLINE FilterLine filter_line_for(std::int64_t s, std::int64_t step, std::int64_t tap) {
  if (tap == 1 && step == 1) {
    if (s == 1) return filter_line<1, 1>;
    if (s == 2) return filter_line<2, 1>;
    if (s == 3) return filter_line<3, 1>;
    if (s == 4) return filter_line<4, 1>;
    if (s == 5) return filter_line<5, 1>;
    if (s == 7) return filter_line<7, 1>;
  }
  if (tap == 1 && step == 2) {
    if (s == 3) return filter_line<3, 2>;
    if (s == 5) return filter_line<5, 2>;
    if (s == 7) return filter_line<7, 2>;
  }
  return filter_line<0, 0>;
}

/// sum[i][t] goes on by d[j + u] * row[r + i][16 ((j + u) step + t)] for u < U.
template <int S, int Step, int Rows, int U>
FOVEA_INLINE void correlate_some(const Line& l, std::int64_t r, std::int64_t j, const float* d, F16 (&sum)[Rows][S]) {
  F16 dy[U];
#pragma GCC unroll 8
  for (int u = 0; u < U; ++u) dy[u] = F16::load(d + 16 * (j + u));
#pragma GCC unroll 4
  for (int k = 0; k < Rows; ++k) {
    const float* x = l.row[r + k] + l.offset + 16 * Step * j;
#pragma GCC unroll 24
    for (int i = 0; i < (U - 1) * Step + S; ++i) {
      const F16 pixel = F16::load(x + 16 * i);
#pragma GCC unroll 8
      for (int t = 0; t < S; ++t)
        if (i >= t && (i - t) % Step == 0 && (i - t) / Step < U) sum[k][t] = fma(dy[(i - t) / Step], pixel, sum[k][t]);
    }
  }
}
/// `Rows` rows of taps from r on: sums (S, 16) of each go on, pixel after pixel, where they stopped.
template <int S, int Step, int Rows>
FOVEA_INLINE void correlate_rows(const Line& l, std::int64_t r, std::int64_t n, const float* d, float* sums) {
  F16 sum[Rows][S];
#pragma GCC unroll 4
  for (int k = 0; k < Rows; ++k)
#pragma GCC unroll 8
    for (int t = 0; t < S; ++t) sum[k][t] = F16::load(sums + 16 * ((r + k) * S + t));
  std::int64_t j = 0;
  for (; j + 4 <= n; j += 4) {
    if (r == l.r0) l.fetch<4, 0>(j);
    correlate_some<S, Step, Rows, 4>(l, r, j, d, sum);
  }
  for (; j < n; ++j) correlate_some<S, Step, Rows, 1>(l, r, j, d, sum);
#pragma GCC unroll 4
  for (int k = 0; k < Rows; ++k)
#pragma GCC unroll 8
    for (int t = 0; t < S; ++t) sum[k][t].store(sums + 16 * ((r + k) * S + t));
}

/// sums[r, t] += sum_j d[j] * row[r][16 (j step + t tap)] over n pixels d (n, 16): sums (rows of taps, s, 16), each one chain.
template <int S, int Step> void correlate_line(const Line& l, std::int64_t n, const float* d, float* sums) {
  constexpr int kRowsAtOnce = kWidth == 16 && S == 3 ? 3 : 1;   // enough chains to hide the latency of an fma
  std::int64_t r = l.r0;
  for (; r + kRowsAtOnce <= l.r1; r += kRowsAtOnce) correlate_rows<S, Step, kRowsAtOnce>(l, r, n, d, sums);
  for (; r < l.r1; ++r) correlate_rows<S, Step, 1>(l, r, n, d, sums);
}
template <> void correlate_line<0, 0>(const Line& l, std::int64_t n, const float* d, float* sums) {
  for (std::int64_t r = l.r0; r < l.r1; ++r)
    for (std::int64_t t = 0; t < l.s; ++t) {
      float* at = sums + 16 * (r * l.s + t);
      const float* x = l.row[r] + l.offset + 16 * t * l.tap;
      F16 sum = F16::load(at);
      for (std::int64_t j = 0; j < n; ++j) sum = fma(F16::load(d + 16 * j), F16::load(x + 16 * j * l.step), sum);
      sum.store(at);
    }
}

using CorrelateLine = void (*)(const Line&, std::int64_t, const float*, float*);
FOVEA_INLINE CorrelateLine correlate_line_for(std::int64_t s, std::int64_t step, std::int64_t tap) {
  if (tap == 1 && step == 1) {
    if (s == 3) return correlate_line<3, 1>;
    if (s == 5) return correlate_line<5, 1>;
    if (s == 7) return correlate_line<7, 1>;
  }
  if (tap == 1 && step == 2) {
    if (s == 3) return correlate_line<3, 2>;
    if (s == 5) return correlate_line<5, 2>;
    if (s == 7) return correlate_line<7, 2>;
  }
  return correlate_line<0, 0>;
}

}   // namespace
}   // namespace fovea::kernels::FOVEA_ISA
