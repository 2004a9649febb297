// Copies on the device are those of the host, byte for byte, whatever the steps and the size of an element.
#include "kernels/strided_copy.h"

#include "tests/cuda/traffic_testing.h"

namespace fovea::kernels {
namespace {

template <class E> class CudaStridedCopy : public testing::Test {};
using Elements = testing::Types<std::uint8_t, std::uint16_t, std::uint32_t, std::uint64_t>;
TYPED_TEST_SUITE(CudaStridedCopy, Elements);

template <class E> std::vector<E> numbered(std::int64_t n) {
  std::vector<E> v;
  for (std::int64_t i = 0; i < n; ++i) v.push_back(static_cast<E>(std::uint64_t(i) * 0x9e3779b97f4a7c15u >> 31));
  return v;
}
template <class E> std::vector<E> all_99(std::int64_t n) { return std::vector<E>(std::size_t(n), E{99}); }

std::int64_t span_of(const std::int64_t* extent, const std::int64_t* step, int rank) {
  std::int64_t last = 0;
  for (int a = 0; a < rank; ++a) {
    if (extent[a] == 0) return 1;
    last += (extent[a] - 1) * step[a];
  }
  return last + 1;
}

template <class E> void expect_copied(const StridedShape& s, bool few = true) {
  const std::vector<E> x = numbered<E>(span_of(s.extent, s.x_step, s.rank)), y = all_99<E>(span_of(s.extent, s.y_step, s.rank));
  std::vector<E> want = y;
  strided_copy(Cpu{}, x.data(), want.data(), s, sizeof(E));
  const std::vector<E> got = same_on_every_schedule<E>(
      [&] {
        DeviceArray<E> x_device(x), y_device(y);
        strided_copy(Cuda{}, x_device.data(), y_device.data(), s, sizeof(E));
        y_device.expect_guards_untouched();
        return y_device.host();
      },
      few);
  EXPECT_TRUE(got == want);
}

TYPED_TEST(CudaStridedCopy, Transposes) {   // (2, i, j) -> (2, j, i), around sides of 8, 32 and 64
  for (const std::int64_t rows : {3, 8, 33, 65})
    for (const std::int64_t cols : {2, 8, 65}) {
      SCOPED_TRACE(testing::Message() << rows << " x " << cols);
      expect_copied<TypeParam>({.rank = 3, .extent = {2, cols, rows}, .x_step = {rows * cols, 1, cols}, .y_step = {rows * cols, rows, 1}},
                               rows != 65 || cols != 65);
    }
}

TYPED_TEST(CudaStridedCopy, RowsSlicesAndRepetitions) {
  for (const std::int64_t d : {1, 5, 16, 33})   // (B, T, H, D) -> (B, H, T, D)
    expect_copied<TypeParam>({.rank = 4, .extent = {2, 3, 7, d}, .x_step = {21 * d, d, 3 * d, 1}, .y_step = {21 * d, 7 * d, d, 1}});
  expect_copied<TypeParam>({.rank = 1, .extent = {4200}, .x_step = {1}, .y_step = {1}}, false);   // one past two blocks of bytes
  expect_copied<TypeParam>({.rank = 2, .extent = {3, 201}, .x_step = {203, 1}, .y_step = {210, 1}});
  expect_copied<TypeParam>({.rank = 2, .extent = {5, 40}, .x_step = {1, 0}, .y_step = {40, 1}});    // along the last axis
  expect_copied<TypeParam>({.rank = 2, .extent = {5, 40}, .x_step = {0, 1}, .y_step = {40, 1}});    // along the first
  expect_copied<TypeParam>({.rank = 2, .extent = {6, 20}, .x_step = {80, 2}, .y_step = {40, 2}});   // every second, to every second
  expect_copied<TypeParam>({.rank = 5, .extent = {2, 3, 2, 3, 4}, .x_step = {4, 8, 24, 48, 1}, .y_step = {72, 24, 12, 4, 1}});
  expect_copied<TypeParam>({.rank = 0});
  expect_copied<TypeParam>({.rank = 2, .extent = {3, 0}, .x_step = {1, 1}, .y_step = {1, 1}});
}

TYPED_TEST(CudaStridedCopy, Boxes) {
  using E = TypeParam;
  const Box boxes[] = {
      {.rank = 4, .whole = {2, 7, 6, 16}, .begin = {0, 1, 2, 0}, .step = {1, 1, 1, 1}, .part = {2, 5, 3, 16}},   // padding of an image
      {.rank = 4, .whole = {2, 5, 6, 3}, .begin = {0, 1, 0, 1}, .step = {1, 2, 3, 1}, .part = {2, 2, 2, 2}},
      {.rank = 2, .whole = {4, 9}, .begin = {0, 1}, .step = {1, 3}, .part = {4, 3}},
      {.rank = 2, .whole = {4, 9}, .begin = {2, 0}, .step = {1, 1}, .part = {2, 9}},
      {.rank = 2, .whole = {4, 9}, .begin = {0, 0}, .step = {1, 1}, .part = {4, 9}},
      {.rank = 2, .whole = {4, 9}, .begin = {0, 0}, .step = {1, 1}, .part = {0, 9}},
      {.rank = 1, .whole = {1}, .begin = {0}, .step = {1}, .part = {1}},
      {.rank = 0},
  };
  for (const Box& box : boxes) {
    std::int64_t whole = 1, part = 1;
    for (int a = 0; a < box.rank; ++a) whole *= box.whole[a], part *= box.part[a];
    SCOPED_TRACE(testing::Message() << whole << " elements, " << part << " in the box");
    const std::vector<E> x = numbered<E>(whole), y = numbered<E>(part), filled = all_99<E>(whole);
    std::vector<E> out(std::size_t(part), E{99}), in = filled, around = filled;
    extract(Cpu{}, x.data(), out.data(), box, sizeof(E));
    insert(Cpu{}, y.data(), in.data(), box, sizeof(E));
    embed(Cpu{}, y.data(), around.data(), box, sizeof(E));
    DeviceArray<E> x_device(x), y_device(y), out_device(all_99<E>(part)), in_device(filled), around_device(filled);
    extract(Cuda{}, x_device.data(), out_device.data(), box, sizeof(E));
    insert(Cuda{}, y_device.data(), in_device.data(), box, sizeof(E));
    embed(Cuda{}, y_device.data(), around_device.data(), box, sizeof(E));
    EXPECT_TRUE(out_device.host() == out);
    EXPECT_TRUE(in_device.host() == in);
    EXPECT_TRUE(around_device.host() == around);
  }
}

TYPED_TEST(CudaStridedCopy, BytesAreTheContracts) {
  using E = TypeParam;
  const std::size_t bytes = 64 * 128 * sizeof(E);
  DeviceArray<E> x(numbered<E>(64 * 128)), y(64 * 128);
  const StridedShape transpose{.rank = 2, .extent = {128, 64}, .x_step = {1, 128}, .y_step = {64, 1}};
  expect_traffic(
      2 * bytes, [&] { strided_copy(Cuda{}, x.data(), y.data(), transpose, sizeof(E)); },
      "transposition (64, 128) of " + std::to_string(sizeof(E)) + " bytes");
  const StridedShape heads{.rank = 3, .extent = {4, 32, 64}, .x_step = {64, 256, 1}, .y_step = {2048, 64, 1}};
  expect_traffic(
      2 * bytes, [&] { strided_copy(Cuda{}, x.data(), y.data(), heads, sizeof(E)); },
      "heads of attention (4, 32, 64) of " + std::to_string(sizeof(E)) + " bytes");
  const Box half{.rank = 2, .whole = {64, 128}, .begin = {0, 64}, .step = {1, 1}, .part = {64, 64}};
  expect_traffic(
      bytes / 2 + bytes, [&] { embed(Cuda{}, x.data(), y.data(), half, sizeof(E)); },
      "padding of (64, 64) to (64, 128), elements of " + std::to_string(sizeof(E)) + " bytes");
}

}   // namespace
}   // namespace fovea::kernels
