// pooling_max_cpu.cpp: max pooling, 16 channels at a time. Neighbouring windows overlap in cache, so both directions read and write each
// array about once: 4 bytes a pixel of x or dx, 5 an output (value and place). The backward pass is a gather: each pixel compares the
// stored places of the few windows that see it (1 to 4 for a 3x3 with stride 2) with its own place in them.
#include "kernels/cpu/isa.h"
#include "kernels/cpu/pool_windows.h"

namespace fovea::kernels {

template <class T, class Place> struct MaxPoolFunctions {
  void (*forward)(const T*, T*, Place*, const Pool2dShape&);
  void (*backward)(const T*, const Place*, T*, const Pool2dShape&, bool);
};
template <class T> struct MaxPoolPlaces {
  MaxPoolFunctions<T, std::uint8_t> bytes;
  MaxPoolFunctions<T, std::int64_t> wide;
  const auto& of(const std::uint8_t*) const { return bytes; }
  const auto& of(const std::int64_t*) const { return wide; }
};
struct MaxPoolTable {
  MaxPoolPlaces<float> f32;
  MaxPoolPlaces<bfloat16> bf16;
};
FOVEA_ISA_TABLES(MaxPoolTable, max_pool_table)

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
#if defined(__AVX512F__)   // GCC 12 converts bytes one by one, and warns without a mask
      r.v[i] = (NativeInt)_mm512_maskz_cvtepu8_epi32(0xffff, _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
#elif defined(__AVX2__)
      r.v[i] = (NativeInt)_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p + i * kWidth)));
#else
      NativeByte bytes;
      __builtin_memcpy(&bytes, p + i * kWidth, sizeof bytes);
      r.v[i] = __builtin_convertvector(bytes, NativeInt);
#endif
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
FOVEA_INLINE Places load_places(const std::int64_t* p, std::int64_t n) {
  Places r = Places::all(-1);
  for (int i = 0; i < n; ++i) r.v[i / kWidth][i % kWidth] = std::int32_t(p[i]);
  return r;
}
FOVEA_INLINE void store_places(std::int64_t* p, std::int64_t n, const Places& places) {
  for (int i = 0; i < n; ++i) p[i] = places.v[i / kWidth][i % kWidth];
}

/// Where value > best, or value is the first NaN: best = value and place = here.
FOVEA_INLINE void take_larger(F16 value, std::int64_t here, F16& best, Places& place) {
  for (int i = 0; i < F16::kParts; ++i) {
#if defined(__AVX512F__)
    const __m512 a = (__m512)value.v[i], b = (__m512)best.v[i];
    const __mmask16 take = _mm512_mask_cmp_ps_mask(_mm512_cmp_ps_mask(b, b, _CMP_ORD_Q), a, b, _CMP_NLE_UQ);
    best.v[i] = (Native)_mm512_mask_mov_ps(b, take, a);
    place.v[i] = (NativeInt)_mm512_mask_mov_epi32((__m512i)place.v[i], take, (__m512i)(NativeInt{} + std::int32_t(here)));
#else
    const NativeInt take = ~(NativeInt)(value.v[i] <= best.v[i]) & (NativeInt)(best.v[i] == best.v[i]);
    best.v[i] = (Native)((take & (NativeInt)value.v[i]) | (~take & (NativeInt)best.v[i]));
    place.v[i] = (take & std::int32_t(here)) | (~take & place.v[i]);
#endif
  }
}

/// sum + x where place == here, else sum.
FOVEA_INLINE F16 add_where_equal(F16 sum, const Places& place, std::int64_t here, F16 x) {
  for (int i = 0; i < F16::kParts; ++i) {
#if defined(__AVX512F__)
    const __mmask16 equal = _mm512_cmpeq_epi32_mask((__m512i)place.v[i], (__m512i)(NativeInt{} + std::int32_t(here)));
    sum.v[i] = (Native)_mm512_mask_add_ps((__m512)sum.v[i], equal, (__m512)sum.v[i], (__m512)x.v[i]);
#else
    sum.v[i] = sum.v[i] + (Native)((NativeInt)(place.v[i] == std::int32_t(here)) & (NativeInt)x.v[i]);
#endif
  }
  return sum;
}

