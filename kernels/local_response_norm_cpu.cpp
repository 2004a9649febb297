// local_response_norm_cpu.cpp: a window of channels is `size` shifted loads of the row, 16 channels at a time; at the ends of the row
// only what lies in it is loaded. With AVX-512 a window of 5, as everybody has it, is shifted in registers. What paces it is not memory but the
// unit that multiplies: for 16 channels one square, a multiply-add and 13 operations for the power.
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

/// row[c], ..., row[c + 15], 0 where there is no such channel.
template <class T> FOVEA_INLINE F16 load_within(const T* row, std::int64_t c, std::int64_t cols) {
  const std::int64_t first = max(0, -c), end = min(16, cols - c);
  if (end - first == 16) return F16::load(row + c);
  return first < end ? F16::load_range(row + c, first, end) : F16();
}

/// The sum of x^2 over the `size` channels around c, for 16 neighbours c: rounded squares, always added in the same order (a running sum would be
/// shorter, but lose digits).
template <class T> FOVEA_INLINE F16 window_of_squares(const T* row, std::int64_t c, std::int64_t size, std::int64_t cols) {
  const std::int64_t first = c - size / 2;
  F16 sum;
  if (first >= 0 && first + size + 15 <= cols)
    for (std::int64_t o = 0; o < size; ++o) {
      const F16 v = F16::load(row + first + o);
      sum = sum + v * v;
    }
  else
    for (std::int64_t o = 0; o < size; ++o) {
      const F16 v = load_within(row, first + o, cols);
      sum = sum + v * v;
    }
  return sum;
}

/// The same along a row, for c = 0, 16, 32, ... in this order. Size is known to the compiler, or 0.
template <int Size, class T> struct Windows {
  const T* row;
  std::int64_t any_size, cols;
  FOVEA_INLINE Windows(const T* r, std::int64_t size, std::int64_t n) : row(r), any_size(size), cols(n) {}
  FOVEA_INLINE F16 at(std::int64_t c) { return window_of_squares(row, c, Size ? Size : any_size, cols); }
};
#if defined(__AVX512F__)
template <class T> struct Windows<5, T> {   // each square is computed once
  const T* row;
  std::int64_t cols;
  __m512i before, here;
  FOVEA_INLINE Windows(const T* r, std::int64_t, std::int64_t n) : row(r), cols(n), before{}, here(squares(0)) {}
  FOVEA_INLINE __m512i squares(std::int64_t c) const {
    const F16 v = load_within(row, c, cols);
    return (__m512i)(v * v).v[0];
  }
  template <int Lanes> FOVEA_INLINE static Native shifted(__m512i high, __m512i low) {
    return (Native)_mm512_maskz_alignr_epi32(0xffff, high, low, Lanes);   // unmasked, but GCC 12 does not warn
  }
  FOVEA_INLINE F16 at(std::int64_t c) {
    const __m512i behind = squares(c + 16);
    F16 sum;
    sum.v[0] = shifted<14>(here, before) + shifted<15>(here, before) + (Native)here + shifted<1>(behind, here) + shifted<2>(behind, here);
    before = here, here = behind;
    return sum;
  }
};
#endif

/// v d^-beta
struct AnyPower {
  F16 minus_beta;
  FOVEA_INLINE F16 operator()(F16 v, F16 d) const { return v * exp(minus_beta * log(d)); }
};
/// The same for beta = 3/4, which is what everybody takes.
struct ThreeQuarters {
  FOVEA_INLINE F16 operator()(F16 v, F16 d) const { return times_power_minus_three_quarters(v, d); }
};
/// f(power): the choice is made before the loops start.
template <class F> FOVEA_INLINE void with_power(double beta, const F& f) {
  beta == 0.75 ? f(ThreeQuarters{}) : f(AnyPower{F16(float(-beta))});
}

