// copy.cpp: the ceiling of everything that computes little: a copy of an array far larger than the last-level cache.
#include <emmintrin.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>

#include "bench/measure.h"
#include "kernels/parallel.h"

namespace fovea::bench {
namespace {

constexpr std::int64_t kBytes = std::int64_t{128} << 20, kTask = std::int64_t{64} << 10;   // 16-byte aligned

/// A cached store first reads the line that it overwrites: 3 bytes move for 2 that are counted. A streaming one does not.
void copy_task(bool streaming, const char* from, char* to) {
  for (std::int64_t i = 0; i < kTask; i += 64) {
    const auto* x = reinterpret_cast<const __m128i*>(from + i);
    auto* y = reinterpret_cast<__m128i*>(to + i);
    const __m128i a = _mm_load_si128(x), b = _mm_load_si128(x + 1), c = _mm_load_si128(x + 2), d = _mm_load_si128(x + 3);
    if (streaming)
      _mm_stream_si128(y, a), _mm_stream_si128(y + 1, b), _mm_stream_si128(y + 2, c), _mm_stream_si128(y + 3, d);
    else
      _mm_store_si128(y, a), _mm_store_si128(y + 1, b), _mm_store_si128(y + 2, c), _mm_store_si128(y + 3, d);
  }
  if (streaming) _mm_sfence();
}

}   // namespace

Bandwidth measure_copy() {
  struct Free {
    void operator()(char* p) const { std::free(p); }
  };
  const auto make = [] { return std::unique_ptr<char, Free>(static_cast<char*>(std::aligned_alloc(1 << 21, kBytes))); };
  const auto from = make(), to = make();
  std::fill_n(from.get(), kBytes, char{1});
  std::fill_n(to.get(), kBytes, char{2});
  Bandwidth best;
  for (int repeat = 0; repeat < 12; ++repeat)
    for (const bool streaming : {false, true}) {
      const auto start = std::chrono::steady_clock::now();
      kernels::parallel_for(kBytes / kTask, [&](std::int64_t i) { copy_task(streaming, from.get() + i * kTask, to.get() + i * kTask); });
      const double rate = 2. * kBytes / std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      double& kept = streaming ? best.streaming_copy : best.copy;
      kept = std::max(kept, rate);
    }
  return best;
}

}   // namespace fovea::bench
