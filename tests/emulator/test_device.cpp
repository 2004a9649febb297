// Tensor-core fragments against a triple loop, ldmatrix against its drawing, counters against counting by hand, intrinsics against their
// documented errors.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>

#include "tests/cuda/traffic_testing.h"
#include "tests/emulator/device_cases.h"

namespace fovea::kernels {
namespace {

class EachSchedule : public testing::TestWithParam<emulator::Schedule> {
 protected:
  void SetUp() override { emulator::set_schedule(GetParam()); }
  void TearDown() override { emulator::set_schedule({}); }
};
INSTANTIATE_TEST_SUITE_P(Emulator, EachSchedule, testing::ValuesIn(emulator::schedules()), [](const auto& i) { return i.param.name(); });

template <class T> std::vector<float> product(const std::vector<T>& a, const std::vector<T>& b, std::vector<float> c, int m, int n, int k) {
  for (int i = 0; i < m; ++i)
    for (int j = 0; j < n; ++j)
      for (int l = 0; l < k; ++l) c[i * n + j] += float(a[i * k + l]) * float(b[l * n + j]);
  return c;
}

TEST_P(EachSchedule, MmaIsAMatrixProduct) {
  std::vector<bfloat16> a, b;
  std::vector<float> c, fa, fb;
  for (int i = 0; i < 256; ++i) a.push_back(bfloat16(float(i * 7 % 23 - 11)));
  for (int i = 0; i < 128; ++i) b.push_back(bfloat16(float(i * 5 % 13 - 6))), c.push_back(float(i));
  DeviceArray<bfloat16> a_device(a), b_device(b);
  DeviceArray<float> right(c), wrong(c);
  mma_bf16_case(false, a_device.data(), b_device.data(), right.data());
  EXPECT_EQ(right.host(), product(a, b, c, 16, 8, 16));
  mma_bf16_case(true, a_device.data(), b_device.data(), wrong.data());
  EXPECT_NE(wrong.host(), product(a, b, c, 16, 8, 16)) << "a wrong fragment layout must not go unnoticed";

  for (int i = 0; i < 128; ++i) fa.push_back(float(i * 7 % 23 - 11));
  for (int i = 0; i < 64; ++i) fb.push_back(float(i * 5 % 13 - 6));
  DeviceArray<float> fa_device(fa), fb_device(fb), tf32(c);
  mma_tf32_case(fa_device.data(), fb_device.data(), tf32.data());
  EXPECT_EQ(tf32.host(), product(fa, fb, c, 16, 8, 8));
}

TEST(EmulatedTensorCore, TakesTf32WithoutItsLowestBits) {
  std::vector<float> a(128, 0.f), b(64, 0.f), c(128, 0.f);
  a[0] = 1 + 0x1p-11f;   // half a unit of tf32, which has 10 bits: rounds away from 0
  b[0] = 1;
  DeviceArray<float> a_device(a), b_device(b), c_device(c);
  mma_tf32_case(a_device.data(), b_device.data(), c_device.data());
  EXPECT_EQ(c_device.host()[0], 1 + 0x1p-10f);
  a[0] = std::bit_cast<float>(0x7fffffffu);   // a NaN whose rounding would carry into the sign
  DeviceArray<float> nan_device(a), sum_device(c);
  mma_tf32_case(nan_device.data(), b_device.data(), sum_device.data());
  EXPECT_TRUE(std::isnan(sum_device.host()[0]));
}

TEST_P(EachSchedule, LoadMatrixIsAsDrawn) {
  std::vector<std::uint16_t> in;
  for (int i = 0; i < 256; ++i) in.push_back(std::uint16_t(i + 1));
  for (bool transpose : {false, true}) {
    DeviceArray<std::uint16_t> in_device(in);
    DeviceArray<std::uint32_t> out_device(128);
    load_matrix_case(transpose, in_device.data(), out_device.data());
    const auto out = out_device.host();
    for (int lane = 0; lane < 32; ++lane)
      for (int i = 0; i < 4; ++i) {
        const auto element = [&](int r, int c) { return std::uint32_t{in[i * 64 + (transpose ? c * 8 + r : r * 8 + c)]}; };
        EXPECT_EQ(out[lane * 4 + i], element(lane / 4, lane % 4 * 2) | element(lane / 4, lane % 4 * 2 + 1) << 16) << lane << " " << i;
      }
  }
}

emulator::Counters counted(const std::function<void()>& f) {
  const auto all = launches_of(f, "a case of the emulator's tests");
  EXPECT_EQ(all.size(), 1u);
  return all.empty() ? emulator::Counters{} : all[0];
}

TEST_P(EachSchedule, CountersAreWhatTheMemorySystemDoes) {
  if (!emulator::checks_available()) GTEST_SKIP() << "this build does not see accesses";
  DeviceArray<float> x(std::vector<float>(64 * 9, 1.f)), y(1024);
  const auto copy = [&](int stride) { return counted([&] { strided_copy(x.data(), y.data(), stride); }); };
  EXPECT_EQ(copy(1).global_load_bytes, 256u);
  EXPECT_EQ(copy(1).global_load_sectors, 8u);    // 64 floats are 8 sectors of 32 bytes
  EXPECT_EQ(copy(2).global_load_sectors, 16u);   // half of each is wanted
  EXPECT_EQ(copy(8).global_load_sectors, 64u);   // a sector each
  EXPECT_EQ(copy(0).global_load_sectors, 2u);    // one for each warp
  EXPECT_EQ(copy(8).global_store_sectors, 8u);
  EXPECT_EQ(copy(1).kernel, "strided_copy_kernel");
  const auto vectors = counted([&] { vector_copy(x.data(), y.data()); });
  EXPECT_EQ(vectors.global_load_bytes, 1024u);
  EXPECT_EQ(vectors.global_load_sectors, 32u);
  EXPECT_EQ(vectors.global_store_sectors, 32u);

  DeviceArray<float> square(std::vector<float>(1024, 1.f));
  const auto padded = counted([&] { transpose_32(true, square.data(), y.data()); });
  EXPECT_EQ(padded.shared_ideal_wavefronts, 64u);
  EXPECT_EQ(padded.shared_wavefronts, 64u);   // rows and columns without a conflict
  const auto conflicts = counted([&] { transpose_32(false, square.data(), y.data()); });
  EXPECT_EQ(conflicts.shared_ideal_wavefronts, 64u);
  EXPECT_EQ(conflicts.shared_wavefronts, 32u + 32 * 32);   // a column lies in one bank

  std::vector<bfloat16> zero(256, bfloat16(0.f));
  DeviceArray<bfloat16> a(zero), b(zero);
  DeviceArray<float> c(std::vector<float>(128, 0.f));
  const auto mma = counted([&] { mma_bf16_case(false, a.data(), b.data(), c.data()); });
  EXPECT_EQ(mma.mma, 1u);
  EXPECT_EQ(mma.mma_flops, 2u * 16 * 8 * 16);
}

TEST(EmulatedIntrinsics, ErrWithinWhatIsDocumentedAndDoErr) {
  std::vector<float> x;
  for (float v = -60; v < 60; v += 0.0371f) x.push_back(v == 0 ? 1 : v);
  DeviceArray<float> x_device(x), y_device(5 * x.size());
  intrinsics(x_device.data(), y_device.data(), int(x.size()));
  const auto y = y_device.host();
  int inexact = 0;
  const auto ulps = [&](float got, double want) {
    if (got != float(want)) ++inexact;
    return std::abs(got - want) / std::ldexp(1., std::ilogb(want) - 23);
  };
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double v = x[i], magnitude = std::abs(v);
    ASSERT_LE(ulps(y[5 * i], std::exp(v)), 2 + std::floor(1.173 * magnitude)) << v;
    if (magnitude >= 0.5 && magnitude <= 2)
      ASSERT_LE(std::abs(y[5 * i + 1] - std::log(magnitude)), std::pow(2, -21.41)) << v;
    else
      ASSERT_LE(ulps(y[5 * i + 1], std::log(magnitude)), 3) << v;
    ASSERT_LE(ulps(y[5 * i + 2], 1 / std::sqrt(magnitude)), 2) << v;
    ASSERT_LE(ulps(y[5 * i + 3], 1 / v), 2) << v;
    ASSERT_EQ(y[5 * i + 4], float(__builtin_popcount(unsigned(i)) + (i == 0 ? 32 : __builtin_clz(unsigned(i))) + __builtin_ffs(int(i))));
  }
  EXPECT_GT(inexact, int(x.size()));   // of 4 x.size()
}

}   // namespace
}   // namespace fovea::kernels
