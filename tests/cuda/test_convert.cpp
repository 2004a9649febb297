// Conversions on the device are those of the host, bit for bit: ties, denormals, infinities and NaN among them.
#include "kernels/convert.h"

#include "tests/cuda/traffic_testing.h"

namespace fovea::kernels {
namespace {

template <class From, class To> void expect_converted(const std::vector<From>& x) {
  std::vector<To> want(x.size());
  convert(Cpu{}, x.data(), want.data(), std::ssize(x));
  const std::vector<To> got = same_on_every_schedule<To>(
      [&] {
        DeviceArray<From> x_device(x);
        DeviceArray<To> y(x.size());
        convert(Cuda{}, static_cast<const From*>(x_device.data()), y.data(), std::ssize(x));
        y.expect_guards_untouched();
        return y.host();
      },
      true);
  EXPECT_EQ(hash_of(got), hash_of(want));
}

TEST(CudaConvert, IsTheHosts) {
  for (std::int64_t n : {0, 1, 7, 8, 33, 2057}) {   // 2057: one past a block
    std::vector<float> x = spread<float>(n, 1);
    if (n > 30) {
      const float edges[] = {INFINITY, -INFINITY, NAN, 1e-40f, -0.f, 0x1.01p0f, 0x1.03p0f, 0x1.010002p0f, 3.4e38f};
      std::copy(std::begin(edges), std::end(edges), x.begin() + 20);
    }
    expect_converted<float, bfloat16>(x);
    std::vector<bfloat16> narrow = as<bfloat16>(x);
    if (n > 30) narrow[3].bits = 1, narrow[4].bits = 0x8001;   // denormal
    expect_converted<bfloat16, float>(narrow);
  }
}

TEST(CudaConvert, BytesAreTheContracts) {
  DeviceArray<float> wide(spread<float>(8192, 1));
  DeviceArray<bfloat16> narrow(8192);
  expect_traffic(
      6 * 8192, [&] { convert(Cuda{}, static_cast<const float*>(wide.data()), narrow.data(), 8192); },
      "conversion of 8192, float to bfloat16");
}

}   // namespace
}   // namespace fovea::kernels
