// test_math.cpp: exp, log, log1p, sigmoid, tanh and erf of cpu/math.h against double, over their whole range. This file compiles them for the
// baseline; the wider instruction sets run them in the tests of activations and softmax.
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
float erf_of(float x) { return under_test::erf(under_test::broadcast(x))[0]; }
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

TEST(Math, SigmoidTanhAndErfAreWithinTheirBounds) {
  EXPECT_LT(worst_ulps(
                sigmoid_of, [](double x) { return 1 / (1 + std::exp(-x)); }, 87.f),
            3);
  EXPECT_LT(worst_ulps(
                tanh_of, [](double x) { return std::tanh(x); }, 10.f),
            3);
  EXPECT_LT(worst_ulps(
                erf_of, [](double x) { return std::erf(x); }, 5.f),
            2);
  for (const float x : {0.624999f, 0.625f, 0.625001f}) EXPECT_LT(ulps(tanh_of(x), std::tanh(double(x))), 3);   // where branches meet
  for (const float x : {0.92773f, 0.927734375f, 0.92774f}) EXPECT_LT(ulps(erf_of(x), std::erf(double(x))), 2);
}

TEST(Math, SigmoidTanhAndErfAtTheEdges) {
  EXPECT_EQ(sigmoid_of(0.f), 0.5f);
  for (const float x : {90.f, 1e30f, kInf}) {
    EXPECT_EQ(sigmoid_of(x), 1.f);
    EXPECT_EQ(sigmoid_of(-x), 0.f);
    EXPECT_EQ(tanh_of(x), 1.f);
    EXPECT_EQ(tanh_of(-x), -1.f);
    EXPECT_EQ(erf_of(x), 1.f);
    EXPECT_EQ(erf_of(-x), -1.f);
  }
  EXPECT_EQ(tanh_of(0.f), 0.f);
  EXPECT_EQ(erf_of(0.f), 0.f);
  for (const float nan : {kNaN, -kNaN}) {
    EXPECT_TRUE(std::isnan(sigmoid_of(nan)));
    EXPECT_TRUE(std::isnan(tanh_of(nan)));
    EXPECT_TRUE(std::isnan(erf_of(nan)));
  }
}

}   // namespace
}   // namespace fovea::kernels