template <int Size, class T, class Power>
FOVEA_INLINE void forward_with(const T* x, LocalResponse o, const Power& power, T* y, RowShape s) {
  const F16 k(float(o.k)), share(float(o.alpha / double(o.size)));
  const bool streamed = streams(y, s.rows * s.cols, s.cols);
  const auto row_forward = [&](std::int64_t r) FOVEA_LANES_INLINE {
    const T* row = x + r * s.cols;
    T* out = y + r * s.cols;
    Windows<Size, T> windows(row, o.size, s.cols);
    for_lane_blocks(s.cols, [&]<int Blocks>(std::int64_t c, std::int64_t lanes) FOVEA_LANES_INLINE {
      F16 d[Blocks];
      for (int b = 0; b < Blocks; ++b) d[b] = fma(share, windows.at(c + 16 * b), k);
      for (int b = 0; b < Blocks; ++b) store(out + c + 16 * b, lanes, power(load(row + c + 16 * b, lanes), d[b]), streamed);
    });
  };
  parallel_rows(s, kTask, row_forward, streamed);
}
template <class T> void forward(const T* x, LocalResponse o, T* y, RowShape s) {
  with_power(o.beta, [&](const auto& power) { o.size == 5 ? forward_with<5>(x, o, power, y, s) : forward_with<0>(x, o, power, y, s); });
}

constexpr std::int64_t kPiece = 512;                                    // channels at a time
constexpr std::int64_t kBuffer = kPiece + kMaxLocalResponse - 1 + 16;   // with neighbours, and room to store and load whole vectors

/// buffer[i] = f(c, lanes) for the channels c = first + i of first .. first + count - 1, 0 where there is none, and for 16 more past the end.
template <class F> FOVEA_INLINE void lay_out(float* buffer, std::int64_t first, std::int64_t count, std::int64_t cols, const F& f) {
  const std::int64_t begin = max(first, 0), end = min(first + count, cols);
  for (std::int64_t c = first; c < begin; ++c) buffer[c - first] = 0.f;
  for_lanes(end - begin,
            [&](std::int64_t i, std::int64_t lanes) FOVEA_LANES_INLINE { f(begin + i, lanes).store(buffer + begin + i - first); });
  for (std::int64_t i = end - first; i < count + 16; ++i) buffer[i] = 0.f;
}

/// buffer[i] + ... + buffer[i + size - 1] for 16 neighbours i.
FOVEA_INLINE F16 window(const float* buffer, std::int64_t size) {
  F16 sum = F16::load(buffer);
  for (std::int64_t o = 1; o < size; ++o) sum = sum + F16::load(buffer + o);
  return sum;
}

/// A piece of a row at a time: what its windows add up is first laid out in a buffer with a margin for the neighbours.
template <class T, class Power>
FOVEA_INLINE void backward_with(const T* x, const T* dy, LocalResponse o, const Power& power, T* dx, RowShape s, bool accumulate) {
  const F16 k(float(o.k)), share(float(o.alpha / double(o.size))), slope(float(-2 * o.alpha * o.beta / double(o.size)));
  const std::int64_t before = (o.size - 1) / 2;
  parallel_rows(s, kTask, [&](std::int64_t r) {
    const T *row = x + r * s.cols, *g = dy + r * s.cols;
    T* out = dx + r * s.cols;
    float direct[kBuffer], shares[kBuffer];   // dy d^-beta; dy x d^(-beta - 1)
    for (std::int64_t begin = 0; begin < s.cols; begin += kPiece) {
      const std::int64_t count = min(kPiece, s.cols - begin), first = begin - before;
      lay_out(shares, first, count + o.size - 1, s.cols, [&](std::int64_t c, std::int64_t lanes) FOVEA_LANES_INLINE {
        const F16 d = fma(share, window_of_squares(row, c, o.size, s.cols), k), gd = power(load(g + c, lanes), d);
        gd.store(direct + c - first);
        return gd * load(row + c, lanes) / d;
      });
      for_lanes(count, [&](std::int64_t i, std::int64_t lanes) FOVEA_LANES_INLINE {
        const F16 scaled = slope * load(row + begin + i, lanes);
        const F16 gradient = fma(scaled, window(shares + i, o.size), F16::load(direct + before + i));
        store(out + begin + i, lanes, accumulate ? load(out + begin + i, lanes) + gradient : gradient);
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
