// test_binary_cross_entropy.cpp: by hand, Cpu against Reference, extreme logits, impossible targets.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "kernels/binary_cross_entropy.h"
#include "tests/kernels/variants.h"

namespace fovea::kernels {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity(), kNaN = std::numeric_limits<float>::quiet_NaN();

template <class T> class BinaryCrossEntropyKernel : public testing::Test {};
using Types = testing::Types<float, bfloat16>;
TYPED_TEST_SUITE(BinaryCrossEntropyKernel, Types);

TEST(BinaryCrossEntropyFormula, ByHand) {
  const double x = std::log(3.);   // p = 3/4
  EXPECT_NEAR(BinaryCrossEntropy::value(x, 1., 1.), std::log(4. / 3), 1e-15);
  EXPECT_NEAR(BinaryCrossEntropy::value(x, 0., 1.), std::log(4.), 1e-15);
  EXPECT_NEAR(BinaryCrossEntropy::value(x, 0.25, 2.), 2 * 0.25 * std::log(4. / 3) + 0.75 * std::log(4.), 1e-15);
  EXPECT_NEAR(BinaryCrossEntropy::gradient(x, 0.25, 1.), 0.5, 1e-15);   // p - t
  EXPECT_NEAR(BinaryCrossEntropy::gradient(x, 0.25, 2.), 0.75 * 0.75 - 2 * 0.25 * 0.25, 1e-15);
  EXPECT_EQ(BinaryCrossEntropy::gradient(0., 0.5, 1.), 0);
  EXPECT_EQ(BinaryCrossEntropy::value(1000., 0., 1.), 1000);   // e^1000 would overflow
  EXPECT_EQ(BinaryCrossEntropy::value(-1000., 1., 1.), 1000);
  EXPECT_NEAR(BinaryCrossEntropy::gradient(-40., 0., 1.), std::exp(-40.), 1e-30);   // no digits lost in 1 - (1 - p)
  EXPECT_NEAR(BinaryCrossEntropy::gradient(40., 1., 1.), -std::exp(-40.), 1e-30);
}

// exp and log1p are within 2 ulp, the rest are a handful of float roundings of terms up to 3 * 16.
TYPED_TEST(BinaryCrossEntropyKernel, CpuMatchesReference) {
  using T = TypeParam;
  on_every_isa([&] {
    for (RowShape s : {RowShape{0, 3}, {1, 1}, {4, 15}, {3, 16}, {5, 17}, {9, 33}, {64, 1000}}) {
      auto x = spread<T>(s.rows * s.cols, 41);
      for (T& v : x) v = T(float(v) * 16);
      auto t = spread<float>(s.rows * s.cols, 42, 0.5);
      for (float& v : t) v = std::min(1.f, std::max(0.f, v));
      const auto fx = as<float>(x);
      const auto weights = spread<float>(s.cols, 43, 2), dloss = spread<float>(std::max<std::int64_t>(1, s.rows * s.cols), 44);
      for (bool weighted : {false, true})
        for (bool each : {false, true})
          for (bool accumulate : {false, true}) {
            SCOPED_TRACE(std::to_string(s.rows) + " x " + std::to_string(s.cols) + (weighted ? " weighted" : "") + (each ? " each" : ""));
            const float* w = weighted ? weights.data() : nullptr;
            std::vector<float> loss(x.size()), loss_want(x.size()), rows(std::size_t(s.rows)), rows_want(rows.size());
            binary_cross_entropy_forward(Cpu{}, x.data(), t.data(), w, each ? loss.data() : nullptr, rows.data(), s);
            binary_cross_entropy_forward(Reference{}, fx.data(), t.data(), w, each ? loss_want.data() : nullptr, rows_want.data(), s);
            expect_close(loss, loss_want, 1e-6, 1e-7, "loss");
            expect_close(rows, rows_want, 4e-6, 1e-6, "row_loss");
            auto dx = spread<T>(s.rows * s.cols, 45);
            auto dx_want = as<float>(dx);
            binary_cross_entropy_backward(Cpu{}, x.data(), t.data(), w, dloss.data(), each, 0.5f, dx.data(), s, accumulate);
            binary_cross_entropy_backward(Reference{}, fx.data(), t.data(), w, dloss.data(), each, 0.5f, dx_want.data(), s, accumulate);
            expect_close(dx, dx_want, unit_roundoff<T> + 1e-6, 1e-6, "dx");
          }
    }
  });
}

TYPED_TEST(BinaryCrossEntropyKernel, MarksImpossibleTargetsAndShowsNaN) {
  using T = TypeParam;
  on_every_isa([&] {
    for (const std::int64_t cols : {3, 40}) {
      const RowShape s{7, cols};
      std::vector<T> x(std::size_t(s.rows * cols));
      std::vector<float> t(x.size(), 0.25f), rows(7);
      const float wrong[] = {-1e-6f, 1.000001f, kNaN, kInf, -kInf};
      for (std::size_t i = 0; i < 5; ++i) t[i * std::size_t(cols) + i % 3] = wrong[i];
      t[std::size_t(5 * cols)] = 0, t[std::size_t(5 * cols + 1)] = 1, x[std::size_t(6 * cols)] = T(kNaN);
      binary_cross_entropy_forward<T>(Cpu{}, x.data(), t.data(), nullptr, nullptr, rows.data(), s);
      for (std::size_t r = 0; r < 5; ++r) EXPECT_EQ(rows[r], -1.f) << r;
      EXPECT_GT(rows[5], 0.f);
      EXPECT_TRUE(std::isnan(rows[6]));
    }
  });
}

TYPED_TEST(BinaryCrossEntropyKernel, SameBits) {
  using T = TypeParam;
  const RowShape s{301, 107};
  const auto x = spread<T>(s.rows * s.cols, 46, 1);
  auto t = spread<float>(s.rows * s.cols, 47, 0.5);
  for (float& v : t) v = std::min(1.f, std::max(0.f, v));
  const auto weights = spread<float>(s.cols, 48, 1);
  expect_same_bits(std::is_same_v<T, float> ? 0x1aa706ec135843ec : 0xe0f5bb32a5bea2de, [&] {
    std::vector<float> loss(x.size()), rows(std::size_t(s.rows));
    std::vector<T> dx = x;
    binary_cross_entropy_forward(Cpu{}, x.data(), t.data(), weights.data(), loss.data(), rows.data(), s);
    binary_cross_entropy_backward(Cpu{}, x.data(), t.data(), weights.data(), t.data(), true, 0.3f, dx.data(), s, true);
    return hash_of(dx, hash_of(rows, hash_of(loss)));
  });
}

}   // namespace
}   // namespace fovea::kernels
