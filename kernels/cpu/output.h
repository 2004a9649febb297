// output.h: where the outputs of a product lie in memory, and what a sum takes on its way there: the epilogue of fusion.h, then rounding.
//
// A tile takes it in the registers that hold its sums (Finish), if the activation is a few instructions. One with exp or a quotient wants the
// registers for itself: there the sums wait in a scratch tile in the first-level cache (finish_rows). Both do
//
//   y[i, n] = act(fma(scale[n], sum[i, n], shift[n]) + residual[i, n])
//
// with 1 for a scale that is not there and -0 for a shift: 1 v + -0 is v, bit for bit.
#pragma once

#include "kernels/cpu/patches.h"

namespace fovea::kernels::FOVEA_ISA {
namespace {

/// Y[m, n] lies at y[image * image_step + i * row_step + j * pixel_step + n].
template <class TC> struct Output {
  TC* y;
  std::int64_t image_step, row_step, pixel_step;
  Epilogue<TC> e;
  std::int64_t partials_n = 0;   // channels of a row of e.partials

  /// What is added: y itself where the product accumulates.
  FOVEA_INLINE const TC* residual() const { return e.accumulate ? y : e.residual; }
};

/// Nothing but the sum is to be written.
template <class TC> FOVEA_INLINE bool plain(const Epilogue<TC>& e) {
  return !e.scale && !e.shift && !e.residual && e.activation == Activation::none && !e.accumulate;
}

template <class V> FOVEA_INLINE V scale_or_1(const float* scale, std::int64_t channel, std::int64_t n) {
  return scale ? load_some<V>(scale + channel, n) : V(1.f);
}
template <class V> FOVEA_INLINE V shift_or_0(const float* shift, std::int64_t channel, std::int64_t n) {
  return shift ? load_some<V>(shift + channel, n) : V(-0.f);
}

/// Finished sums in memory, `rows` of them `width` floats apart, to channels [channel, channel + cols) of the rows of y that begin at
/// row(0), row(1), ... A loop for each activation.
template <class TC, class Row>
[[gnu::noinline]] void finish_rows(const float* sums, std::int64_t width, std::int64_t rows, std::int64_t cols, std::int64_t channel,
                                   const Output<TC>& out, const Row& row) {
  const TC* residual = out.residual();
  with_formula(
      out.e.activation, [&](auto formula) __attribute__((always_inline)) {
        for (std::int64_t j = 0; j < cols; j += 16) {
          const std::int64_t n = cols - j, c = channel + j;
          const F16 scale = scale_or_1<F16>(out.e.scale, c, n), shift = shift_or_0<F16>(out.e.shift, c, n);
          for (std::int64_t i = 0; i < rows; ++i) {
            F16 v = fma(scale, load_some(sums + i * width + j, n), shift);
            if (residual) v = v + load_some(residual + row(i) + c, n);
            store_some(out.y + row(i) + c, formula.value(v), n);
          }
        }
      });
}

/// Can a register tile take this epilogue where it is?
template <class TC> FOVEA_INLINE bool finishes_in_registers(const Epilogue<TC>& e) {
  return with_formula(
      e.activation, [](auto formula) __attribute__((always_inline)) { return decltype(formula)::kFewInstructions; });
}

/// How the micro-kernel ends (micro_kernel.h) where the sums are whole: row i of the tile to y[at[i] + channel ..].
template <class TC> struct Finish {
  const Output<TC>& out;
  const std::int64_t* at;    // where the tile's rows begin in y
  std::int64_t channel;      // of the tile's first column
  std::int64_t rows, cols;   // of the tile that y has

  template <int NV> FOVEA_INLINE void prefetch() const {
    for (std::int64_t i = 0; i < rows; ++i)
      for (int j = 0; j < NV * kWidth; j += 16) __builtin_prefetch(out.y + at[i] + channel + j, 1);
    if (out.e.residual)
      for (std::int64_t i = 0; i < rows; ++i)
        for (int j = 0; j < NV * kWidth; j += 16) __builtin_prefetch(out.e.residual + at[i] + channel + j);
  }
  template <int MR, int NV> FOVEA_INLINE void write(Tile<MR, NV>& acc) const {
    const bool whole = rows == MR && cols == NV * kWidth;
    whole ? finish<true, MR, NV>(acc) : finish<false, MR, NV>(acc);
  }

 private:
  template <bool kWhole, int MR, int NV> FOVEA_INLINE void finish(Tile<MR, NV>& acc) const {
    using V = Lanes<NV>;
    const Epilogue<TC>& e = out.e;
    const std::int64_t n = kWhole ? V::kCount : cols;
    if (e.scale || e.shift) {
      const V scale = scale_or_1<V>(e.scale, channel, n), shift = shift_or_0<V>(e.shift, channel, n);
      map<MR, NV>(
          acc, [&](V v, int) __attribute__((always_inline)) { return fma(scale, v, shift); });
    }
    if (const TC* residual = out.residual())
      map<MR, NV>(
          acc, [&](V v, int i)
                   __attribute__((always_inline)) { return kWhole || i < rows ? v + load_some<V>(residual + at[i] + channel, n) : v; });
    with_formula(
        e.activation, [&]<class F>(F formula) __attribute__((always_inline)) {
          if constexpr (F::kFewInstructions && !std::is_same_v<F, Identity>)
            map<MR, NV>(
                acc, [&](V v, int) __attribute__((always_inline)) { return formula.value(v); });
        });
    map<MR, NV>(
        acc, [&](V v, int i) __attribute__((always_inline)) {
          if (kWhole || i < rows) store_some(out.y + at[i] + channel, v, n);
          return v;
        });
  }
  /// acc[i] = f(acc[i], i), in registers.
  template <int MR, int NV, class F> FOVEA_INLINE static void map(Tile<MR, NV>& acc, const F& f) {
#pragma GCC unroll 16
    for (int i = 0; i < MR; ++i) {
      Lanes<NV> row;
#pragma GCC unroll 2
      for (int j = 0; j < NV; ++j) row.v[j] = acc[i][j];
      row = f(row, i);
#pragma GCC unroll 2
      for (int j = 0; j < NV; ++j) acc[i][j] = row.v[j];
    }
  }
};

}   // namespace
}   // namespace fovea::kernels::FOVEA_ISA
