// The place of the largest element on the device: what the host's loop says, exactly.
#include "kernels/argmax.h"

#include "tests/cuda/traffic_testing.h"

namespace fovea::kernels {
namespace {

template <class T> class CudaArgmax : public testing::Test {};
using Types = testing::Types<float, bfloat16>;
TYPED_TEST_SUITE(CudaArgmax, Types);

TYPED_TEST(CudaArgmax, IsTheReference) {
  using T = TypeParam;
  for (const RowShape s : {RowShape{0, 3}, {7, 1}, {5, 10}, {3, 33}, {9, 131}, {2, 1000}}) {
    std::vector<T> x = spread<T>(s.rows * s.cols, 1);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = T(std::round(6 * float(x[i])));   // several are equal
    if (s.rows > 1) x[x.size() - 1] = T(NAN);
    if (s.rows > 2)
      for (std::int64_t c = 0; c < s.cols; ++c) x[std::size_t(c)] = T(-INFINITY);
    const std::vector<std::int64_t> got = same_on_every_schedule<std::int64_t>(
        [&] {
          DeviceArray<T> x_device(x);
          DeviceArray<std::int64_t> which(std::size_t(s.rows));
          argmax_rows<T>(Cuda{}, x_device.data(), which.data(), s);
          which.expect_guards_untouched();
          return which.host();
        },
        s.cols != 131);
    std::vector<std::int64_t> want(std::size_t(s.rows));
    argmax_rows(Cpu{}, x.data(), want.data(), s);
    EXPECT_EQ(got, want) << s.rows << " x " << s.cols;
  }
}

TYPED_TEST(CudaArgmax, BytesAreTheContracts) {
  using T = TypeParam;
  DeviceArray<T> x(spread<T>(16 * 1024, 1));
  DeviceArray<std::int64_t> which(16);
  expect_traffic(
      16 * 1024 * sizeof(T),
      [&] {
        argmax_rows<T>(Cuda{}, x.data(), which.data(), {16, 1024});
      },
      "argmax (16, 1024)");
}

}   // namespace
}   // namespace fovea::kernels
