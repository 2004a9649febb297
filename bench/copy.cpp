// copy.cpp: the ceilings of everything that computes little: a copy of an array far larger than the last-level cache, and each half of it
// alone. A machine reads and writes at the same time, so a copy may move more bytes a second than either.
#include <emmintrin.h>

#include <cstdint>

#include "bench/measure.h"
#include "kernels/parallel.h"

namespace fovea::bench {
namespace {

constexpr std::int64_t kTask = std::int64_t{64} << 10;   // bytes

/// A cached store would first read the line that it overwrites: 3 bytes move for 2 that are counted. A streaming one does not.
void copy_task(const char* from, char* to) {
  for (std::int64_t i = 0; i < kTask; i += 64) {
    const auto* x = reinterpret_cast<const __m128i*>(from + i);
    auto* y = reinterpret_cast<__m128i*>(to + i);
    const __m128i a = _mm_load_si128(x), b = _mm_load_si128(x + 1), c = _mm_load_si128(x + 2), d = _mm_load_si128(x + 3);
    _mm_stream_si128(y, a), _mm_stream_si128(y + 1, b), _mm_stream_si128(y + 2, c), _mm_stream_si128(y + 3, d);
  }
  _mm_sfence();
}

}   // namespace

void streaming_copy(const float* from, float* to, std::int64_t n) {
  kernels::parallel_for(n * 4 / kTask, [&](std::int64_t i) {
    copy_task(reinterpret_cast<const char*>(from) + i * kTask, reinterpret_cast<char*>(to) + i * kTask);
  });
}

void fill(float* to, std::int64_t n) {
  kernels::parallel_for(n * 4 / kTask, [&](std::int64_t i) {
    auto* y = reinterpret_cast<__m128i*>(reinterpret_cast<char*>(to) + i * kTask);
    const __m128i ones = _mm_set1_epi32(1);
    for (std::int64_t k = 0; k < kTask / 16; ++k) _mm_stream_si128(y + k, ones);
    _mm_sfence();
  });
}

void read(const float* from, std::int64_t n) {
  kernels::parallel_for(n * 4 / kTask, [&](std::int64_t i) {
    const auto* x = reinterpret_cast<const __m128i*>(reinterpret_cast<const char*>(from) + i * kTask);
    __m128i all[8] = {};
    for (std::int64_t k = 0; k < kTask / 16; k += 8)
      for (int j = 0; j < 8; ++j) all[j] = _mm_or_si128(all[j], _mm_load_si128(x + k + j));
    for (__m128i& one : all) asm volatile("" : : "x"(one));   // somebody might want it
  });
}

}   // namespace fovea::bench
