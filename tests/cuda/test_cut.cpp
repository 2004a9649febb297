// Pictures cut on the device are those that the host cuts, bit for bit: windows inside, across every border, outside, mirrored.
#include "kernels/cut.h"

#include "tests/cuda/traffic_testing.h"

namespace fovea::kernels {
namespace {

template <class T> class CudaCut : public testing::Test {};
using Types = testing::Types<float, bfloat16>;
TYPED_TEST_SUITE(CudaCut, Types);

std::vector<float> table_of(std::int64_t c) { return spread<float>(256 * c, 5); }
std::vector<std::uint8_t> pixels_of(std::int64_t n) {
  std::vector<std::uint8_t> p;
  for (std::int64_t i = 0; i < n; ++i) p.push_back(static_cast<std::uint8_t>(i * 37 + i / 11));
  return p;
}

TYPED_TEST(CudaCut, IsTheHosts) {
  using T = TypeParam;
  // Pictures of several sizes behind each other; the last is as large as its window.
  const std::vector<Cut> places{{.h = 9, .w = 8, .top = 2, .left = 1},    {.h = 5, .w = 6, .top = -2, .left = -3, .flip = true},
                                {.h = 7, .w = 7, .top = 4, .left = 3},    {.h = 3, .w = 4, .top = 5, .left = 0},
                                {.h = 3, .w = 4, .top = 0, .left = -40},  {.h = 5, .w = 7, .top = 0, .left = 0, .flip = true},
                                {.h = 1, .w = 30, .top = -4, .left = 25}, {.h = 5, .w = 7}};
  for (const std::int64_t c : {1, 3, 4}) {
    std::vector<Cut> cuts = places;
    std::int64_t bytes = 0;
    for (Cut& place : cuts) {
      place.first = bytes;
      bytes += std::int64_t{place.h} * place.w * c;
    }
    for (const CutShape& s : {CutShape{std::ssize(cuts), 5, 7, c}, {std::ssize(cuts), 1, 1, c}, {1, 3, 40, c}, {0, 5, 7, c}}) {
      SCOPED_TRACE(testing::Message() << s.n << " windows of " << s.height << " x " << s.width << " x " << c);
      const std::vector<std::uint8_t> pixels = pixels_of(bytes);
      const std::vector<float> table = table_of(c);
      std::vector<T> want(std::size_t(s.n * s.height * s.width * c));
      cut(Cpu{}, pixels.data(), cuts.data(), table.data(), want.data(), s);
      const std::vector<T> got = same_on_every_schedule<T>([&] {
        DeviceArray<std::uint8_t> pixels_device(pixels);
        DeviceArray<Cut> cuts_device(cuts);
        DeviceArray<float> table_device(table);
        DeviceArray<T> y(want.size());
        cut(Cuda{}, pixels_device.data(), cuts_device.data(), table_device.data(), y.data(), s);
        y.expect_guards_untouched();
        return y.host();
      });
      EXPECT_EQ(as<float>(got), as<float>(want));
    }
  }
}

TYPED_TEST(CudaCut, TheDefinitionOnAFewPixels) {
  using T = TypeParam;
  const std::vector<std::uint8_t> pixels{10, 20, 30, 40};   // 2 x 2, one channel
  std::vector<float> table(256);
  for (std::size_t p = 0; p < 256; ++p) table[p] = float(p);
  DeviceArray<std::uint8_t> pixels_device(pixels);
  DeviceArray<float> table_device(table);
  DeviceArray<Cut> cuts(std::vector<Cut>{{.h = 2, .w = 2, .top = 1, .left = -1}, {.h = 2, .w = 2, .left = 0, .flip = true}});
  DeviceArray<T> y(8);
  cut(Cuda{}, pixels_device.data(), cuts.data(), table_device.data(), y.data(), {2, 2, 2, 1});
  EXPECT_EQ(as<float>(y.host()), (std::vector<float>{0, 30, 0, 0, 20, 10, 40, 30}));
}

#ifdef FOVEA_CUDA_EMULATED
TYPED_TEST(CudaCut, MovesWhatMustMove) {
  using T = TypeParam;
  if (!emulator::checks_available()) GTEST_SKIP() << "accesses are not counted in this build";
  const CutShape s{2, 32, 32, 3};
  const std::size_t n = 2 * 32 * 32 * 3;
  DeviceArray<std::uint8_t> pixels(pixels_of(std::int64_t(n)));
  DeviceArray<float> table(table_of(3));
  DeviceArray<Cut> cuts(std::vector<Cut>{{.h = 32, .w = 32}, {.first = 32 * 32 * 3, .h = 32, .w = 32, .flip = true}});
  DeviceArray<T> y(n);
  const auto launches = launches_of([&] { cut(Cuda{}, pixels.data(), cuts.data(), table.data(), y.data(), s); }, "cut (2, 32, 32, 3)");
  ASSERT_EQ(launches.size(), 1u);
  // From a cache: a number of the table for each output, and 25 bytes of a Cut for each 16 of them.
  expect_bytes(launches[0], double(n * (1 + sizeof(T))), double(n * sizeof(float)) + 25 * double(n * sizeof(T) / 16), 1.);
  EXPECT_EQ(launches[0].global_store_sectors * 32, n * sizeof(T));
}
#endif

}   // namespace
}   // namespace fovea::kernels
