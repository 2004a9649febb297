// Arithmetic with repetition on the device: the same bits as one operation in float on the same numbers, in every way that operands repeat.
#include "kernels/broadcast.h"

#include "tests/cuda/traffic_testing.h"

namespace fovea::kernels {
namespace {

template <class T> class CudaBroadcast : public testing::Test {};
using Types = testing::Types<float, bfloat16>;
TYPED_TEST_SUITE(CudaBroadcast, Types);

std::int64_t span_of(const BroadcastShape& s, const std::int64_t* step) {
  std::int64_t last = 0;
  for (int a = 0; a < s.rank; ++a) last += (s.extent[a] - 1) * step[a];
  return last + 1;
}

/// Where y is dense in s.
const BroadcastShape kShapes[] = {
    {.rank = 1, .extent = {1}, .a_step = {1}, .b_step = {1}, .y_step = {1}},
    {.rank = 1, .extent = {1029}, .a_step = {1}, .b_step = {1}, .y_step = {1}},                                // one past a block
    {.rank = 1, .extent = {37}, .a_step = {1}, .b_step = {0}, .y_step = {1}},                                  // a number
    {.rank = 2, .extent = {70, 3}, .a_step = {3, 1}, .b_step = {0, 1}, .y_step = {3, 1}},                      // a bias of colours
    {.rank = 2, .extent = {9, 64}, .a_step = {64, 1}, .b_step = {0, 1}, .y_step = {64, 1}},                    // a bias, aligned
    {.rank = 2, .extent = {5, 33}, .a_step = {33, 1}, .b_step = {1, 0}, .y_step = {33, 1}},                    // a number a row
    {.rank = 3, .extent = {3, 5, 24}, .a_step = {24, 0, 1}, .b_step = {120, 24, 1}, .y_step = {120, 24, 1}},   // a gate on the left
    {.rank = 2, .extent = {7, 11}, .a_step = {1, 7}, .b_step = {11, 1}, .y_step = {11, 1}},                    // transposed
    {.rank = 4, .extent = {2, 3, 2, 5}, .a_step = {15, 5, 0, 1}, .b_step = {0, 10, 5, 1}, .y_step = {30, 10, 5, 1}},
    {.rank = 2, .extent = {4, 6}, .a_step = {6, 1}, .b_step = {0, 1}, .y_step = {12, 2}},   // every second element of y
    {.rank = 0},
    {.rank = 2, .extent = {0, 4}, .a_step = {4, 1}, .b_step = {0, 1}, .y_step = {4, 1}},
};

TYPED_TEST(CudaBroadcast, IsTheReference) {
  using T = TypeParam;
  for (const BroadcastShape& s : kShapes)
    for (Arithmetic op : {Arithmetic::add, Arithmetic::sub, Arithmetic::mul, Arithmetic::div})
      for (bool accumulate : {false, true}) {
        const bool none = s.rank > 0 && s.extent[0] == 0;
        const std::vector<T> a = spread<T>(none ? 4 : span_of(s, s.a_step), 1), b = spread<T>(none ? 4 : span_of(s, s.b_step), 2, 3),
                             y = spread<T>(none ? 4 : span_of(s, s.y_step), 3);
        const std::vector<T> got = same_on_every_schedule<T>(
            [&] {
              DeviceArray<T> a_device(a), b_device(b), y_device(y);
              broadcast(Cuda{}, op, static_cast<const T*>(a_device.data()), static_cast<const T*>(b_device.data()), y_device.data(), s,
                        accumulate);
              y_device.expect_guards_untouched();
              return y_device.host();
            },
            op != Arithmetic::add || s.extent[0] != 70);
        const std::vector<double> a_exact = as<double>(a), b_exact = as<double>(b);
        std::vector<double> want = as<double>(y);
        broadcast(Reference{}, op, a_exact.data(), b_exact.data(), want.data(), s, accumulate);
        // One operation, rounded to float and to T; a sum with y may cancel what the first rounding cost.
        expect_close(got, want, unit_roundoff<T> + 0x1p-24, accumulate ? 4 * 0x1p-23 : 0, "broadcast");
      }
}

TYPED_TEST(CudaBroadcast, TheOutputMayBeAnOperand) {
  using T = TypeParam;
  const BroadcastShape s{.rank = 2, .extent = {5, 33}, .a_step = {33, 1}, .b_step = {0, 1}, .y_step = {33, 1}};
  const std::vector<T> a = spread<T>(165, 1), b = spread<T>(33, 2);
  const auto run = [&](bool in_place) {
    DeviceArray<T> a_device(a), b_device(b), y_device(165);
    T* y = in_place ? a_device.data() : y_device.data();
    broadcast(Cuda{}, Arithmetic::mul, static_cast<const T*>(a_device.data()), static_cast<const T*>(b_device.data()), y, s, false);
    return in_place ? a_device.host() : y_device.host();
  };
  EXPECT_EQ(hash_of(run(true)), hash_of(run(false)));
}

TYPED_TEST(CudaBroadcast, AffineIsTheReference) {
  using T = TypeParam;
  for (std::int64_t n : {0, 1, 33, 1029})
    for (bool accumulate : {false, true}) {
      const std::vector<T> x = spread<T>(n, 1), y = spread<T>(n, 2);
      const std::vector<T> got = same_on_every_schedule<T>(
          [&] {
            DeviceArray<T> x_device(x), y_device(y);
            affine(Cuda{}, static_cast<const T*>(x_device.data()), 1.5f, 0.25f, y_device.data(), n, accumulate);
            y_device.expect_guards_untouched();
            return y_device.host();
          },
          true);
      const std::vector<double> x_exact = as<double>(x);
      std::vector<double> want = as<double>(y);
      affine(Reference{}, x_exact.data(), 1.5, 0.25, want.data(), n, accumulate);
      expect_close(got, want, unit_roundoff<T>, 4 * 0x1p-23, "affine");   // a product and one or two sums below 4
    }
}

TYPED_TEST(CudaBroadcast, BytesAreTheContracts) {
  using T = TypeParam;
  const BroadcastShape equal{.rank = 2, .extent = {32, 256}, .a_step = {256, 1}, .b_step = {256, 1}, .y_step = {256, 1}};
  DeviceArray<T> a(spread<T>(8192, 1)), b(spread<T>(8192, 2)), y(8192);
  expect_traffic(
      3 * 8192 * sizeof(T),
      [&] { broadcast(Cuda{}, Arithmetic::add, static_cast<const T*>(a.data()), static_cast<const T*>(b.data()), y.data(), equal, false); },
      "addition of 8192");
  // A bias is read again for every row, from a cache.
  BroadcastShape bias = equal;
  bias.b_step[0] = 0;
  expect_traffic(
      3 * 8192 * sizeof(T),
      [&] { broadcast(Cuda{}, Arithmetic::add, static_cast<const T*>(a.data()), static_cast<const T*>(b.data()), y.data(), bias, false); },
      "addition of a bias, 8192");
}

}   // namespace
}   // namespace fovea::kernels