template <class T, class Place> void forward(const T* x, T* y, Place* which, const Pool2dShape& s) {
  const std::int64_t longest = s.columns.longest();
  const bool streamed = streams(y, max(s.inputs(), s.outputs()), s.c);
  for_windows(s, streamed, [&](std::int64_t n, std::int64_t p, std::int64_t q, std::int64_t out) FOVEA_LANES_INLINE {
    const std::int64_t h0 = s.rows.begin(p), h1 = s.rows.end(p), w0 = s.columns.begin(q), w1 = s.columns.end(q);
    const std::int64_t places = -s.rows.origin(p) * longest - s.columns.origin(q);   // of pixel (0, 0)
    for_wide_blocks(s.c, [&]<int Blocks>(std::int64_t c, std::int64_t lanes) FOVEA_LANES_INLINE {
      F16 best[Blocks];
      Places place[Blocks];
      const T* image = x + n * s.rows.in * s.columns.in * s.c + c;
      for (int b = 0; b < Blocks; ++b) {
        best[b] = load(image + (h0 * s.columns.in + w0) * s.c + 16 * b, lanes);
        place[b] = Places::all(places + h0 * longest + w0);
      }
      for (std::int64_t h = h0; h < h1; ++h) {
        const T* pixel = image + (h * s.columns.in + w0) * s.c;
        for (std::int64_t w = w0; w < w1; ++w, pixel += s.c)
          for (int b = 0; b < Blocks; ++b) {
            take_larger(load(pixel + 16 * b, lanes), places + h * longest + w, best[b], place[b]);
          }
      }
      for (int b = 0; b < Blocks; ++b) {
        store(y + out + c + 16 * b, lanes, best[b], streamed);
        store_places(which + out + c + 16 * b, lanes, place[b]);
      }
    });
  });
}

template <class T, class Place> void backward(const T* dy, const Place* which, T* dx, const Pool2dShape& s, bool accumulate) {
  const std::int64_t longest = s.columns.longest();
  const bool streamed = streams(dx, s.inputs(), s.c) && !accumulate;
  for_pixels(s, streamed, [&](std::int64_t n, const Seen& rows, const Seen& columns, std::int64_t in) FOVEA_LANES_INLINE {
    const std::int64_t here = rows.pixel * longest + columns.pixel;
    for_lane_blocks(s.c, [&]<int Blocks>(std::int64_t c, std::int64_t lanes) FOVEA_LANES_INLINE {
      F16 sum[Blocks];
      for (std::int64_t p = rows.first; p <= rows.last; ++p) {
        const std::int64_t place = here - s.rows.origin(p) * longest;
        std::int64_t out = ((n * s.rows.out + p) * s.columns.out + columns.first) * s.c + c;
        for (std::int64_t q = columns.first; q <= columns.last; ++q, out += s.c)
          for (int b = 0; b < Blocks; ++b)
            sum[b] = add_where_equal(sum[b], load_places(which + out + 16 * b, lanes), place - s.columns.origin(q),
                                     load(dy + out + 16 * b, lanes));
      }
      T* target = dx + in + c;
      for (int b = 0; b < Blocks; ++b) store(target + 16 * b, lanes, accumulate ? load(target + 16 * b, lanes) + sum[b] : sum[b], streamed);
    });
  });
}

template <class T, class Place> constexpr MaxPoolFunctions<T, Place> functions{forward<T, Place>, backward<T, Place>};

}   // namespace
const MaxPoolTable max_pool_table{{functions<float, std::uint8_t>, functions<float, std::int64_t>},
                                  {functions<bfloat16, std::uint8_t>, functions<bfloat16, std::int64_t>}};
}   // namespace FOVEA_ISA

#ifdef FOVEA_BASELINE
template <class T, class Place> void max_pool2d_forward(Cpu, const T* x, T* y, Place* which, const Pool2dShape& s) {
  for_type<T>(max_pool_table()).of(which).forward(x, y, which, s);
}
template <class T, class Place>
void max_pool2d_backward(Cpu, const T* dy, const Place* which, T* dx, const Pool2dShape& s, bool accumulate) {
  for_type<T>(max_pool_table()).of(which).backward(dy, which, dx, s, accumulate);
}

#define FOVEA_INSTANTIATE(T, Place)                                                \
  template void max_pool2d_forward(Cpu, const T*, T*, Place*, const Pool2dShape&); \
  template void max_pool2d_backward(Cpu, const T*, const Place*, T*, const Pool2dShape&, bool);
FOVEA_INSTANTIATE(float, std::uint8_t)
FOVEA_INSTANTIATE(float, std::int64_t)
FOVEA_INSTANTIATE(bfloat16, std::uint8_t)
FOVEA_INSTANTIATE(bfloat16, std::int64_t)
#undef FOVEA_INSTANTIATE
#endif

}   // namespace fovea::kernels
