// copy.cpp: the ceilings of everything that computes little: a copy of an array far larger than the last-level cache, and each half of it
// alone. A machine reads and writes at the same time, so a copy may move more bytes a second than either.
#include <emmintrin.h>
#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <new>

#include "bench/measure.h"
#include "kernels/parallel.h"

namespace fovea::bench {
namespace {

constexpr std::int64_t kTask = std::int64_t{64} << 10;   // bytes

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
void copy(bool streaming, const float* from, float* to, std::int64_t n) {
  kernels::parallel_for(n * 4 / kTask, [&](std::int64_t i) {
    copy_task(streaming, reinterpret_cast<const char*>(from) + i * kTask, reinterpret_cast<char*>(to) + i * kTask);
  });
}

}   // namespace

Array::Array(std::int64_t n, std::uint64_t seed) {
  constexpr std::size_t kHugePage = std::size_t{2} << 20;
  const std::size_t bytes = (static_cast<std::size_t>(n) * sizeof(float) + kHugePage - 1) / kHugePage * kHugePage;
  memory_.reset(static_cast<float*>(std::aligned_alloc(kHugePage, bytes)));
  if (!memory_) throw std::bad_alloc();
  madvise(memory_.get(), bytes, MADV_HUGEPAGE);
  const std::vector<float> numbers = random_floats(n, seed);
  std::copy(numbers.begin(), numbers.end(), memory_.get());
}

void streaming_copy(const float* from, float* to, std::int64_t n) { copy(true, from, to, n); }

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

Bandwidth measure_copy() {
  constexpr std::int64_t kElements = std::int64_t{32} << 20;
  Array from(kElements, 1), to(kElements, 2);
  Bandwidth best;
  for (int repeat = 0; repeat < 12; ++repeat)
    for (const bool streaming : {false, true}) {
      const auto start = std::chrono::steady_clock::now();
      copy(streaming, from.data(), to.data(), kElements);
      const double rate = 8. * kElements / std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      double& kept = streaming ? best.streaming_copy : best.copy;
      kept = std::max(kept, rate);
    }
  return best;
}

}   // namespace fovea::bench
