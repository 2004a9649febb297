// test_math.cpp: exp, log and log1p of cpu/math.h against double, over their whole range. This file compiles them for the
// baseline; the wider instruction sets run them in the softplus and softmax tests.
#define FOVEA_ISA under_test
#include "kernels/cpu/math.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <string>

namespace fovea::kernels {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity(), kNaN = std::numeric_limits<float>::quiet_NaN();

float exp_of(float x) { return under_test::exp(under_test::broadcast(x))[0]; }
float log_of(float x) { return under_test::log(under_test::broadcast(x))[0]; }
float log1p_of(float x) { return under_test::log1p(under_test::broadcast(x))[0]; }

/// The error in units in the last place of the exact value (of the smallest normal, below it).
double ulps(float got, double exact) {
  const int exponent = std::max(std::ilogb(exact), -126);
  return std::abs(got - exact) / std::ldexp(1.0, exponent - 23);
}

TEST(Math, ExpIsWithinTwoUlp) {
  double worst = 0;
  for (float x = -87.3f; x < 88.72f; x += 0.000937f) worst = std::max(worst, ulps(exp_of(x), std::exp(double(x))));
  for (float x = 1e-30f; x < 1; x *= 1.01f) {   // near 0 too
    worst = std::max(worst, ulps(exp_of(x), std::exp(double(x))));
    worst = std::max(worst, ulps(exp_of(-x), std::exp(-double(x))));
  }
  EXPECT_LT(worst, 2);
  RecordProperty("worst_ulps", std::to_string(worst));
}

TEST(Math, ExpAtTheEdges) {
  EXPECT_EQ(exp_of(0.f), 1.f);
  EXPECT_EQ(exp_of(-0.f), 1.f);
  EXPECT_EQ(exp_of(-kInf), 0.f);
  EXPECT_EQ(exp_of(-200.f), 0.f);
  EXPECT_EQ(exp_of(kInf), kInf);
  EXPECT_EQ(exp_of(88.73f), kInf);
  EXPECT_LT(exp_of(88.72f), kInf);
  EXPECT_EQ(exp_of(1e30f), kInf);
  EXPECT_EQ(exp_of(-1e30f), 0.f);
  EXPECT_TRUE(std::isnan(exp_of(kNaN)));
  EXPECT_TRUE(std::isnan(exp_of(-kNaN)));
  for (float x = -104.5f; x < -87.f; x += 0.01f) EXPECT_LT(ulps(exp_of(x), std::exp(double(x))), 2) << x;   // denormal results
}

TEST(Math, LogIsWithinTwoUlp) {
  double worst = 0;
  for (std::uint32_t bits = 0x00800000u; bits < 0x7f800000u; bits += 5003) {
    const auto x = std::bit_cast<float>(bits);
    worst = std::max(worst, ulps(log_of(x), std::log(double(x))));
  }
  for (std::uint32_t bits = 0x3f700000u; bits < 0x3f900000u; bits += 61) {   // near 1, where the result is small
    const auto x = std::bit_cast<float>(bits);
    if (x != 1.f) worst = std::max(worst, ulps(log_of(x), std::log(double(x))));
  }
  EXPECT_LT(worst, 2);
  RecordProperty("worst_ulps", std::to_string(worst));
}

TEST(Math, LogAtTheEdges) {
  EXPECT_EQ(log_of(1.f), 0.f);
  EXPECT_EQ(log_of(0.f), -kInf);
  EXPECT_EQ(log_of(-0.f), -kInf);
  EXPECT_EQ(log_of(kInf), kInf);
  EXPECT_TRUE(std::isnan(log_of(-1.f)));
  EXPECT_TRUE(std::isnan(log_of(-kInf)));
  EXPECT_TRUE(std::isnan(log_of(kNaN)));
}

TEST(Math, Log1pIsWithinThreeUlp) {
  double worst = 0;
  for (float x = 1e-30f; x < 1e30f; x *= 1.001f) worst = std::max(worst, ulps(log1p_of(x), std::log1p(double(x))));
  for (float x = 1e-30f; x < 0.99f; x *= 1.001f) worst = std::max(worst, ulps(log1p_of(-x), std::log1p(-double(x))));
  EXPECT_LT(worst, 3);
  RecordProperty("worst_ulps", std::to_string(worst));
  EXPECT_EQ(log1p_of(0.f), 0.f);
  EXPECT_EQ(log1p_of(kInf), kInf);
  EXPECT_TRUE(std::isnan(log1p_of(kNaN)));
}

}   // namespace
}   // namespace fovea::kernels
