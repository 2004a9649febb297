// Products on the device: float bit for bit the textbook chain, bfloat16 exact on small integers and within the rounding bound on others,
// in every layout, at every edge of a tile; the same bits under every schedule.
#include "kernels/gemm.h"

#include <array>
#include <cmath>
#include <cstring>

#include "tests/cuda/device_testing.h"

namespace fovea::kernels {
namespace {

using std::int64_t;

int64_t span_of(int64_t rows, int64_t row, int64_t cols, int64_t batch, int64_t stride) {
  return rows == 0 || cols == 0 ? 0 : (batch - 1) * stride + (rows - 1) * row + cols;
}
int64_t size_a(const GemmShape& s) {
  return s.transpose_a ? span_of(s.k, s.row_a(), s.m, s.batch, s.stride_a) : span_of(s.m, s.row_a(), s.k, s.batch, s.stride_a);
}
int64_t size_b(const GemmShape& s) {
  return s.transpose_b ? span_of(s.n, s.row_b(), s.k, s.batch, s.stride_b) : span_of(s.k, s.row_b(), s.n, s.batch, s.stride_b);
}
int64_t size_c(const GemmShape& s) { return span_of(s.m, s.row_c(), s.n, s.batch, s.stride_c); }

template <class T, class TC>
std::vector<TC> run(const std::vector<T>& a, const std::vector<T>& b, const std::vector<TC>& c, const GemmShape& s, Epilogue<TC> e = {}) {
  DeviceArray<T> a_device(a), b_device(b);
  DeviceArray<TC> c_device(c);
  EXPECT_EQ(gemm_workspace_bytes<T>(Cuda{}, s), 0u);
  gemm(Cuda{}, static_cast<const T*>(a_device.data()), static_cast<const T*>(b_device.data()), c_device.data(), s, e, nullptr);
  c_device.expect_guards_untouched();
  return c_device.host();
}

/// One fma chain for each output, in float.
std::vector<float> chain(const std::vector<float>& a, const std::vector<float>& b, std::vector<float> c, const GemmShape& s) {
  for (int64_t z = 0; z < s.batch; ++z)
    for (int64_t i = 0; i < s.m; ++i)
      for (int64_t j = 0; j < s.n; ++j) {
        float sum = 0;
        for (int64_t k = 0; k < s.k; ++k)
          sum = std::fma(a[z * s.stride_a + (s.transpose_a ? k * s.row_a() + i : i * s.row_a() + k)],
                         b[z * s.stride_b + (s.transpose_b ? j * s.row_b() + k : k * s.row_b() + j)], sum);
        c[z * s.stride_c + i * s.row_c() + j] = sum;
      }
  return c;
}

/// Every combination of layouts; `few` for shapes that take long.
std::vector<GemmShape> shapes() {
  std::vector<GemmShape> list;
  for (bool ta : {false, true})
    for (bool tb : {false, true}) {
      for (auto [m, n, k] : {std::array<int64_t, 3>{1, 1, 1}, {3, 5, 7}, {33, 17, 9}, {16, 8, 16}, {64, 40, 32}})
        list.push_back({.m = m, .n = n, .k = k, .transpose_a = ta, .transpose_b = tb});
      list.push_back({.m = 9, .n = 10, .k = 11, .transpose_a = ta, .transpose_b = tb, .lda = 16, .ldb = 24, .ldc = 13});
      list.push_back({.m = 8, .n = 16, .k = 24, .transpose_a = ta, .transpose_b = tb, .lda = 40, .ldb = 48, .ldc = 24});
    }
  list.push_back({.m = 130, .n = 136, .k = 40});   // past a tile in every direction
  list.push_back({.m = 5, .n = 6, .k = 0});
  list.push_back({.m = 0, .n = 6, .k = 3});
  list.push_back({.m = 7, .n = 6, .k = 5, .batch = 3, .stride_a = 40, .stride_b = 0, .stride_c = 50});
  list.push_back({.m = 24, .n = 16, .k = 16, .transpose_b = true, .batch = 2, .stride_a = 384, .stride_b = 256, .stride_c = 384});
  return list;
}
std::string text(const GemmShape& s) {
  return std::to_string(s.m) + "x" + std::to_string(s.n) + "x" + std::to_string(s.k) + (s.transpose_a ? " a^T" : "") +
         (s.transpose_b ? " b^T" : "") + " lda " + std::to_string(s.lda) + " batch " + std::to_string(s.batch);
}
bool small(const GemmShape& s) { return s.m * s.n * s.k < 10000; }

TEST(CudaGemm, FloatIsTheTextbookChainBitForBit) {
  for (const GemmShape& s : shapes()) {
    const auto a = spread<float>(size_a(s), 1), b = spread<float>(size_b(s), 2), c = spread<float>(size_c(s), 3);
    const auto got = same_on_every_schedule<float>([&] { return run(a, b, c, s); }, !small(s));
    const auto want = chain(a, b, c, s);
    ASSERT_EQ(got.size(), want.size());
    EXPECT_TRUE(got.empty() || std::memcmp(got.data(), want.data(), got.size() * sizeof(float)) == 0) << text(s);
  }
}

/// Integers up to 8 have exact products and sums in any order: a wrong fragment layout cannot hide.
template <class TC> void check_integers(const GemmShape& s) {
  std::vector<bfloat16> a, b;
  for (int64_t i = 0; i < size_a(s); ++i) a.push_back(bfloat16(float((i * 7 + i / 13) % 17 - 8)));
  for (int64_t i = 0; i < size_b(s); ++i) b.push_back(bfloat16(float((i * 5 + i / 11) % 7 - 3)));
  std::vector<TC> c(size_c(s), TC(0.f));
  const auto got = same_on_every_schedule<TC>([&] { return run(a, b, c, s); }, !small(s));
  const auto want = as<TC>(chain(as<float>(a), as<float>(b), as<float>(c), s));
  ASSERT_EQ(got.size(), want.size());
  for (std::size_t i = 0; i < got.size(); ++i) ASSERT_EQ(float(got[i]), float(want[i])) << text(s) << " at " << i;
}
TEST(CudaGemm, BFloat16IsExactOnSmallIntegers) {
  for (const GemmShape& s : shapes()) {
    check_integers<float>(s);
    check_integers<bfloat16>(s);
  }
}

TEST(CudaGemm, BFloat16IsWithinTheRoundingBound) {
  for (const GemmShape& s : shapes()) {
    const auto a = spread<bfloat16>(size_a(s), 1), b = spread<bfloat16>(size_b(s), 2), c = spread<bfloat16>(size_c(s), 3);
    const auto got = run(a, b, c, s);
    std::vector<double> want = as<double>(c);
    const auto da = as<double>(a), db = as<double>(b);
    gemm(Reference{}, da.data(), db.data(), want.data(), s, Epilogue<double>{}, nullptr);
    expect_close(got, want, unit_roundoff<bfloat16>, 4 * double(s.k) * 0x1p-24 * double(s.k), text(s).c_str());   // |a b| <= 1
  }
}

template <class T> void check_epilogues(double relative) {
  const GemmShape s{.m = 100, .n = 40, .k = 24};
  const auto a = spread<T>(size_a(s), 1), b = spread<T>(size_b(s), 2), c = spread<T>(size_c(s), 3), residual = spread<T>(size_c(s), 4);
  const auto scale = spread<float>(s.n, 5), shift = spread<float>(s.n, 6);
  const auto da = as<double>(a), db = as<double>(b), dr = as<double>(residual), dscale = as<double>(scale), dshift = as<double>(shift);
  DeviceArray<T> residual_device(residual);
  DeviceArray<float> scale_device(scale), shift_device(shift), partials(2 * stat_tiles(s.m) * s.n);
  for (int parts = 0; parts < 32; ++parts) {
    Epilogue<T> e;
    Epilogue<double> want_e;
    std::vector<double> want_partials(partials.size());
    if (parts & 1) e.scale = scale_device.data(), want_e.scale = dscale.data();
    if (parts & 2) e.shift = shift_device.data(), want_e.shift = dshift.data();
    if (parts & 4) e.residual = residual_device.data(), want_e.residual = dr.data();
    if (parts & 8) e.activation = want_e.activation = Activation::gelu;
    if (parts & 16) e.partials = partials.data(), want_e.partials = want_partials.data();
    if (parts == 0) e.accumulate = want_e.accumulate = true;
    const auto got = run(a, b, c, s, e);
    std::vector<double> want = as<double>(c);
    gemm(Reference{}, da.data(), db.data(), want.data(), s, want_e, nullptr);
    expect_close(got, want, relative, 1e-5, "epilogue");
    if (parts & 16) {   // of the rounded output
      const auto stats = partials.host();
      for (int64_t tile = 0; tile < stat_tiles(s.m); ++tile)
        for (int64_t j = 0; j < s.n; ++j) {
          const int64_t first = tile * kStatRows, last = std::min(s.m, first + kStatRows);
          double mean = 0, m2 = 0;
          for (int64_t i = first; i < last; ++i) mean += double(got[i * s.n + j]) / double(last - first);
          for (int64_t i = first; i < last; ++i) m2 += (double(got[i * s.n + j]) - mean) * (double(got[i * s.n + j]) - mean);
          ASSERT_NEAR(stats[2 * tile * s.n + j], mean, 1e-5);
          ASSERT_NEAR(stats[(2 * tile + 1) * s.n + j], m2, 1e-4 * m2 + 1e-6);
        }
    }
  }
}
TEST(CudaGemm, EpiloguesAreTheReferences) {
  check_epilogues<float>(1e-5);
  check_epilogues<bfloat16>(2 * unit_roundoff<bfloat16>);
}

#ifdef FOVEA_CUDA_EMULATED
template <class T> emulator::Counters counted(const GemmShape& s) {
  const std::vector<T> a(size_a(s), T(1.f)), b(size_b(s), T(1.f)), c(size_c(s), T(0.f));
  emulator::take_counters();
  emulator::set_counting(true);
  run(a, b, c, s);
  emulator::set_counting(false);
  return emulator::take_counters().at(0);
}

// What the hardware would do, on shapes that are multiples of the tile.
TEST(CudaGemm, TensorCoresGetTheirOperandsWithoutDetours) {
  if (!emulator::checks_available()) GTEST_SKIP() << "this build does not see accesses";
  for (bool ta : {false, true})
    for (bool tb : {false, true}) {
      const GemmShape s{.m = 256, .n = 128, .k = 64, .transpose_a = ta, .transpose_b = tb};
      const emulator::Counters c = counted<bfloat16>(s);
      SCOPED_TRACE(text(s) + " in " + c.kernel);
      EXPECT_EQ(c.mma_flops, std::uint64_t(2 * s.m * s.n * s.k));
      // Each tile of 128 rows reads all columns and each tile of columns all rows: (2 x 128 x 64 for A, twice 128 x 64 for B) x 2 B.
      const std::uint64_t operands = 2 * (s.m * s.k * (s.n / 128) + s.n * s.k * (s.m / 128));
      EXPECT_EQ(c.async_bytes, operands);   // all of it by cp.async
      EXPECT_EQ(c.global_load_bytes, operands);
      EXPECT_EQ(c.global_load_sectors * 32, operands);
      EXPECT_EQ(c.global_store_sectors * 32, std::uint64_t(2 * s.m * s.n));
      EXPECT_EQ(c.shared_wavefronts, c.shared_ideal_wavefronts);   // the swizzle leaves no conflict
    }
}

TEST(CudaGemm, FloatTilesAreReadWithoutConflicts) {
  if (!emulator::checks_available()) GTEST_SKIP() << "this build does not see accesses";
  for (bool ta : {false, true})
    for (bool tb : {false, true}) {
      const GemmShape s{.m = 128, .n = 256, .k = 16, .transpose_a = ta, .transpose_b = tb};
      const emulator::Counters c = counted<float>(s);
      SCOPED_TRACE(text(s));
      const std::uint64_t operands = 4 * (s.m * s.k * (s.n / 128) + s.n * s.k * (s.m / 128));
      EXPECT_EQ(c.global_load_sectors * 32, operands);
      EXPECT_EQ(c.global_store_sectors * 32, std::uint64_t(4 * s.m * s.n));
      EXPECT_LE(double(c.shared_wavefronts), 1.02 * double(c.shared_ideal_wavefronts));
    }
}
#endif

}   // namespace
}   // namespace fovea::kernels
