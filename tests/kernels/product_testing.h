// product_testing.h: what the tests of GEMM and convolution share, on every backend.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "kernels/bfloat16.h"
#include "kernels/cpu/isa.h"
#include "kernels/fusion.h"
#include "kernels/parallel.h"

namespace fovea::kernels {

inline std::vector<Isa> all_isas() {
  std::vector<Isa> list{Isa::baseline};
  for (Isa i : {Isa::avx2, Isa::avx512})
    if (isa_available(i)) list.push_back(i);
  return list;
}
/// Those with a fused multiply-add, which give the same bits.
inline std::vector<Isa> fused_isas() {
  auto list = all_isas();
  list.erase(list.begin());
  return list;
}

class WithIsa {
 public:
  explicit WithIsa(Isa i) : before_(isa()) { set_isa(i); }
  ~WithIsa() { set_isa(before_); }

 private:
  Isa before_;
};
class WithThreads {
 public:
  explicit WithThreads(int n) : before_(threads()) { set_threads(n); }
  ~WithThreads() { set_threads(before_); }

 private:
  int before_;
};

/// Bytes that a kernel asked for, and a fence behind them.
class Workspace {
 public:
  explicit Workspace(std::size_t bytes) : bytes_(bytes), memory_(bytes + 64, char(0x5a)) {}
  void* data() { return memory_.data(); }
  bool intact() const {
    return std::all_of(memory_.begin() + static_cast<std::ptrdiff_t>(bytes_), memory_.end(), [](char c) { return c == char(0x5a); });
  }

 private:
  std::size_t bytes_;
  std::vector<char> memory_;
};

/// Fixed numbers in [-1, 1), the same on every machine: a linear congruential generator (Knuth's MMIX constants).
template <class T> std::vector<T> random_values(std::int64_t n, std::uint64_t seed) {
  std::vector<T> v(static_cast<std::size_t>(n));
  std::uint64_t state = seed;
  for (T& x : v) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    x = T(float(std::int32_t(state >> 40) - (1 << 23)) * 0x1p-23f);
  }
  return v;
}
/// -2 .. 2
template <class T> std::vector<T> small_integers(std::int64_t n, std::uint64_t seed) {
  std::vector<T> v = random_values<T>(n, seed);
  for (T& x : v) x = T(std::round(2 * float(x)));
  return v;
}
template <class To, class From> std::vector<To> converted(const std::vector<From>& from) {
  std::vector<To> to(from.size());
  for (std::size_t i = 0; i < from.size(); ++i) {
    if constexpr (std::is_same_v<From, bfloat16>)
      to[i] = To(float(from[i]));
    else
      to[i] = To(from[i]);
  }
  return to;
}

inline std::vector<double> absolute(std::vector<double> v) {
  for (double& x : v) x = std::abs(x);
  return v;
}
/// |got - want| <= u |want| + (1 + u) (relative * magnitude + absolute), u being what rounding to Got may cost.
template <class Got>
void expect_within(const std::vector<Got>& got, const std::vector<double>& want, const std::vector<double>& magnitude, double relative,
                   double absolute = 0) {
  const double u = std::is_same_v<Got, bfloat16> ? 0x1p-8 : 0x1p-24;
  ASSERT_EQ(got.size(), want.size());
  for (std::size_t i = 0; i < got.size(); ++i)
    ASSERT_LE(std::abs(double(got[i]) - want[i]), u * std::abs(want[i]) + (1 + u) * (relative * magnitude[i] + absolute))
        << "at " << i << ": got " << double(got[i]) << ", expected " << want[i];
}

/// Index of the first element whose bits differ, or -1.
template <class T> std::int64_t first_difference(const std::vector<T>& a, const std::vector<T>& b) {
  if (a.size() != b.size()) return 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (std::memcmp(&a[i], &b[i], sizeof(T)) != 0) return std::int64_t(i);
  return -1;
}

/// max over i of |y - want| - (u |want| + bound); u = 2^-8 for bfloat16 and 2^-24 for float. Positive: out of bounds.
template <class T> double worst_excess(const std::vector<T>& y, const std::vector<double>& want, double bound) {
  const double u = std::is_same_v<T, bfloat16> ? 0x1p-8 : 0x1p-24;
  double worst = -1;
  for (std::size_t i = 0; i < y.size(); ++i) {
    const double excess = std::abs(double(float(y[i])) - want[i]) - (u * (std::abs(want[i]) + bound) + bound);
    if (!(excess <= worst)) worst = excess;   // a NaN is the worst
  }
  return y.size() == want.size() ? worst : 1;
}

/// Are these the batch-norm partials (fusion.h) of y (rows, columns)? A sum of n floats, y or their distances from the first, is off by n 2^-24
/// of their magnitudes at worst, and as roundings are as good as random, by 4 sqrt(n) 2^-24 (Higham & Mary 2019, "A New Approach to
/// Probabilistic Rounding Error Analysis", lambda = 4). M2 sums squares, each off by 3 roundings; an error of the mean enters it squared.
template <class T>
void expect_partials(const std::vector<float>& partials, const std::vector<T>& y, std::int64_t rows, std::int64_t columns) {
  ASSERT_EQ(partials.size(), static_cast<std::size_t>(2 * stat_tiles(rows) * columns));
  for (std::int64_t tile = 0; tile < stat_tiles(rows); ++tile)
    for (std::int64_t j = 0; j < columns; ++j) {
      const std::int64_t first = tile * kStatRows, last = std::min(rows, first + kStatRows);
      const double n = double(last - first), share = 4 * std::sqrt(n) * 0x1p-24;
      double mean = 0, magnitude = std::abs(double(float(y[first * columns + j]))), m2 = 0;
      for (std::int64_t i = first; i < last; ++i)
        mean += double(float(y[i * columns + j])) / n, magnitude += std::abs(double(float(y[i * columns + j]))) / n;
      for (std::int64_t i = first; i < last; ++i) m2 += std::pow(double(float(y[i * columns + j])) - mean, 2);
      const double error = (share + 0x1p-24) * magnitude;
      ASSERT_NEAR(partials[2 * tile * columns + j], mean, error) << "mean of column " << j << ", tile " << tile;
      ASSERT_NEAR(partials[(2 * tile + 1) * columns + j], m2, (share + 3 * 0x1p-24) * m2 + n * error * error)
          << "M2 of column " << j << ", tile " << tile;
    }
}

/// FNV-1a, 64 bits, of the bytes.
template <class T> std::uint64_t hash(const std::vector<T>& v) {
  std::uint64_t h = 14695981039346656037u;
  const auto* bytes = reinterpret_cast<const unsigned char*>(v.data());
  for (std::size_t i = 0; i < v.size() * sizeof(T); ++i) h = (h ^ bytes[i]) * 1099511628211u;
  return h;
}

}   // namespace fovea::kernels
