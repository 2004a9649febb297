// local_response_norm_cpu.cpp: a piece of a row, or a few short rows, at a time. They are first laid out in a buffer with a margin for the
// neighbours, zeros where there is no channel; then a window is `size` shifted loads, always added in the same order (a running sum would
// be shorter but lose digits).
#include "kernels/local_response_norm.h"

#include "kernels/cpu/isa.h"
#include "kernels/cpu/math.h"
#include "kernels/cpu/rows.h"

namespace fovea::kernels {

template <class T> struct LocalResponseNormFunctions {
  void (*forward)(const T*, LocalResponse, T*, RowShape);
  void (*backward)(const T*, const T*, LocalResponse, T*, RowShape, bool);
};
struct LocalResponseNormTable {
  LocalResponseNormFunctions<float> f32;
  LocalResponseNormFunctions<bfloat16> bf16;
};
FOVEA_ISA_TABLES(LocalResponseNormTable, local_response_norm_table)

namespace FOVEA_ISA {
namespace {

constexpr std::int64_t kTask = kGrain / 4;   // a power costs more than moving its argument
constexpr std::int64_t kPiece = 512;         // channels at a time
constexpr std::int64_t kRows = 8;   // of few channels, at a time: stores to a buffer have to be over before what they wrote is loaded
constexpr std::int64_t kBuffer = kPiece + kRows * (2 * kMaxLocalResponse + 16);   // with margins, and room to store and load whole vectors

/// The channels first .. first + count - 1, of which some may lie outside of 0 .. cols - 1.
struct Span {
  std::int64_t first, count;
};

/// buffer[i] = f(c, lanes) for the channels c = span.first + i, 0 where there is none, and for 16 more past the end.
template <class F> FOVEA_INLINE void lay_out(float* buffer, Span span, std::int64_t cols, const F& f) {
  const std::int64_t begin = max(span.first, 0), end = min(span.first + span.count, cols);
  for (std::int64_t c = span.first; c < begin; ++c) buffer[c - span.first] = 0.f;
  for_lanes(end - begin,
            [&](std::int64_t i, std::int64_t lanes) FOVEA_LANES_INLINE { f(begin + i, lanes).store(buffer + begin + i - span.first); });
  for (std::int64_t i = end - span.first; i < span.count + 16; ++i) buffer[i] = 0.f;
}
template <class T> FOVEA_INLINE void lay_out_around(const T* x, Span span, std::int64_t size, std::int64_t cols, float* buffer) {
  lay_out(buffer, {span.first - size / 2, span.count + size - 1}, cols,
          [&](std::int64_t c, std::int64_t lanes) FOVEA_LANES_INLINE { return load(x + c, lanes); });
}

/// buffer[i] + ... + buffer[i + size - 1] for 16 neighbours i.
FOVEA_INLINE F16 window(const float* buffer, std::int64_t size) {
  F16 sum = F16::load(buffer);
  for (std::int64_t o = 1; o < size; ++o) sum = sum + F16::load(buffer + o);
  return sum;
}
/// The same of squares.
FOVEA_INLINE F16 window_of_squares(const float* buffer, std::int64_t size) {
  F16 sum;
  for (std::int64_t o = 0; o < size; ++o) {
    const F16 v = F16::load(buffer + o);
    sum = fma(v, v, sum);
  }
  return sum;
}

/// d^-beta
struct AnyPower {
  F16 minus_beta;
  FOVEA_INLINE F16 operator()(F16 d) const { return exp(minus_beta * log(d)); }
};
/// The same for beta = 3/4, which is what everybody takes.
struct ThreeQuarters {
  FOVEA_INLINE F16 operator()(F16 d) const {
    const F16 root = inverse_fourth_root(d);
    return root * root * root;
  }
};
/// f(power): the choice is made before the loops start.
template <class F> FOVEA_INLINE void with_power(double beta, const F& f) {
  beta == 0.75 ? f(ThreeQuarters{}) : f(AnyPower{F16(float(-beta))});
}

template <class T, class Power> FOVEA_INLINE void forward_with(const T* x, LocalResponse o, const Power& power, T* y, RowShape s) {
  const F16 k(float(o.k)), share(float(o.alpha / double(o.size)));
  const bool streamed = streams(y, s.rows * s.cols, s.cols);
  const std::int64_t rows = max(1, min(kRows, kPiece / max(1, s.cols)));
  parallel_ranges(s.rows, max(rows, kTask / max(1, s.cols)), [&](std::int64_t begin, std::int64_t count) {
    alignas(64) float around[kBuffer];
    for (std::int64_t row = begin; row < begin + count; row += rows)
      for (std::int64_t first = 0; first < s.cols; first += kPiece) {
        const Span piece{first, min(kPiece, s.cols - first)};
        const std::int64_t last = min(row + rows, begin + count), stride = piece.count + o.size - 1 + 16;
        for (std::int64_t r = row; r < last; ++r) lay_out_around(x + r * s.cols, piece, o.size, s.cols, around + (r - row) * stride);
        for (std::int64_t r = row; r < last; ++r)
          for_lane_blocks(piece.count, [&]<int Blocks>(std::int64_t i, std::int64_t lanes) FOVEA_LANES_INLINE {
            const float* from = around + (r - row) * stride + i;
            F16 d[Blocks];
            for (int b = 0; b < Blocks; ++b) d[b] = power(fma(share, window_of_squares(from + 16 * b, o.size), k));
            for (int b = 0; b < Blocks; ++b)
              store(y + r * s.cols + first + i + 16 * b, lanes, F16::load(from + o.size / 2 + 16 * b) * d[b], streamed);
          });
      }
    stream_fence(streamed);
  });
}
template <class T> void forward(const T* x, LocalResponse o, T* y, RowShape s) {
  with_power(o.beta, [&](const auto& power) { forward_with(x, o, power, y, s); });
}

template <class T, class Power>
FOVEA_INLINE void backward_with(const T* x, const T* dy, LocalResponse o, const Power& power, T* dx, RowShape s, bool accumulate) {
  const F16 k(float(o.k)), share(float(o.alpha / double(o.size))), slope(float(-2 * o.alpha * o.beta / double(o.size)));
  const std::int64_t before = (o.size - 1) / 2;
  parallel_rows(s, kTask, [&](std::int64_t r) {
    const T *row = x + r * s.cols, *g = dy + r * s.cols;
    T* out = dx + r * s.cols;
    float near[kBuffer], direct[kBuffer], shares[kBuffer];   // x; dy d^-beta; dy x d^(-beta - 1)
    for (std::int64_t first = 0; first < s.cols; first += kPiece) {
      const Span piece{first, min(kPiece, s.cols - first)}, around{first - before, piece.count + o.size - 1};
      lay_out_around(row, around, o.size, s.cols, near);
      lay_out(shares, around, s.cols, [&](std::int64_t c, std::int64_t lanes) FOVEA_LANES_INLINE {
        const std::int64_t i = c - around.first;
        const F16 d = fma(share, window_of_squares(near + i, o.size), k), gd = load(g + c, lanes) * power(d);
        gd.store(direct + i);
        return gd * load(row + c, lanes) / d;
      });
      for_lanes(piece.count, [&](std::int64_t i, std::int64_t lanes) FOVEA_LANES_INLINE {
        const F16 scaled = slope * load(row + first + i, lanes);
        const F16 gradient = fma(scaled, window(shares + i, o.size), F16::load(direct + before + i));
        store(out + first + i, lanes, accumulate ? load(out + first + i, lanes) + gradient : gradient);
      });
    }
  });
}
template <class T> void backward(const T* x, const T* dy, LocalResponse o, T* dx, RowShape s, bool accumulate) {
  with_power(o.beta, [&](const auto& power) { backward_with(x, dy, o, power, dx, s, accumulate); });
}

template <class T> constexpr LocalResponseNormFunctions<T> functions{forward<T>, backward<T>};

}   // namespace
const LocalResponseNormTable local_response_norm_table{functions<float>, functions<bfloat16>};
}   // namespace FOVEA_ISA

#ifdef FOVEA_BASELINE
template <class T> void local_response_norm_forward(Cpu, const T* x, LocalResponse o, T* y, RowShape s) {
  for_type<T>(local_response_norm_table()).forward(x, o, y, s);
}
template <class T> void local_response_norm_backward(Cpu, const T* x, const T* dy, LocalResponse o, T* dx, RowShape s, bool accumulate) {
  for_type<T>(local_response_norm_table()).backward(x, dy, o, dx, s, accumulate);
}

#define FOVEA_INSTANTIATE(T)                                                             \
  template void local_response_norm_forward(Cpu, const T*, LocalResponse, T*, RowShape); \
  template void local_response_norm_backward(Cpu, const T*, const T*, LocalResponse, T*, RowShape, bool);
FOVEA_INSTANTIATE(float)
FOVEA_INSTANTIATE(bfloat16)
#undef FOVEA_INSTANTIATE
#endif

}   // namespace fovea::kernels
