// test_math.cpp: exp, log, log1p, sigmoid, tanh, the normal distribution and a root of cpu/math.h against double, over their whole range.
// This file compiles them for the baseline; the wider instruction sets run them in the tests of activations and softmax.
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
float sigmoid_of(float x) { return under_test::sigmoid(under_test::broadcast(x))[0]; }
float tanh_of(float x) { return under_test::tanh(under_test::broadcast(x))[0]; }
float exp_beside_1_of(float x) { return under_test::exp_beside_1(under_test::broadcast(x))[0]; }
float exp_below_88_of(float x) { return under_test::exp_below_88(under_test::broadcast(x))[0]; }
float normal_cdf_of(float x) { return under_test::normal_cdf(under_test::broadcast(x))[0]; }
float gelu_slope_of(float x) { return under_test::gelu_slope(under_test::broadcast(x))[0]; }
float power_minus_three_quarters_of(float x) {
  return under_test::times_power_minus_three_quarters(under_test::broadcast(1.f), under_test::broadcast(x))[0];
}
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

/// The largest error over [-limit, limit], evenly, and over both signs down to 1e-30, by a factor.
template <class F, class G> double worst_ulps(F f, G exact, float limit) {
  double worst = 0;
  for (float x = -limit; x < limit; x += limit * 2e-6f) worst = std::max(worst, ulps(f(x), exact(double(x))));
  for (float x = limit; x > 1e-30f; x *= 0.9995f)
    for (const float v : {x, -x}) worst = std::max(worst, ulps(f(v), exact(double(v))));
  return worst;
}

TEST(Math, ExpBesideOneIsExpToAShareOfOne) {
  for (float x = -90.f; x <= 0.f; x += 0.00031f) EXPECT_NEAR(exp_beside_1_of(x), std::exp(double(x)), 2e-7) << x;
  for (float x = -1.f; x <= 0.f; x += 0.0000107f) EXPECT_NEAR(exp_beside_1_of(x), std::exp(double(x)), 2e-7) << x;
  EXPECT_EQ(exp_beside_1_of(0.f), 1.f);
  EXPECT_EQ(exp_beside_1_of(-kInf), 0.f);
  EXPECT_TRUE(std::isnan(exp_beside_1_of(kNaN)));
  EXPECT_TRUE(std::isnan(exp_beside_1_of(-kNaN)));
}

TEST(Math, ExpBelow88IsExpWhereItsResultIsNormal) {
  for (float x = -87.33f; x < 87.9f; x += 0.00917f) EXPECT_LT(ulps(exp_below_88_of(x), std::exp(double(x))), 2) << x;
  EXPECT_EQ(exp_below_88_of(0.f), 1.f);
  EXPECT_EQ(exp_below_88_of(-88.f), 0.f);
  EXPECT_EQ(exp_below_88_of(-kInf), 0.f);
  EXPECT_TRUE(std::isnan(exp_below_88_of(kNaN)));
  EXPECT_TRUE(std::isnan(exp_below_88_of(-kNaN)));
}

TEST(Math, SigmoidAndTanhAreWithinThreeUlp) {
  EXPECT_LT(worst_ulps(
                sigmoid_of, [](double x) { return 1 / (1 + std::exp(-x)); }, 87.f),
            3);
  EXPECT_LT(worst_ulps(
                tanh_of, [](double x) { return std::tanh(x); }, 10.f),
            3);
  for (float x = 0.1732867f; x < 0.1732869f; x = std::nextafter(x, 1.f))
    EXPECT_LT(ulps(tanh_of(x), std::tanh(double(x))), 3) << x;   // where e^-2x stops to need a power of 2
}

TEST(Math, SigmoidAndTanhAtTheEdges) {
  EXPECT_EQ(sigmoid_of(0.f), 0.5f);
  EXPECT_EQ(sigmoid_of(-0.f), 0.5f);
  for (const float x : {90.f, 1e30f, kInf}) {
    EXPECT_EQ(sigmoid_of(x), 1.f);
    EXPECT_EQ(sigmoid_of(-x), 0.f);
    EXPECT_EQ(tanh_of(x), 1.f);
    EXPECT_EQ(tanh_of(-x), -1.f);
  }
  EXPECT_EQ(tanh_of(0.f), 0.f);
  EXPECT_TRUE(std::signbit(tanh_of(-0.f)));
  for (const float nan : {kNaN, -kNaN}) {
    EXPECT_TRUE(std::isnan(sigmoid_of(nan)));
    EXPECT_TRUE(std::isnan(tanh_of(nan)));
  }
}

TEST(Math, NormalCdfAndGeluSlopeAreWithinTheirBounds) {
  double worst_cdf = 0, worst_slope = 0;
  for (float x = -8; x < 8; x += 0.0000617f) {
    const double cdf = 0.5 * std::erfc(-double(x) / std::sqrt(2.)), density = std::exp(-0.5 * double(x) * double(x)) / std::sqrt(2 * M_PI);
    worst_cdf = std::max(worst_cdf, std::abs(double(normal_cdf_of(x)) - cdf));
    worst_slope = std::max(worst_slope, std::abs(double(gelu_slope_of(x)) - (cdf + double(x) * density)));
  }
  EXPECT_LT(worst_cdf, 1.2e-7);
  EXPECT_LT(worst_slope, 2e-7);
  RecordProperty("worst_cdf", std::to_string(worst_cdf * 1e9));
  RecordProperty("worst_slope", std::to_string(worst_slope * 1e9));
  EXPECT_EQ(normal_cdf_of(0.f), 0.5f);
  EXPECT_EQ(gelu_slope_of(0.f), 0.5f);
  for (const float x : {5.51f, 6.f, 1e30f, kInf}) {
    EXPECT_EQ(normal_cdf_of(x), 1.f);
    EXPECT_EQ(normal_cdf_of(-x), 0.f);
  }
  EXPECT_NEAR(gelu_slope_of(kInf), 1, 1e-7);
  EXPECT_NEAR(gelu_slope_of(-kInf), 0, 1e-7);
  for (const float nan : {kNaN, -kNaN}) {
    EXPECT_TRUE(std::isnan(normal_cdf_of(nan)));
    EXPECT_TRUE(std::isnan(gelu_slope_of(nan)));
  }
}

TEST(Math, PowerMinusThreeQuartersIsWithinThreeUlp) {
  double worst = 0;
  for (std::uint32_t bits = 0x00800000u; bits < 0x7f7fffffu; bits += 5003) {
    const auto x = std::bit_cast<float>(bits);
    if (x < 3.4e38f) worst = std::max(worst, ulps(power_minus_three_quarters_of(x), std::pow(double(x), -0.75)));
  }
  EXPECT_LT(worst, 3);
  EXPECT_EQ(power_minus_three_quarters_of(kInf), power_minus_three_quarters_of(3.4e38f));
  EXPECT_TRUE(std::isnan(power_minus_three_quarters_of(kNaN)));
}

}   // namespace
}   // namespace fovea::kernels
