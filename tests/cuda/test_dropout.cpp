// Dropout on the device gives the bits of the CPU: the same mask for the same key, and the same product.
#include "kernels/dropout.h"

#include "tests/cuda/traffic_testing.h"

namespace fovea::kernels {
namespace {

template <class T> class CudaDropout : public testing::Test {};
using Types = testing::Types<float, bfloat16>;
TYPED_TEST_SUITE(CudaDropout, Types);

constexpr PhiloxKey kKey{.seed = 0x123456789abcdef0u, .stream = 0xfedcba9876543210u};

/// With `accumulate` a card may round once where the CPU rounds twice; without, every bit is the same.
template <class T> void expect_same(const std::vector<T>& got, const std::vector<T>& want, bool accumulate) {
  if (accumulate)
    expect_close(got, want, 2 * unit_roundoff<T>, 8 * 0x1p-23);
  else
    EXPECT_EQ(hash_of(got), hash_of(want));
}

TYPED_TEST(CudaDropout, ElementsAreTheCpus) {
  using T = TypeParam;
  for (std::int64_t n : {0, 1, 33, 2049})
    for (double p : {0., 0.3, 1.})
      for (bool accumulate : {false, true}) {
        std::vector<T> x = spread<T>(n, 1);
        const std::vector<T> y = spread<T>(n, 2);
        if (p == 1 && n > 2) x[2] = T(NAN);   // goes, too
        std::vector<T> want = y;
        dropout(Cpu{}, x.data(), want.data(), n, p, kKey, accumulate);
        const std::vector<T> got = same_on_every_schedule<T>(
            [&] {
              DeviceArray<T> x_device(x), y_device(y);
              dropout(Cuda{}, static_cast<const T*>(x_device.data()), y_device.data(), n, p, kKey, accumulate);
              y_device.expect_guards_untouched();
              return y_device.host();
            },
            true);
        expect_same(got, want, accumulate);
      }
}

TYPED_TEST(CudaDropout, RowsAreTheCpus) {
  using T = TypeParam;
  for (RowShape s : {RowShape{1, 1}, {1, 2100}, {70, 5}, {9, 33}, {12, 64}, {0, 4}})
    for (double p : {0., 0.5, 1.})
      for (bool accumulate : {false, true}) {
        const std::vector<T> x = spread<T>(s.rows * s.cols, 1), y = spread<T>(s.rows * s.cols, 2);
        std::vector<T> want = y;
        drop_rows(Cpu{}, x.data(), want.data(), s, p, kKey, accumulate);
        const std::vector<T> got = same_on_every_schedule<T>(
            [&] {
              DeviceArray<T> x_device(x), y_device(y);
              drop_rows(Cuda{}, static_cast<const T*>(x_device.data()), y_device.data(), s, p, kKey, accumulate);
              y_device.expect_guards_untouched();
              return y_device.host();
            },
            true);
        expect_same(got, want, accumulate);
      }
}

TYPED_TEST(CudaDropout, BytesAreTheContracts) {
  using T = TypeParam;
  DeviceArray<T> x(spread<T>(8192, 1)), y(8192);
  expect_traffic(
      2 * 8192 * sizeof(T), [&] { dropout(Cuda{}, static_cast<const T*>(x.data()), y.data(), 8192, 0.5, kKey, false); }, "dropout of 8192");
  expect_traffic(
      2 * 8192 * sizeof(T),
      [&] {
        drop_rows(Cuda{}, static_cast<const T*>(x.data()), y.data(), {16, 512}, 0, kKey, false);
      },
      "dropout of rows (16, 512), none of which goes");
}

}   // namespace
}   // namespace fovea::kernels
