// Elements of every size, and not one more than asked for.
#include "kernels/fill.h"

#include <gtest/gtest.h>

#include <vector>

namespace fovea::kernels {
namespace {

template <class E> void check(E value) {
  for (const std::size_t n : {0, 1, 33}) {
    std::vector<E> y(n + 1, E(9)), want(n, value);
    want.push_back(E(9));
    fill(Cpu{}, y.data(), std::int64_t(n), &value, sizeof value);
    EXPECT_EQ(y, want);
  }
}

TEST(Fill, EverySize) {
  check<std::uint8_t>(200);
  check<std::uint16_t>(60000);
  check<float>(-1.5f);
  check<std::int64_t>(-3);
  check<double>(0);
}

}   // namespace
}   // namespace fovea::kernels
