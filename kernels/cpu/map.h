// map.h: the elementwise skeletons of the Cpu backend: a formula (as in map_reference.h) on 16 lanes at a time, cut into tasks
// of a fixed number of elements. Arithmetic is in float; each output is rounded once. These run at the speed of memory.
#pragma once

#include <type_traits>

#include "kernels/cpu/simd.h"
#include "kernels/parallel.h"

namespace fovea::kernels::FOVEA_ISA {
namespace {

/// Elements per task, 64 KB of float: long beside the cost of handing it out, short enough to share the work evenly.
constexpr std::int64_t kGrain = 16384;

FOVEA_INLINE std::int64_t min(std::int64_t a, std::int64_t b) { return a < b ? a : b; }
FOVEA_INLINE std::int64_t max(std::int64_t a, std::int64_t b) { return a > b ? a : b; }
FOVEA_INLINE std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

/// The first n lanes from p, or to p; with a constant 16 nothing is left of the branch.
template <class T> FOVEA_INLINE F16 load(const T* p, std::int64_t n, float fill = 0.f) {
  return n == 16 ? F16::load(p) : F16::load_first(p, n, fill);
}
template <class T> FOVEA_INLINE void store(T* p, std::int64_t n, F16 x) { n == 16 ? x.store(p) : x.store_first(p, n); }

/// Arrays of this size on leave no room for themselves in a last-level cache: whoever reads them next reads memory, so they are
/// written past the caches, which saves a third of a map's traffic.
constexpr std::int64_t kStreamedBytes = std::int64_t{32} << 20;
/// Whether y (n elements, of rows whose length is `row`) is written so. bfloat16 never is: half a line a vector gains nothing.
template <class T> FOVEA_INLINE bool streams(const T* y, std::int64_t n, std::int64_t row = 16) {
  return std::is_same_v<T, float> && n * std::int64_t(sizeof(T)) >= kStreamedBytes && row % 16 == 0 &&
         reinterpret_cast<std::uintptr_t>(y) % 64 == 0;
}
template <class T> FOVEA_INLINE void store(T* p, std::int64_t n, F16 x, bool streamed) {
  if constexpr (std::is_same_v<T, float>)
    if (streamed && n == 16) return x.stream(p);
  store(p, n, x);
}
/// At the end of a task that streamed: before others are told that it is done.
FOVEA_INLINE void stream_fence(bool streamed) {
  if (streamed) _mm_sfence();
}

/// f(i, 16) for i = 0, 16, 32, ... and f(i, what is left) at the end. f has to be FOVEA_LANES_INLINE.
template <class F> FOVEA_INLINE void for_lanes(std::int64_t n, const F& f) {
  std::int64_t i = 0;
  for (; i + 16 <= n; i += 16) f(i, 16);
  if (i < n) f(i, n - i);
}
/// The same with f<Blocks>(i, lanes) for 16 * Blocks neighbours: four blocks at a time (what one chain of operations waits for is hidden
/// behind the others), then one, then what is left.
template <class F> FOVEA_INLINE void for_lane_blocks(std::int64_t n, const F& f) {
  std::int64_t i = 0;
  for (; i + 64 <= n; i += 64) f.template operator()<4>(i, 16);
  for (; i + 16 <= n; i += 16) f.template operator()<1>(i, 16);
  if (i < n) f.template operator()<1>(i, n - i);
}
/// The same again, but eight blocks at a time as long as there are: 512 bytes of a row of float in one go.
template <class F> FOVEA_INLINE void for_wide_blocks(std::int64_t n, const F& f) {
  std::int64_t c = 0;
  for (; c + 128 <= n; c += 128) f.template operator()<8>(c, 16);
  for (; c + 32 <= n; c += 32) f.template operator()<2>(c, 16);
  for (; c + 16 <= n; c += 16) f.template operator()<1>(c, 16);
  if (c < n) f.template operator()<1>(c, n - c);
}
#define FOVEA_LANES_INLINE __attribute__((always_inline))   // written after a lambda's parameters: inlined at both calls

/// f(first, count) for tasks of `grain` out of n, on the pool.
template <class F> FOVEA_INLINE void parallel_ranges(std::int64_t n, std::int64_t grain, const F& f) {
  parallel_for(ceil_div(n, grain), [&](std::int64_t task) { f(task * grain, min(grain, n - task * grain)); });
}

/// y[i] = f.value(x[i]...) for i < n, or += with accumulate. y may be any of the inputs.
template <class F, class T, class... X> FOVEA_INLINE void map(std::int64_t n, F f, T* y, bool accumulate, const X*... x) {
  const bool streamed = streams(y, n) && !accumulate && (... && (static_cast<const void*>(y) != x));
  parallel_ranges(n, kGrain, [&](std::int64_t first, std::int64_t count) {
    for_lane_blocks(count, [&]<int Blocks>(std::int64_t i, std::int64_t lanes) FOVEA_LANES_INLINE {
      F16 value[Blocks];
      for (int b = 0; b < Blocks; ++b) value[b] = f.value(load(x + first + i + 16 * b, lanes)...);
      for (int b = 0; b < Blocks; ++b) {
        T* to = y + first + i + 16 * b;
        store(to, lanes, accumulate ? load(to, lanes) + value[b] : value[b], streamed);
      }
    });
    stream_fence(streamed);
  });
}

/// dx[i] = f.gradient(x_or_y[i], dy[i]), or += with accumulate. dx may be dy.
template <class F, class T> FOVEA_INLINE void map_gradient(std::int64_t n, F f, T* dx, bool accumulate, const T* x_or_y, const T* dy) {
  const bool streamed = streams(dx, n) && !accumulate && dx != x_or_y && dx != dy;
  parallel_ranges(n, kGrain, [&](std::int64_t first, std::int64_t count) {
    for_lane_blocks(count, [&]<int Blocks>(std::int64_t i, std::int64_t lanes) FOVEA_LANES_INLINE {
      F16 value[Blocks];
      for (int b = 0; b < Blocks; ++b)
        value[b] = f.gradient(load(x_or_y + first + i + 16 * b, lanes), load(dy + first + i + 16 * b, lanes));
      for (int b = 0; b < Blocks; ++b) {
        T* to = dx + first + i + 16 * b;
        store(to, lanes, accumulate ? load(to, lanes) + value[b] : value[b], streamed);
      }
    });
    stream_fence(streamed);
  });
}

}   // namespace
}   // namespace fovea::kernels::FOVEA_ISA
