// test_cross_entropy.cpp: hard and soft targets, weights, smoothing: by hand, Cpu against Reference, extreme logits, impossible targets.
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

/// Rows of probabilities, each summing to 1, some of them 0.
std::vector<float> probabilities_for(RowShape s) {
  auto p = spread<float>(s.rows * s.cols, 38);
  for (std::int64_t r = 0; r < s.rows; ++r) {
    float sum = 0;
    for (std::int64_t j = 0; j < s.cols; ++j) sum += p[std::size_t(r * s.cols + j)] = std::max(0.f, p[std::size_t(r * s.cols + j)]);
    for (std::int64_t j = 0; j < s.cols && sum > 0; ++j) p[std::size_t(r * s.cols + j)] /= sum;
  }
  return p;
}

// exp is within 2 ulp; a sum of up to 1000 positive terms in 16 lanes, and a log of it: 1e-6 is 8 float ulp of a probability near
// 1; the loss is as large as 64 with weights up to 2, its terms have float errors of 4e-6, and some 16 of them are added in a row.
TYPED_TEST(CrossEntropy, CpuMatchesReference) {
  using T = TypeParam;
  on_every_isa([&] {
    for (RowShape s : {RowShape{1, 1}, {3, 2}, {128, 10}, {5, 16}, {7, 17}, {9, 33}, {11, 1000}, {2, 20001}}) {
      const auto x = logits<T>(s, 31);
      const auto fx = as<float>(x);
      const auto labels = labels_for(s);
      const auto probabilities = probabilities_for(s), class_weights = spread<float>(s.cols, 39, 1), dloss = spread<float>(s.rows, 32);
      for (bool soft : {false, true})
        for (bool weighted : {false, true})
          for (float smoothing : {0.f, 0.1f}) {
            SCOPED_TRACE(std::to_string(s.rows) + " x " + std::to_string(s.cols) + (soft ? " soft" : " hard") +
                         (weighted ? " weighted, smoothing " : ", smoothing ") + std::to_string(smoothing));
            const auto target = [&]<class A>(A) {
              return CrossEntropyTarget<A>{.labels = soft ? nullptr : labels.data(),
                                           .probabilities = soft ? probabilities.data() : nullptr,
                                           .class_weights = weighted ? class_weights.data() : nullptr,
                                           .smoothing = smoothing};
            };
            std::vector<float> loss(std::size_t(s.rows)), loss_want(loss.size()), kept(3 * loss.size()), kept_want(kept.size());
            cross_entropy_forward(Cpu{}, x.data(), target(T{}), loss.data(), kept.data(), s);
            cross_entropy_forward(Reference{}, fx.data(), target(float{}), loss_want.data(), kept_want.data(), s);
            expect_close(loss, loss_want, 2e-6, 8e-6, "loss");
            expect_close(kept, kept_want, 2e-6, 0, "max, z, sum of the targets");
            for (bool accumulate : {false, true}) {
              auto dx = spread<T>(s.rows * s.cols, 33);
              auto dx_want = as<float>(dx);
              cross_entropy_backward(Cpu{}, x.data(), target(T{}), kept.data(), dloss.data(), dx.data(), s, accumulate);
              cross_entropy_backward(Reference{}, fx.data(), target(float{}), kept_want.data(), dloss.data(), dx_want.data(), s,
                                     accumulate);
              expect_close(dx, dx_want, unit_roundoff<T>, 4e-6, "dx");
            }
          }
    }
  });
}

