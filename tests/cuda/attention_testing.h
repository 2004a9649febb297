// attention_testing.h: how far attention may be from the truth: what its tests share.
#pragma once

#include <cmath>

#include "tests/cuda/traffic_testing.h"

namespace fovea::kernels {

template <class V> double norm(const V& x) {
  double sum = 0;
  for (const auto v : x) sum += double(v) * double(v);
  return std::sqrt(sum);
}
/// || got - want ||
template <class A, class B> double error(const std::vector<A>& got, const std::vector<B>& want) {
  std::vector<double> difference;
  for (std::size_t i = 0; i < want.size(); ++i) difference.push_back(double(got.at(i)) - double(want[i]));
  return norm(difference);
}
/// || got - want || <= bound * (|| want || + floor): floor is the size of what the result is a difference of.
template <class A, class B>
void expect_near(const std::vector<A>& got, const std::vector<B>& want, double bound, double floor, const char* what) {
  ASSERT_EQ(got.size(), want.size()) << what;
  EXPECT_LE(error(got, want), bound * (norm(want) + floor)) << what;
}
/// Sums of up to 257 terms in float, an exponential in between; or the roundings of P, of dS and of every result, half of 2^-8 each.
template <class T> constexpr double kAttentionBound = std::is_same_v<T, bfloat16> ? 0x1p-8 : 1e-6;

}   // namespace fovea::kernels
