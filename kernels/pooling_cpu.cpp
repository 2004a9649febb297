// pooling_cpu.cpp: max pooling and global average pooling, 16 channels at a time. Neighbouring windows overlap in cache, so
// both directions read and write each array about once.
#include "kernels/pooling.h"

#include "kernels/cpu/isa.h"
#include "kernels/cpu/map.h"

namespace fovea::kernels {

template <class T> struct PoolingFunctions {
  void (*max_forward)(const T*, T*, std::uint8_t*, const Pool2dShape&);
  void (*max_backward)(const T*, const std::uint8_t*, T*, const Pool2dShape&, bool);
  void (*average_forward)(const T*, T*, GlobalPoolShape);
  void (*average_backward)(const T*, T*, GlobalPoolShape, bool);
};
struct PoolingTable {
  PoolingFunctions<float> f32;
  PoolingFunctions<bfloat16> bf16;
};
FOVEA_ISA_TABLES(PoolingTable, pooling_table)

namespace FOVEA_ISA {
namespace {

typedef std::uint8_t NativeByte __attribute__((vector_size(kWidth)));

/// 16 places in a window, as integers.
struct Places {
  NativeInt v[F16::kParts];

  FOVEA_INLINE static Places all(std::int64_t place) {
    Places r;
    for (auto& part : r.v) part = NativeInt{} + std::int32_t(place);
    return r;
  }
  FOVEA_INLINE static Places load(const std::uint8_t* p) {
    Places r;
    for (int i = 0; i < F16::kParts; ++i) {
      NativeByte bytes;
      __builtin_memcpy(&bytes, p + i * kWidth, sizeof bytes);
      r.v[i] = __builtin_convertvector(bytes, NativeInt);
    }
    return r;
  }
  FOVEA_INLINE void store(std::uint8_t* p) const {
    for (int i = 0; i < F16::kParts; ++i) {
      const NativeByte bytes = __builtin_convertvector(v[i], NativeByte);
      __builtin_memcpy(p + i * kWidth, &bytes, sizeof bytes);
    }
  }
};
/// The first n of them, from p or to p.
FOVEA_INLINE Places load_places(const std::uint8_t* p, std::int64_t n) {
  if (n == 16) return Places::load(p);
  std::uint8_t lanes[16];
  for (int i = 0; i < 16; ++i) lanes[i] = i < n ? p[i] : 0;
  return Places::load(lanes);
}
FOVEA_INLINE void store_places(std::uint8_t* p, std::int64_t n, const Places& places) {
  if (n == 16) return places.store(p);
  std::uint8_t lanes[16];
  places.store(lanes);
  for (int i = 0; i < n; ++i) p[i] = lanes[i];
}

/// Where value > best, or value is the first NaN: best = value and place = here.
FOVEA_INLINE void take_larger(F16 value, std::int64_t here, F16& best, Places& place) {
  for (int i = 0; i < F16::kParts; ++i) {
    const NativeInt take = ~(NativeInt)(value.v[i] <= best.v[i]) & (NativeInt)(best.v[i] == best.v[i]);
    best.v[i] = (Native)((take & (NativeInt)value.v[i]) | (~take & (NativeInt)best.v[i]));
    place.v[i] = (take & std::int32_t(here)) | (~take & place.v[i]);
  }
}

/// x where place == here, else 0.
FOVEA_INLINE F16 where_equal(const Places& place, std::int64_t here, F16 x) {
  for (int i = 0; i < F16::kParts; ++i) x.v[i] = (Native)((NativeInt)(place.v[i] == std::int32_t(here)) & (NativeInt)x.v[i]);
  return x;
}

template <class T> void max_forward(const T* x, T* y, std::uint8_t* which, const Pool2dShape& s) {
  const std::int64_t height = s.p(), width = s.q();
  parallel_ranges(s.n * height, max(1, kGrain / max(1, width * s.c)), [&](std::int64_t first, std::int64_t count) {
    for (std::int64_t line = first; line < first + count; ++line) {
      const std::int64_t n = line / height, h = line % height * s.stride_h - s.pad_h;   // the window's top, -pad_h at least
      const std::int64_t i_begin = max(0, -h), i_end = min(s.kernel_h, s.h - h);        // its lines inside the image
      for (std::int64_t q = 0; q < width; ++q) {
        const std::int64_t w = q * s.stride_w - s.pad_w;
        const std::int64_t j_begin = max(0, -w), j_end = min(s.kernel_w, s.w - w);
        const std::int64_t window = ((n * s.h + h) * s.w + w) * s.c;
        const std::int64_t out = (line * width + q) * s.c;
        for_lane_blocks(s.c, [&]<int Blocks>(std::int64_t c, std::int64_t lanes) FOVEA_LANES_INLINE {
          F16 best[Blocks];
          Places place[Blocks];
          const auto pixel = [&](std::int64_t i, std::int64_t j, int b)
                                 FOVEA_LANES_INLINE { return load(x + window + (i * s.w + j) * s.c + c + 16 * b, lanes); };
          for (int b = 0; b < Blocks; ++b) {
            best[b] = pixel(i_begin, j_begin, b);
            place[b] = Places::all(i_begin * s.kernel_w + j_begin);
          }
          for (std::int64_t i = i_begin; i < i_end; ++i)
            for (std::int64_t j = j_begin; j < j_end; ++j)
              for (int b = 0; b < Blocks; ++b) take_larger(pixel(i, j, b), i * s.kernel_w + j, best[b], place[b]);
          for (int b = 0; b < Blocks; ++b) {
            store(y + out + c + 16 * b, lanes, best[b]);
            store_places(which + out + c + 16 * b, lanes, place[b]);
          }
        });
      }
    }
  });
}

/// The windows (first..last) along one axis that see the pixel at `position`, and where pixel and window meet.
struct Windows {
  std::int64_t first, last, place_in_first;
  FOVEA_INLINE Windows(std::int64_t position, std::int64_t pad, std::int64_t kernel, std::int64_t stride, std::int64_t count) {
    const std::int64_t padded = position + pad;
    first = padded < kernel ? 0 : (padded - kernel) / stride + 1;
    last = min(padded / stride, count - 1);
    place_in_first = padded - first * stride;
  }
};

template <class T> void max_backward(const T* dy, const std::uint8_t* which, T* dx, const Pool2dShape& s, bool accumulate) {
  const std::int64_t height = s.p(), width = s.q();
  parallel_ranges(s.n * s.h, max(1, kGrain / max(1, s.w * s.c)), [&](std::int64_t first, std::int64_t count) {
    for (std::int64_t line = first; line < first + count; ++line) {
      const std::int64_t n = line / s.h;
      const Windows rows(line % s.h, s.pad_h, s.kernel_h, s.stride_h, height);
      for (std::int64_t w = 0; w < s.w; ++w) {
        const Windows columns(w, s.pad_w, s.kernel_w, s.stride_w, width);
        for_lane_blocks(s.c, [&]<int Blocks>(std::int64_t c, std::int64_t lanes) FOVEA_LANES_INLINE {
          F16 sum[Blocks];
          std::int64_t i = rows.place_in_first;
          for (std::int64_t p = rows.first; p <= rows.last; ++p, i -= s.stride_h) {
            std::int64_t j = columns.place_in_first;
            for (std::int64_t q = columns.first; q <= columns.last; ++q, j -= s.stride_w) {
              const std::int64_t out = ((n * height + p) * width + q) * s.c + c;
              for (int b = 0; b < Blocks; ++b)
                sum[b] = sum[b] + where_equal(load_places(which + out + 16 * b, lanes), i * s.kernel_w + j, load(dy + out + 16 * b, lanes));
            }
          }
          T* target = dx + (line * s.w + w) * s.c + c;
          for (int b = 0; b < Blocks; ++b) store(target + 16 * b, lanes, accumulate ? load(target + 16 * b, lanes) + sum[b] : sum[b]);
        });
      }
    }
  });
}

/// Sums of 64 pixels are summed: shorter chains, smaller errors.
template <class T> void average_forward(const T* x, T* y, GlobalPoolShape s) {
  const F16 pixels(static_cast<float>(s.pixels));
  parallel_ranges(s.images, max(1, kGrain / max(1, s.pixels * s.c)), [&](std::int64_t first, std::int64_t count) {
    for (std::int64_t n = first; n < first + count; ++n)
      for_lane_blocks(s.c, [&]<int Blocks>(std::int64_t c, std::int64_t lanes) FOVEA_LANES_INLINE {
        F16 total[Blocks];
        for (std::int64_t begin = 0; begin < s.pixels; begin += 64) {
          F16 part[Blocks];
          for (std::int64_t i = begin; i < min(begin + 64, s.pixels); ++i)
            for (int b = 0; b < Blocks; ++b) part[b] = part[b] + load(x + (n * s.pixels + i) * s.c + c + 16 * b, lanes);
          for (int b = 0; b < Blocks; ++b) total[b] = total[b] + part[b];
        }
        for (int b = 0; b < Blocks; ++b) store(y + n * s.c + c + 16 * b, lanes, total[b] / pixels);
      });
  });
}

template <class T> void average_backward(const T* dy, T* dx, GlobalPoolShape s, bool accumulate) {
  const F16 pixels(static_cast<float>(s.pixels));
  parallel_ranges(s.images * s.pixels, max(1, kGrain / max(1, s.c)), [&](std::int64_t first, std::int64_t count) {
    for (std::int64_t row = first; row < first + count; ++row)
      for_lanes(s.c, [&](std::int64_t c, std::int64_t lanes) FOVEA_LANES_INLINE {
        const F16 share = load(dy + row / s.pixels * s.c + c, lanes) / pixels;
        T* target = dx + row * s.c + c;
        store(target, lanes, accumulate ? load(target, lanes) + share : share);
      });
  });
}

template <class T> constexpr PoolingFunctions<T> functions{max_forward<T>, max_backward<T>, average_forward<T>, average_backward<T>};

}   // namespace
const PoolingTable pooling_table{functions<float>, functions<bfloat16>};
}   // namespace FOVEA_ISA

#ifdef FOVEA_BASELINE
template <class T> void max_pool2d_forward(Cpu, const T* x, T* y, std::uint8_t* which, const Pool2dShape& s) {
  for_type<T>(pooling_table()).max_forward(x, y, which, s);
}
template <class T> void max_pool2d_backward(Cpu, const T* dy, const std::uint8_t* which, T* dx, const Pool2dShape& s, bool accumulate) {
  for_type<T>(pooling_table()).max_backward(dy, which, dx, s, accumulate);
}
template <class T> void global_avg_pool_forward(Cpu, const T* x, T* y, GlobalPoolShape s) {
  for_type<T>(pooling_table()).average_forward(x, y, s);
}
template <class T> void global_avg_pool_backward(Cpu, const T* dy, T* dx, GlobalPoolShape s, bool accumulate) {
  for_type<T>(pooling_table()).average_backward(dy, dx, s, accumulate);
}

#define FOVEA_INSTANTIATE(T)                                                                           \
  template void max_pool2d_forward(Cpu, const T*, T*, std::uint8_t*, const Pool2dShape&);              \
  template void max_pool2d_backward(Cpu, const T*, const std::uint8_t*, T*, const Pool2dShape&, bool); \
  template void global_avg_pool_forward(Cpu, const T*, T*, GlobalPoolShape);                           \
  template void global_avg_pool_backward(Cpu, const T*, T*, GlobalPoolShape, bool);
FOVEA_INSTANTIATE(float)
FOVEA_INSTANTIATE(bfloat16)
#undef FOVEA_INSTANTIATE
#endif

}   // namespace fovea::kernels
