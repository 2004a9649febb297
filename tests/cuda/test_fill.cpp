// Elements of every size on the device, from any element on.
#include "kernels/fill.h"

#include "tests/cuda/traffic_testing.h"

namespace fovea::kernels {
namespace {

template <class E> void check(E value) {
  for (const std::size_t n : {0, 1, 33, 5000})
    for (const std::size_t first : {0, 1}) {
      const std::vector<E> got = same_on_every_schedule<E>(
          [&] {
            DeviceArray<E> y(std::vector<E>(first + n + 1, E(9)));
            fill(Cuda{}, y.data() + first, std::int64_t(n), &value, sizeof value);
            y.expect_guards_untouched();
            return y.host();
          },
          true);
      std::vector<E> want(first + n + 1, E(9));
      std::fill_n(want.begin() + std::ptrdiff_t(first), n, value);
      EXPECT_EQ(got, want);
    }
}

TEST(CudaFill, EverySize) {
  check<std::uint8_t>(200);
  check<std::uint16_t>(60000);
  check<float>(-1.5f);
  check<std::int64_t>(-3);
}

TEST(CudaFill, OnlyWrites) {
  DeviceArray<float> y(8192);
  const float one = 1;
  expect_traffic(
      4 * 8192, [&] { fill(Cuda{}, y.data(), 8192, &one, 4); }, "fill of 8192, float");
}

}   // namespace
}   // namespace fovea::kernels
