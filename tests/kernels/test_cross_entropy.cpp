// test_cross_entropy.cpp: by hand, Cpu against Reference, gradients against central differences, extreme logits.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "kernels/cross_entropy.h"
#include "tests/kernels/variants.h"

namespace fovea::kernels {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity(), kNaN = std::numeric_limits<float>::quiet_NaN();

template <class T> class CrossEntropy : public testing::Test {};
using Types = testing::Types<float, bfloat16>;
TYPED_TEST_SUITE(CrossEntropy, Types);

/// Logits over about +-16.
template <class T> std::vector<T> logits(RowShape s, std::uint64_t seed) {
  auto x = spread<T>(s.rows * s.cols, seed);
  for (T& v : x) v = T(float(v) * 16);
  return x;
}

std::vector<std::int64_t> labels_for(RowShape s) {
  std::vector<std::int64_t> labels;
  for (std::int64_t r = 0; r < s.rows; ++r) labels.push_back((r * 7 + 3) % s.cols);
  return labels;
}

// exp is within 2 ulp; a sum of up to 1000 positive terms in 16 lanes, and a log of it: 1e-6 is 8 float ulp of a probability near
// 1; the loss is as large as 32, its terms have float errors of 4e-6.
TYPED_TEST(CrossEntropy, CpuMatchesReference) {
  using T = TypeParam;
  on_every_isa([&] {
    for (RowShape s : {RowShape{1, 1}, {3, 2}, {128, 10}, {5, 16}, {7, 17}, {9, 33}, {11, 1000}, {2, 20001}}) {
      SCOPED_TRACE(std::to_string(s.rows) + " x " + std::to_string(s.cols));
      const auto x = logits<T>(s, 31);
      const auto fx = as<float>(x);
      const auto labels = labels_for(s);
      const auto dloss = spread<float>(s.rows, 32);
      std::vector<T> p = x;
      std::vector<float> want(x.size());
      softmax(Cpu{}, p.data(), p.data(), s);   // in place
      softmax(Reference{}, fx.data(), want.data(), s);
      expect_close(p, want, unit_roundoff<T> + 1e-6, 0x1p-126, "softmax");
      for (float smoothing : {0.f, 0.1f}) {
        std::vector<float> loss(std::size_t(s.rows)), loss_want(loss.size());
        cross_entropy_forward(Cpu{}, x.data(), labels.data(), smoothing, loss.data(), s);
        cross_entropy_forward(Reference{}, fx.data(), labels.data(), smoothing, loss_want.data(), s);
        expect_close(loss, loss_want, 1e-6, 4e-6, "loss");
        for (bool accumulate : {false, true}) {
          auto dx = spread<T>(s.rows * s.cols, 33);
          auto dx_want = as<float>(dx);
          cross_entropy_backward(Cpu{}, x.data(), labels.data(), smoothing, dloss.data(), dx.data(), s, accumulate);
          cross_entropy_backward(Reference{}, fx.data(), labels.data(), smoothing, dloss.data(), dx_want.data(), s, accumulate);
          expect_close(dx, dx_want, unit_roundoff<T>, 1e-6, "dx");
        }
      }
    }
  });
}

TEST(CrossEntropyReference, ByHand) {
  const std::vector<double> x{std::log(1.), std::log(3.), std::log(4.)};   // softmax: 1/8, 3/8, 1/2
  const std::int64_t label = 2;
  const double dloss = 2;
  double loss = 0;
  std::vector<double> p(3), dx(3);
  softmax(Reference{}, x.data(), p.data(), {1, 3});
  EXPECT_NEAR(p[0], 0.125, 1e-15);
  EXPECT_NEAR(p[1], 0.375, 1e-15);
  cross_entropy_forward(Reference{}, x.data(), &label, 0., &loss, {1, 3});
  EXPECT_NEAR(loss, std::log(2.), 1e-15);
  cross_entropy_forward(Reference{}, x.data(), &label, 0.3, &loss, {1, 3});   // targets 0.1, 0.1, 0.8
  EXPECT_NEAR(loss, 0.1 * std::log(8.) + 0.1 * std::log(8. / 3) + 0.8 * std::log(2.), 1e-15);
  cross_entropy_backward(Reference{}, x.data(), &label, 0.3, &dloss, dx.data(), {1, 3}, false);
  EXPECT_NEAR(dx[0], 2 * (0.125 - 0.1), 1e-15);
  EXPECT_NEAR(dx[2], 2 * (0.5 - 0.8), 1e-15);
}

TEST(CrossEntropyReference, GradientMatchesCentralDifferences) {
  const RowShape s{3, 5};
  auto x = spread<double>(15, 34);
  const auto labels = labels_for(s);
  const auto dloss = spread<double>(3, 35);
  std::vector<double> dx(15), loss(3);
  for (double smoothing : {0., 0.1}) {
    cross_entropy_backward(Reference{}, x.data(), labels.data(), smoothing, dloss.data(), dx.data(), s, false);
    const auto projected = [&] {
      cross_entropy_forward(Reference{}, x.data(), labels.data(), smoothing, loss.data(), s);
      return loss[0] * dloss[0] + loss[1] * dloss[1] + loss[2] * dloss[2];
    };
    const double h = 1e-5;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double kept = x[i];
      x[i] = kept + h;
      const double up = projected();
      x[i] = kept - h;
      const double down = projected();
      x[i] = kept;
      EXPECT_NEAR(dx[i], (up - down) / (2 * h), 1e-9) << i;
    }
  }
}

