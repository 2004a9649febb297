// The place of the largest element: the first of equals, and NaN tells.
#include "kernels/argmax.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace fovea::kernels {
namespace {

TEST(Argmax, FirstOfEqualsAndNaN) {
  const std::vector<float> x{1, 3, 3, 2, 2, -INFINITY, -INFINITY, -INFINITY, 0, NAN, 1, 0, INFINITY, 1, INFINITY};
  std::vector<std::int64_t> which(5, 7);
  argmax_rows(Cpu{}, x.data(), which.data(), {5, 3});
  EXPECT_EQ(which, (std::vector<std::int64_t>{1, 0, 2, -1, 0}));
  which.resize(3);
  argmax_rows(Reference{}, x.data(), which.data(), {3, 5});
  EXPECT_EQ(which, (std::vector<std::int64_t>{1, -1, 2}));
}

}   // namespace
}   // namespace fovea::kernels
