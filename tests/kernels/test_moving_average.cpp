// test_moving_average.cpp: Cpu against Reference, exchange, the same bits everywhere.
#include <gtest/gtest.h>

#include <vector>

#include "kernels/moving_average.h"
#include "tests/kernels/variants.h"

namespace fovea::kernels {
namespace {

// A difference below 4, a product and a sum below 4: three roundings.
TEST(MovingAverage, CpuMatchesReference) {
  on_every_isa([&] {
    for (const std::int64_t n : {0, 1, 15, 16, 17, 33, 40003})
      for (const double weight : {0., 1e-4, 0.3, 1.}) {
        auto a = spread<float>(n, 1, 1);
        const auto w = spread<float>(n, 2);
        auto want = a;
        moving_average(Cpu{}, a.data(), w.data(), weight, n);
        moving_average(Reference{}, want.data(), w.data(), weight, n);
        expect_close(a, want, 0, 3 * 2 * 0x1p-24);
      }
  });
}

TEST(Exchange, SwapsEveryElement) {
  on_every_isa([&] {
    for (const std::int64_t n : {0, 1, 17, 40003}) {
      const auto x = spread<float>(n, 3), y = spread<float>(n, 4);
      auto a = x, b = y;
      exchange(Cpu{}, a.data(), b.data(), n);
      EXPECT_EQ(a, y);
      EXPECT_EQ(b, x);
      exchange(Reference{}, a.data(), b.data(), n);
      EXPECT_EQ(a, x);
      EXPECT_EQ(b, y);
    }
  });
}

TEST(MovingAverage, SameBits) {
  const auto w = spread<float>(40003, 5);
  expect_same_bits(0xb6144d5bab12cdbb, [&] {
    auto a = spread<float>(40003, 6);
    for (int t = 0; t < 3; ++t) moving_average(Cpu{}, a.data(), w.data(), 0.3, 40003);
    return hash_of(a);
  });
}

}   // namespace
}   // namespace fovea::kernels
