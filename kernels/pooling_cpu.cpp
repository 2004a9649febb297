// pooling_cpu.cpp: means over windows, bins and whole images, 16 channels at a time. Both directions move each array about once.
#include "kernels/cpu/isa.h"
#include "kernels/cpu/pool_windows.h"

namespace fovea::kernels {

template <class T> struct PoolingFunctions {
  void (*windows_forward)(const T*, T*, const Pool2dShape&, AverageDivisor);
  void (*windows_backward)(const T*, T*, const Pool2dShape&, AverageDivisor, bool);
  void (*global_forward)(const T*, T*, GlobalPoolShape);
  void (*global_backward)(const T*, T*, GlobalPoolShape, bool);
};
struct PoolingTable {
  PoolingFunctions<float> f32;
  PoolingFunctions<bfloat16> bf16;
};
FOVEA_ISA_TABLES(PoolingTable, pooling_table)

namespace FOVEA_ISA {
namespace {

/// 1 / divisor of each window: a constant for those that lie inside the image.
struct Shares {
  const Pool2dShape& s;
  AverageDivisor d;
  struct Range {
    std::int64_t first, last;
    Range(const PoolAxis& a)
        : first(a.kernel ? ceil_div(a.pad, a.stride) : a.out), last(a.kernel ? (a.in + a.pad - a.kernel) / a.stride : 0) {}
    FOVEA_INLINE bool has(std::int64_t i) const { return i >= first && i <= last; }
  } rows, columns;
  float inside;
  Shares(const Pool2dShape& shape, AverageDivisor divisor)
      : s(shape), d(divisor), rows(s.rows), columns(s.columns), inside(static_cast<float>(1 / d.of(s, rows.first, columns.first))) {}
  FOVEA_INLINE float of(std::int64_t p, std::int64_t q) const {
    return rows.has(p) && columns.has(q) ? inside : static_cast<float>(1 / d.of(s, p, q));
  }
};

/// Sums of lines are summed: shorter chains, smaller errors.
template <class T> void windows_forward(const T* x, T* y, const Pool2dShape& s, AverageDivisor d) {
  const Shares shares(s, d);
  const bool streamed = streams(y, max(s.inputs(), s.outputs()), s.c);
  for_windows(s, streamed, [&](std::int64_t n, std::int64_t p, std::int64_t q, std::int64_t out) FOVEA_LANES_INLINE {
    const std::int64_t h0 = s.rows.begin(p), h1 = s.rows.end(p), w0 = s.columns.begin(q), w1 = s.columns.end(q);
    const F16 share(shares.of(p, q));
    for_lane_blocks(s.c, [&]<int Blocks>(std::int64_t c, std::int64_t lanes) FOVEA_LANES_INLINE {
      F16 total[Blocks];
      for (std::int64_t h = h0; h < h1; ++h) {
        F16 part[Blocks];
        const T* pixel = x + ((n * s.rows.in + h) * s.columns.in + w0) * s.c + c;
        for (std::int64_t w = w0; w < w1; ++w, pixel += s.c)
          for (int b = 0; b < Blocks; ++b) part[b] = part[b] + load(pixel + 16 * b, lanes);
        for (int b = 0; b < Blocks; ++b) total[b] = total[b] + part[b];
      }
      for (int b = 0; b < Blocks; ++b) store(y + out + c + 16 * b, lanes, total[b] * share, streamed);
    });
  });
}

template <class T> void windows_backward(const T* dy, T* dx, const Pool2dShape& s, AverageDivisor d, bool accumulate) {
  const Shares shares(s, d);
  const bool streamed = streams(dx, s.inputs(), s.c) && !accumulate;
  for_pixels(s, streamed, [&](std::int64_t n, const Seen& rows, const Seen& columns, std::int64_t in) FOVEA_LANES_INLINE {
    for_lane_blocks(s.c, [&]<int Blocks>(std::int64_t c, std::int64_t lanes) FOVEA_LANES_INLINE {
      F16 sum[Blocks];
      for (std::int64_t p = rows.first; p <= rows.last; ++p) {
        const T* grad = dy + ((n * s.rows.out + p) * s.columns.out + columns.first) * s.c + c;
        for (std::int64_t q = columns.first; q <= columns.last; ++q, grad += s.c) {
          const F16 share(shares.of(p, q));
          for (int b = 0; b < Blocks; ++b) sum[b] = fma(load(grad + 16 * b, lanes), share, sum[b]);
        }
      }
      T* target = dx + in + c;
      for (int b = 0; b < Blocks; ++b) store(target + 16 * b, lanes, accumulate ? load(target + 16 * b, lanes) + sum[b] : sum[b], streamed);
    });
  });
}

/// Sums of 64 pixels are summed: shorter chains, smaller errors. 16 pixels at a time, 512 bytes of each: long pieces, as they lie in memory,
/// with few loads and stores of the sums (next to which the hardware foresees less).
template <class T> void global_forward(const T* x, T* y, GlobalPoolShape s) {
  constexpr std::int64_t kBlock = 1024;   // channels whose totals lie on the stack
  constexpr std::int64_t kPixels = 16, kChain = 64;
  const F16 pixels(static_cast<float>(s.pixels));
  parallel_ranges(s.images, max(1, kGrain / max(1, s.pixels * s.c)), [&](std::int64_t first, std::int64_t count) {
    alignas(64) float total[kBlock], part[kBlock];
    for (std::int64_t n = first; n < first + count; ++n)
      for (std::int64_t c0 = 0; c0 < s.c; c0 += kBlock) {
        const std::int64_t channels = min(kBlock, s.c - c0);
        for_lanes(channels, [&](std::int64_t c, std::int64_t) FOVEA_LANES_INLINE { F16().store(total + c); });
        for (std::int64_t begin = 0; begin < s.pixels; begin += kChain) {
          const std::int64_t end = min(begin + kChain, s.pixels);
          for (std::int64_t i = begin; i < end; i += kPixels)
            for_wide_blocks(channels, [&]<int Blocks>(std::int64_t c, std::int64_t lanes) FOVEA_LANES_INLINE {
              F16 sum[Blocks];
              for (int b = 0; b < Blocks && i > begin; ++b) sum[b] = F16::load(part + c + 16 * b);
              for (std::int64_t k = i; k < min(i + kPixels, end); ++k)
                for (int b = 0; b < Blocks; ++b) sum[b] = sum[b] + load(x + (n * s.pixels + k) * s.c + c0 + c + 16 * b, lanes);
              for (int b = 0; b < Blocks; ++b) sum[b].store(part + c + 16 * b);
            });
          for_lanes(channels, [&](std::int64_t c, std::int64_t)
                                  FOVEA_LANES_INLINE { (F16::load(total + c) + F16::load(part + c)).store(total + c); });
        }
        for_lanes(channels, [&](std::int64_t c, std::int64_t lanes)
                                FOVEA_LANES_INLINE { store(y + n * s.c + c0 + c, lanes, F16::load(total + c) / pixels); });
      }
  });
}

template <class T> void global_backward(const T* dy, T* dx, GlobalPoolShape s, bool accumulate) {
  const F16 pixels(static_cast<float>(s.pixels));
  parallel_ranges(s.images * s.pixels, max(1, kGrain / max(1, s.c)), [&](std::int64_t first, std::int64_t count) {
    for (std::int64_t row = first; row < first + count; ++row)
      for_lanes(s.c, [&](std::int64_t c, std::int64_t lanes) FOVEA_LANES_INLINE {
        const F16 share = load(dy + row / s.pixels * s.c + c, lanes) / pixels;
        T* target = dx + row * s.c + c;
        store(target, lanes,
              accumulate ? load(target, lanes) + share : share);   // with nothing to read, going past the caches gains nothing
      });
  });
}

template <class T> constexpr PoolingFunctions<T> functions{windows_forward<T>, windows_backward<T>, global_forward<T>, global_backward<T>};

}   // namespace
const PoolingTable pooling_table{functions<float>, functions<bfloat16>};
}   // namespace FOVEA_ISA

#ifdef FOVEA_BASELINE
template <class T> void avg_pool2d_forward(Cpu, const T* x, T* y, const Pool2dShape& s, AverageDivisor d) {
  for_type<T>(pooling_table()).windows_forward(x, y, s, d);
}
template <class T> void avg_pool2d_backward(Cpu, const T* dy, T* dx, const Pool2dShape& s, AverageDivisor d, bool accumulate) {
  for_type<T>(pooling_table()).windows_backward(dy, dx, s, d, accumulate);
}
template <class T> void global_avg_pool_forward(Cpu, const T* x, T* y, GlobalPoolShape s) {
  for_type<T>(pooling_table()).global_forward(x, y, s);
}
template <class T> void global_avg_pool_backward(Cpu, const T* dy, T* dx, GlobalPoolShape s, bool accumulate) {
  for_type<T>(pooling_table()).global_backward(dy, dx, s, accumulate);
}

#define FOVEA_INSTANTIATE(T)                                                                      \
  template void avg_pool2d_forward(Cpu, const T*, T*, const Pool2dShape&, AverageDivisor);        \
  template void avg_pool2d_backward(Cpu, const T*, T*, const Pool2dShape&, AverageDivisor, bool); \
  template void global_avg_pool_forward(Cpu, const T*, T*, GlobalPoolShape);                      \
  template void global_avg_pool_backward(Cpu, const T*, T*, GlobalPoolShape, bool);
FOVEA_INSTANTIATE(float)
FOVEA_INSTANTIATE(bfloat16)
#undef FOVEA_INSTANTIATE
#endif

}   // namespace fovea::kernels
