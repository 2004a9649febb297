// variants.h: what tests of Cpu kernels share: reproducible data, comparison with Reference on the same rounded inputs, and
// the same bits for every number of threads and for AVX2 and AVX-512.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <vector>

#include "kernels/backend.h"
#include "kernels/bfloat16.h"
#include "kernels/cpu/isa.h"
#include "kernels/parallel.h"

namespace fovea::kernels {

/// n values evenly spread over [centre - 1, centre + 1), from a hash of seed and index: the same on every machine.
template <class T> std::vector<T> spread(std::int64_t n, std::uint64_t seed, double centre = 0) {
  std::vector<T> values;
  for (std::int64_t i = 0; i < n; ++i) {
    std::uint64_t z = (seed << 32) + std::uint64_t(i) * 0x9e3779b97f4a7c15u;   // SplitMix64
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    values.push_back(T(float(centre + double(z >> 40) * 0x1p-23 - 1)));
  }
  return values;
}

template <class To, class From> std::vector<To> as(const std::vector<From>& x) {
  std::vector<To> y;
  for (From v : x) y.push_back(To(v));
  return y;
}

/// Half a unit in the last place of a T of size 1: what rounding to T may cost, relative to the value.
template <class T> constexpr double unit_roundoff = std::is_same_v<T, bfloat16> ? 0x1p-8 : 0x1p-24;

/// |got - want| <= relative * |want| + absolute for every element, and NaN exactly where NaN is wanted.
template <class Got, class Want>
void expect_close(const std::vector<Got>& got, const std::vector<Want>& want, double relative, double absolute, const char* what = "") {
  ASSERT_EQ(got.size(), want.size()) << what;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double g = double(got[i]), w = double(want[i]);
    if (std::isnan(g) && std::isnan(w)) continue;
    if (g == w) continue;   // infinities
    ASSERT_LE(std::abs(g - w), relative * std::abs(w) + absolute) << what << " at " << i << ": got " << g << ", expected " << w;
  }
}

/// Puts instruction set and thread count back.
class KeepSettings {
 public:
  ~KeepSettings() {
    set_isa(isa_);
    set_threads(threads_);
  }

 private:
  const Isa isa_ = isa();
  const int threads_ = threads();
};

/// Calls f() on every instruction set that this CPU has.
template <class F> void on_every_isa(F f) {
  const KeepSettings keep;
  for (Isa i : {Isa::baseline, Isa::avx2, Isa::avx512}) {
    if (!isa_available(i)) continue;
    set_isa(i);
    SCOPED_TRACE(isa_name(i));
    f();
  }
}

/// FNV-1a of the bytes.
template <class T> std::uint64_t hash_of(const std::vector<T>& values, std::uint64_t hash = 0xcbf29ce484222325u) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(values.data());
  for (std::size_t i = 0; i < values.size() * sizeof(T); ++i) hash = (hash ^ bytes[i]) * 0x100000001b3u;
  return hash;
}

/// run() returns a hash of everything a kernel wrote. It has to be the same for 1, 2, 3 and 7 threads on each instruction set,
/// and `stored` on those with FMA: so machines check each other. Skips, and says so, what this CPU lacks.
template <class F> void expect_same_bits(std::uint64_t stored, F run) {
  const KeepSettings keep;
  for (Isa i : {Isa::baseline, Isa::avx2, Isa::avx512}) {
    if (!isa_available(i)) continue;
    set_isa(i);
    set_threads(1);
    const std::uint64_t one_thread = run();
    if (i != Isa::baseline) {
      EXPECT_EQ(one_thread, stored) << isa_name(i) << std::hex << ": got 0x" << one_thread << ", stored is 0x" << stored;
    }
    for (int t : {2, 3, 7}) {
      set_threads(t);
      EXPECT_EQ(run(), one_thread) << isa_name(i) << " with " << t << " threads";
    }
  }
  if (!isa_available(Isa::avx512)) GTEST_SKIP() << "this CPU has no " << (isa_available(Isa::avx2) ? "AVX-512" : "AVX2 and no AVX-512");
}

}   // namespace fovea::kernels