TYPED_TEST(CrossEntropy, ExtremeLogits) {
  using T = TypeParam;
  on_every_isa([&] {
    const RowShape s{4, 3};
    const std::vector<T> x{T(1e30f), T(0.f),   T(-1e30f),   // far apart
                           T(-kInf), T(1.f),   T(1.f),      // one entry masked
                           T(-kInf), T(-kInf), T(-kInf),    // nothing left
                           T(1.f),   T(kNaN),  T(2.f)};
    const std::vector<std::int64_t> labels{0, 1, 0, 0};
    std::vector<T> p(x.size());
    std::vector<float> loss(4);
    softmax(Cpu{}, x.data(), p.data(), s);
    expect_close(p, std::vector<float>{1, 0, 0, 0, 0.5f, 0.5f, kNaN, kNaN, kNaN, kNaN, kNaN, kNaN}, unit_roundoff<T>, 0);
    cross_entropy_forward(Cpu{}, x.data(), labels.data(), 0.f, loss.data(), s);
    expect_close(loss, std::vector<float>{0, std::log(2.f), kNaN, kNaN}, 2e-7, 0);
    cross_entropy_forward(Cpu{}, x.data(), labels.data(), 0.1f, loss.data(), s);
    EXPECT_EQ(loss[1], kInf);   // smoothing puts weight on a class that cannot be
  });
}

TYPED_TEST(CrossEntropy, SameBits) {
  using T = TypeParam;
  const RowShape s{301, 107};
  const auto x = logits<T>(s, 36);
  const auto labels = labels_for(s);
  const auto dloss = spread<float>(s.rows, 37);
  expect_same_bits(std::is_same_v<T, float> ? 0xbcd24ab4dd97c91 : 0x9226ca345dbf6ef6, [&] {
    std::vector<float> loss(std::size_t(s.rows));
    std::vector<T> p(x.size()), dx = x;
    softmax(Cpu{}, x.data(), p.data(), s);
    cross_entropy_forward(Cpu{}, x.data(), labels.data(), 0.1f, loss.data(), s);
    cross_entropy_backward(Cpu{}, x.data(), labels.data(), 0.1f, dloss.data(), dx.data(), s, true);
    return hash_of(dx, hash_of(loss, hash_of(p)));
  });
}

}   // namespace
}   // namespace fovea::kernels