TEST(CrossEntropyReference, ByHand) {
  const std::vector<double> x{std::log(1.), std::log(3.), std::log(4.)}, w{1, 2, 3}, t{0.5, 0, 0.25};   // softmax: 1/8, 3/8, 1/2
  const std::int64_t label = 2;
  const double dloss = 2;
  double loss = 0;
  std::vector<double> kept(3), dx(3);
  const auto loss_of = [&](const CrossEntropyTarget<double>& target) {
    cross_entropy_forward(Reference{}, x.data(), target, &loss, kept.data(), {1, 3});
    return loss;
  };
  EXPECT_NEAR(loss_of({.labels = &label}), std::log(2.), 1e-15);
  EXPECT_NEAR(loss_of({.labels = &label, .class_weights = w.data()}), 3 * std::log(2.), 1e-15);
  EXPECT_NEAR(loss_of({.probabilities = t.data()}), 0.5 * std::log(8.) + 0.25 * std::log(2.), 1e-15);
  EXPECT_NEAR(kept[2], 0.75, 1e-15);
  const CrossEntropyTarget<double> smooth{.labels = &label, .smoothing = 0.3};   // targets 0.1, 0.1, 0.8
  EXPECT_NEAR(loss_of(smooth), 0.1 * std::log(8.) + 0.1 * std::log(8. / 3) + 0.8 * std::log(2.), 1e-15);
  cross_entropy_backward(Reference{}, x.data(), smooth, kept.data(), &dloss, dx.data(), {1, 3}, false);
  EXPECT_NEAR(dx[0], 2 * (0.125 - 0.1), 1e-15);
  EXPECT_NEAR(dx[2], 2 * (0.5 - 0.8), 1e-15);
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
    const std::vector<float> soft{1, 0, 0, 0, 0.5f, 0.5f, 0, 0, 1, 1, 0, 0};
    std::vector<float> loss(4), kept(12);
    cross_entropy_forward(Cpu{}, x.data(), CrossEntropyTarget<T>{.labels = labels.data()}, loss.data(), kept.data(), s);
    expect_close(loss, std::vector<float>{0, std::log(2.f), kNaN, kNaN}, 2e-7, 0);
    cross_entropy_forward(Cpu{}, x.data(), CrossEntropyTarget<T>{.labels = labels.data(), .smoothing = 0.1f}, loss.data(), kept.data(), s);
    EXPECT_EQ(loss[1], kInf);   // smoothing puts weight on a class that cannot be
    EXPECT_TRUE(std::isnan(loss[3]));
    cross_entropy_forward(Cpu{}, x.data(), CrossEntropyTarget<T>{.probabilities = soft.data()}, loss.data(), kept.data(), s);
    expect_close(loss, std::vector<float>{0, std::log(2.f), kNaN, kNaN}, 2e-7, 0);   // 0 log 0 is 0
  });
}

TYPED_TEST(CrossEntropy, MarksRowsWithImpossibleProbabilities) {
  using T = TypeParam;
  on_every_isa([&] {
    for (const std::int64_t cols : {3, 40}) {
      const RowShape s{7, cols};
      const std::vector<T> x(std::size_t(s.rows * cols));
      std::vector<float> soft(x.size(), 0.25f), loss(7), kept(21);
      const float wrong[] = {-1e-6f, 1.000001f, kNaN, kInf, -kInf};
      for (std::size_t i = 0; i < 5; ++i) soft[i * std::size_t(cols) + i % 3] = wrong[i];
      soft[std::size_t(5 * cols)] = 0, soft[std::size_t(6 * cols)] = 1;
      cross_entropy_forward(Cpu{}, x.data(), CrossEntropyTarget<T>{.probabilities = soft.data()}, loss.data(), kept.data(), s);
      for (std::size_t r = 0; r < 5; ++r) EXPECT_EQ(kept[3 * r + 2], -1.f) << r;
      for (std::size_t r = 5; r < 7; ++r) EXPECT_GT(kept[3 * r + 2], 0.f) << r;
    }
  });
}

TYPED_TEST(CrossEntropy, SameBits) {
  using T = TypeParam;
  const RowShape s{301, 107};
  const auto x = logits<T>(s, 36);
  const auto labels = labels_for(s);
  const auto dloss = spread<float>(s.rows, 37), probabilities = probabilities_for(s), weights = spread<float>(s.cols, 39, 1);
  expect_same_bits(std::is_same_v<T, float> ? 0x2a2f31ac84e7a286 : 0xec05926504969e06, [&] {
    std::vector<float> loss(std::size_t(s.rows)), kept(3 * loss.size());
    std::vector<T> dx = x;
    std::uint64_t hash = 0;
    for (const bool soft : {false, true}) {
      const CrossEntropyTarget<T> target{.labels = soft ? nullptr : labels.data(),
                                         .probabilities = soft ? probabilities.data() : nullptr,
                                         .class_weights = weights.data(),
                                         .smoothing = 0.1f};
      cross_entropy_forward(Cpu{}, x.data(), target, loss.data(), kept.data(), s);
      cross_entropy_backward(Cpu{}, x.data(), target, kept.data(), dloss.data(), dx.data(), s, true);
      hash = hash_of(dx, hash_of(kept, hash_of(loss, hash)));
    }
    return hash;
  });
}

}   // namespace
}   // namespace fovea::kernels
