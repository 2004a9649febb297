// local_response_norm_cpu.cpp: a piece of a row at a time. What the windows sum is first laid out in a buffer with a margin for the
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

constexpr std::int64_t kTask = kGrain / 4;                              // a power costs more than moving its argument
constexpr std::int64_t kPiece = 512;                                    // channels at a time
constexpr std::int64_t kBuffer = kPiece + 2 * kMaxLocalResponse + 16;   // two margins, and room to store and load whole vectors

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

/// buffer[i] + ... + buffer[i + size - 1] for 16 neighbours i.
FOVEA_INLINE F16 window(const float* buffer, std::int64_t size) {
  F16 sum = F16::load(buffer);
  for (std::int64_t o = 1; o < size; ++o) sum = sum + F16::load(buffer + o);
  return sum;
}

FOVEA_INLINE F16 power(F16 d, float exponent) { return exp(F16(exponent) * log(d)); }

template <class T> FOVEA_INLINE void squares_around(const T* x, Span span, std::int64_t size, std::int64_t cols, float* squares) {
  lay_out(squares, {span.first - size / 2, span.count + size - 1}, cols, [&](std::int64_t c, std::int64_t lanes) FOVEA_LANES_INLINE {
    const F16 v = load(x + c, lanes);
    return v * v;
  });
}

template <class T> void forward(const T* x, LocalResponse o, T* y, RowShape s) {
  const F16 k(float(o.k)), share(float(o.alpha / double(o.size)));
  parallel_rows(s, kTask, [&](std::int64_t r) {
    const T* row = x + r * s.cols;
    T* out = y + r * s.cols;
    float squares[kBuffer];
    for (std::int64_t first = 0; first < s.cols; first += kPiece) {
      const Span piece{first, min(kPiece, s.cols - first)};
      squares_around(row, piece, o.size, s.cols, squares);
      for_lanes(piece.count, [&](std::int64_t i, std::int64_t lanes) FOVEA_LANES_INLINE {
        const F16 d = fma(share, window(squares + i, o.size), k);
        store(out + first + i, lanes, load(row + first + i, lanes) * power(d, float(-o.beta)));
      });
    }
  });
}

template <class T> void backward(const T* x, const T* dy, LocalResponse o, T* dx, RowShape s, bool accumulate) {
  const F16 k(float(o.k)), share(float(o.alpha / double(o.size))), slope(float(-2 * o.alpha * o.beta / double(o.size)));
  const std::int64_t before = (o.size - 1) / 2;
  parallel_rows(s, kTask, [&](std::int64_t r) {
    const T *row = x + r * s.cols, *g = dy + r * s.cols;
    T* out = dx + r * s.cols;
    float squares[kBuffer], direct[kBuffer], shares[kBuffer];   // x^2; dy d^-beta; dy x d^(-beta - 1)
    for (std::int64_t first = 0; first < s.cols; first += kPiece) {
      const Span piece{first, min(kPiece, s.cols - first)}, around{first - before, piece.count + o.size - 1};
      squares_around(row, around, o.size, s.cols, squares);
      lay_out(shares, around, s.cols, [&](std::int64_t c, std::int64_t lanes) FOVEA_LANES_INLINE {
        const std::int64_t i = c - around.first;
        const F16 d = fma(share, window(squares + i, o.size), k), gd = load(g + c, lanes) * power(d, float(-o.beta));
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
