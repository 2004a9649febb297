// group_lines.h: the inner loops of depthwise_lines.h for groups of G = 4 or 8 channels and as many filters: 16 / G groups lie in a vector. What a
// channel gives to the filters of its group is a multiply-add of the vector in which that channel stands in every lane of its group. Xie et al. 2017,
// "Aggregated Residual Transformations for Deep Neural Networks", Fig. 3 (c): 32 groups, of 4 channels in the first stage and 8 in the second.
//
// Filters are (.., G, 16): of tap (r, t), channel c of each group, vector w[r * w_r + t * w_s + 16 c] has what the lanes' filters multiply it with.
#pragma once

#include <utility>

#include "kernels/cpu/depthwise_lines.h"

namespace fovea::kernels::FOVEA_ISA {
namespace {

template <int G, int C, int Part, int... L> FOVEA_INLINE Native spread_part(const F16& x, std::integer_sequence<int, L...>) {
  constexpr int kFrom = Part * kWidth / G * G + C;   // of the register's first lane
  if constexpr (G >= kWidth)
    return __builtin_shufflevector(x.v[kFrom / kWidth], x.v[kFrom / kWidth], (L * 0 + kFrom % kWidth)...);
  else
    return __builtin_shufflevector(x.v[Part], x.v[Part], (L / G * G + C)...);
}
/// Lane l becomes x's lane of channel C of l's group.
template <int G, int C> FOVEA_INLINE F16 spread(const F16& x) {
  F16 y;
  const auto part = [&]<int P>() __attribute__((always_inline)) {
    if constexpr (P < F16::kParts) y.v[P] = spread_part<G, C, P>(x, std::make_integer_sequence<int, kWidth>{});
  };
  part.template operator()<0>(), part.template operator()<1>(), part.template operator()<2>(), part.template operator()<3>();
  return y;
}
/// f.template operator()<C>(the vector of channel C) for every channel of a group, in order.
template <int G, class F> FOVEA_INLINE void each_channel(const F16& x, const F& f) {
  [&]<int... C>(std::integer_sequence<int, C...>) __attribute__((always_inline)) { (f.template operator()<C>(spread<G, C>(x)), ...); }
  (std::make_integer_sequence<int, G>{});
}

/// As filter_some: out[u step ..] = sum over r, then t, then c, one chain each.
template <int G, int S, int Step, int U> FOVEA_INLINE void filter_groups(const Line& l, std::int64_t j, float* out, std::int64_t step) {
  F16 sum[U];
  for (std::int64_t r = l.r0; r < l.r1; ++r) {
    const float *x = l.row[r] + l.offset + 16 * Step * j, *w = l.w + r * l.w_r;
#pragma GCC unroll 24
    for (int i = 0; i < (U - 1) * Step + S; ++i)
      each_channel<G>(
          F16::load(x + 16 * i), [&]<int C>(const F16& channel) __attribute__((always_inline)) {
#pragma GCC unroll 8
            for (int t = 0; t < S; ++t)
              if (i >= t && (i - t) % Step == 0 && (i - t) / Step < U)
                sum[(i - t) / Step] = fma(channel, F16::load(w + t * l.w_s + 16 * C), sum[(i - t) / Step]);
          });
  }
#pragma GCC unroll 8
  for (int u = 0; u < U; ++u) sum[u].store(out + u * step);
}
/// Any S, step and tap.
template <int G, int U> FOVEA_INLINE void filter_groups(const Line& l, std::int64_t j, float* out, std::int64_t step) {
  F16 sum[U];
  for (std::int64_t r = l.r0; r < l.r1; ++r)
    for (std::int64_t t = 0; t < l.s; ++t) {
      const float *x = l.row[r] + l.offset + 16 * (j * l.step + t * l.tap), *w = l.w + r * l.w_r + t * l.w_s;
#pragma GCC unroll 8
      for (int u = 0; u < U; ++u)
        each_channel<G>(
            F16::load(x + 16 * u * l.step), [&]<int C>(const F16& channel)
                                                __attribute__((always_inline)) { sum[u] = fma(channel, F16::load(w + 16 * C), sum[u]); });
    }
#pragma GCC unroll 8
  for (int u = 0; u < U; ++u) sum[u].store(out + u * step);
}
template <int G, int S, int Step> void filter_group_line(const Line& l, std::int64_t n, float* out, std::int64_t out_step) {
  const auto some = [&]<int U>(std::int64_t j) __attribute__((always_inline)) {
    l.fetch<U, 1>(j);
    if constexpr (S == 0)
      filter_groups<G, U>(l, j, out + j * out_step, out_step);
    else
      filter_groups<G, S, Step, U>(l, j, out + j * out_step, out_step);
  };
  slide_along<S>(n, some);
}
template <int G> FOVEA_INLINE FilterLine filter_group_line_for(std::int64_t s, std::int64_t step, std::int64_t tap) {
  if (tap == 1 && step == 1 && s == 1) return filter_group_line<G, 1, 1>;
  if (tap == 1 && step == 1 && s == 2) return filter_group_line<G, 2, 1>;
  if (tap == 1 && step == 1 && s == 3) return filter_group_line<G, 3, 1>;
  if (tap == 1 && step == 2 && s == 3) return filter_group_line<G, 3, 2>;
  return filter_group_line<G, 0, 0>;
}

/// sums[r, t, c] += sum_j d[j] * channel c of row[r][16 (j step + t)]: sums (rows of taps, S, G, 16), each one chain. Taps of a row share a
/// spread pixel where there are registers for their sums.
template <int G, int S, int Step> void correlate_group_line(const Line& l, std::int64_t n, const float* d, float* sums) {
  constexpr int kTaps = kWidth == 16 ? S : 1;
  for (std::int64_t r = l.r0; r < l.r1; ++r)
    for (int t0 = 0; t0 < S; t0 += kTaps) {
      float* at = sums + 16 * G * (r * S + t0);
      const float* row = l.row[r] + l.offset + 16 * t0;
      F16 sum[kTaps][G];
#pragma GCC unroll 24
      for (int k = 0; k < kTaps * G; ++k) sum[k / G][k % G] = F16::load(at + 16 * k);
      const auto some = [&]<int U>(std::int64_t j) __attribute__((always_inline)) {
        if (r == l.r0 && t0 == 0) l.fetch<U, 0>(j);
        F16 dy[U];
#pragma GCC unroll 4
        for (int u = 0; u < U; ++u) dy[u] = F16::load(d + 16 * (j + u));
        const float* x = row + 16 * Step * j;
#pragma GCC unroll 24
        for (int i = 0; i < (U - 1) * Step + kTaps; ++i)
          each_channel<G>(
              F16::load(x + 16 * i), [&]<int C>(const F16& channel) __attribute__((always_inline)) {
#pragma GCC unroll 8
                for (int t = 0; t < kTaps; ++t)
                  if (i >= t && (i - t) % Step == 0 && (i - t) / Step < U) sum[t][C] = fma(dy[(i - t) / Step], channel, sum[t][C]);
              });
      };
      std::int64_t j = 0;
      for (; j + 4 <= n; j += 4) some.template operator()<4>(j);
      for (; j < n; ++j) some.template operator()<1>(j);
#pragma GCC unroll 24
      for (int k = 0; k < kTaps * G; ++k) sum[k / G][k % G].store(at + 16 * k);
    }
}
/// Any S, step and tap.
template <int G> void correlate_any_group_line(const Line& l, std::int64_t n, const float* d, float* sums) {
  for (std::int64_t r = l.r0; r < l.r1; ++r)
    for (std::int64_t t = 0; t < l.s; ++t) {
      float* at = sums + 16 * G * (r * l.s + t);
      const float* x = l.row[r] + l.offset + 16 * t * l.tap;
      F16 sum[G];
#pragma GCC unroll 8
      for (int c = 0; c < G; ++c) sum[c] = F16::load(at + 16 * c);
      for (std::int64_t j = 0; j < n; ++j) {
        const F16 dy = F16::load(d + 16 * j);
        each_channel<G>(
            F16::load(x + 16 * j * l.step), [&]<int C>(const F16& channel)
                                                __attribute__((always_inline)) { sum[C] = fma(dy, channel, sum[C]); });
      }
#pragma GCC unroll 8
      for (int c = 0; c < G; ++c) sum[c].store(at + 16 * c);
    }
}
template <int G> FOVEA_INLINE CorrelateLine correlate_group_line_for(std::int64_t s, std::int64_t step, std::int64_t tap) {
  if (tap == 1 && step == 1 && s == 3) return correlate_group_line<G, 3, 1>;
  if (tap == 1 && step == 2 && s == 3) return correlate_group_line<G, 3, 2>;
  return correlate_any_group_line<G>;
}

/// By the channels of a group.
FOVEA_INLINE FilterLine filter_line_of(std::int64_t group, std::int64_t s, std::int64_t step, std::int64_t tap) {
  return group == 4   ? filter_group_line_for<4>(s, step, tap)
         : group == 8 ? filter_group_line_for<8>(s, step, tap)
                      : filter_line_for(s, step, tap);
}
FOVEA_INLINE CorrelateLine correlate_line_of(std::int64_t group, std::int64_t s, std::int64_t step, std::int64_t tap) {
  return group == 4   ? correlate_group_line_for<4>(s, step, tap)
         : group == 8 ? correlate_group_line_for<8>(s, step, tap)
                      : correlate_line_for(s, step, tap);
}

}   // namespace
}   // namespace fovea::kernels::FOVEA_ISA
