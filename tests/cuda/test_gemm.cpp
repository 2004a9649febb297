// Products on the device: float bit for bit the textbook chain, bfloat16 exact on small integers and within the rounding bound on others,
// in every layout, at every edge of a tile; the same bits under every schedule.
#include "kernels/gemm.h"

#include "tests/cuda/traffic_testing.h"
#include "tests/kernels/gemm_testing.h"

namespace fovea::kernels {
namespace {

using std::int64_t;

template <class T> const T* in(DeviceArray<T>& a) { return a.data(); }

template <class T, class TC>
std::vector<TC> run(const std::vector<T>& a, const std::vector<T>& b, const std::vector<TC>& c, const GemmShape& s, Epilogue<TC> e = {}) {
  DeviceArray<T> a_device(a), b_device(b);
  DeviceArray<TC> c_device(c);
  EXPECT_EQ(gemm_workspace_bytes<T>(Cuda{}, s), 0u);
  gemm(Cuda{}, in(a_device), in(b_device), c_device.data(), s, e, nullptr);
  c_device.expect_guards_untouched();
  return c_device.host();
}

/// Every edge of a tile, in every layout, with gaps between rows, without k, m or n.
std::vector<GemmShape> shapes() {
  std::vector<GemmShape> list = in_every_layout({{.m = 1, .n = 1, .k = 1},
                                                 {.m = 3, .n = 5, .k = 7},
                                                 {.m = 33, .n = 17, .k = 9},
                                                 {.m = 16, .n = 8, .k = 16},
                                                 {.m = 64, .n = 40, .k = 32},
                                                 {.m = 9, .n = 10, .k = 11, .lda = 16, .ldb = 24, .ldc = 13},
                                                 {.m = 8, .n = 16, .k = 24, .lda = 40, .ldb = 48, .ldc = 24}});
  list.push_back({.m = 130, .n = 136, .k = 40});   // past a tile in every direction
  list.push_back({.m = 5, .n = 6, .k = 0});
  list.push_back({.m = 0, .n = 6, .k = 3});
  list.push_back({.m = 7, .n = 6, .k = 5, .batch = 3, .stride_a = 40, .stride_b = 0, .stride_c = 50});
  list.push_back({.m = 24, .n = 16, .k = 16, .transpose_b = true, .batch = 2, .stride_a = 384, .stride_b = 256, .stride_c = 384});
  return list;
}
/// Those that take long run under few schedules.
bool small(const GemmShape& s) { return s.m * s.n * s.k < 10000; }

TEST(CudaGemm, FloatIsTheTextbookChainBitForBit) {
  for (const GemmShape& s : shapes()) {
    const auto a = spread<float>(size_a(s), 1), b = spread<float>(size_b(s), 2), c = spread<float>(size_c(s), 3);
    const auto got = same_on_every_schedule<float>([&] { return run(a, b, c, s); }, !small(s));
    EXPECT_EQ(first_difference(got, chain(a, b, c, s)), -1) << name(s);
  }
}

/// Integers up to 8 have exact products and sums in any order: a wrong fragment layout cannot hide.
template <class TC> void check_integers(const GemmShape& s) {
  std::vector<bfloat16> a, b;
  for (int64_t i = 0; i < size_a(s); ++i) a.push_back(bfloat16(float((i * 7 + i / 13) % 17 - 8)));
  for (int64_t i = 0; i < size_b(s); ++i) b.push_back(bfloat16(float((i * 5 + i / 11) % 7 - 3)));
  std::vector<TC> c(size_c(s), TC(0.f));
  const auto got = same_on_every_schedule<TC>([&] { return run(a, b, c, s); }, !small(s));
  EXPECT_EQ(first_difference(got, as<TC>(chain(as<float>(a), as<float>(b), as<float>(c), s))), -1) << name(s);
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
    SCOPED_TRACE(name(s));
    expect_within(run(a, b, c, s), gemm_reference(a, b, c, s), gemm_reference(a, b, c, s, {}, true), 4 * double(s.k) * 0x1p-24);
  }
}

/// Every part of an epilogue, in every combination. Float: the bits of the chain and its epilogue, operation by operation, where the
/// activation is a ReLU. Else 4 K 2^-24 sum |a b| with K = k and a few operations of the epilogue; GELU, whose slope is below 1.13, has an
/// error of its own (tests/kernels/activation_testing.h).
template <class T> void check_epilogues() {
  const GemmShape s{.m = 100, .n = 40, .k = 24};
  const auto a = spread<T>(size_a(s), 1), b = spread<T>(size_b(s), 2), c = spread<T>(size_c(s), 3), residual = spread<T>(size_c(s), 4);
  const auto scale = spread<float>(s.n, 5), shift = spread<float>(s.n, 6);
  const auto dr = as<double>(residual), dscale = as<double>(scale), dshift = as<double>(shift);
  const auto ar = absolute(dr), ascale = absolute(dscale), ashift = absolute(dshift);
  DeviceArray<T> residual_device(residual);
  DeviceArray<float> scale_device(scale), shift_device(shift), partials(2 * stat_tiles(s.m) * s.n);
  for (const Activation activation : {Activation::none, Activation::relu, Activation::gelu})
    for (int parts = 0; parts < 16; ++parts) {
      SCOPED_TRACE(std::to_string(parts) + ", activation " + std::to_string(int(activation)));
      Epilogue<T> e{.activation = activation};
      Epilogue<double> want{.activation = activation}, size;
      Epilogue<float> host{.activation = activation};
      const auto fr = as<float>(residual);
      if (parts & 1) e.scale = scale_device.data(), want.scale = dscale.data(), size.scale = ascale.data(), host.scale = scale.data();
      if (parts & 2) e.shift = shift_device.data(), want.shift = dshift.data(), size.shift = ashift.data(), host.shift = shift.data();
      if (parts & 4) e.residual = residual_device.data(), want.residual = dr.data(), size.residual = ar.data(), host.residual = fr.data();
      if (parts & 8) e.partials = partials.data();
      e.accumulate = want.accumulate = size.accumulate = host.accumulate = parts == 0 && activation == Activation::none;
      const auto got = run(a, b, c, s, e);
      if (std::is_same_v<T, float> && activation != Activation::gelu) {
        EXPECT_EQ(first_difference(as<float>(got), chain(as<float>(a), as<float>(b), as<float>(c), s, host)), -1);
      }
      const bool gelu = activation == Activation::gelu;
      expect_within(got, gemm_reference(a, b, c, s, want), gemm_reference(a, b, c, s, size, true),
                    1.13 * 4 * double(s.k + 4) * 0x1p-24 + (gelu ? 8 * 0x1p-23 : 0), gelu ? 0x1p-21 : 0);
      if (parts & 8) expect_partials(partials.host(), got, s.m, s.n);   // of the rounded output
    }
}
TEST(CudaGemm, EpiloguesAreTheReferences) {
  check_epilogues<float>();
  check_epilogues<bfloat16>();
}

#ifdef FOVEA_CUDA_EMULATED
template <class T> emulator::Counters counted(const GemmShape& s) {
  const std::vector<T> a(size_a(s), T(1.f)), b(size_b(s), T(1.f)), c(size_c(s), T(0.f));
  return launches_of([&] { run(a, b, c, s); }).at(0);
}

// What the hardware would do, on shapes that are multiples of the tile.
TEST(CudaGemm, TensorCoresGetTheirOperandsWithoutDetours) {
  if (!emulator::checks_available()) GTEST_SKIP() << "this build does not see accesses";
  for (bool ta : {false, true})
    for (bool tb : {false, true}) {
      const GemmShape s{.m = 256, .n = 128, .k = 64, .transpose_a = ta, .transpose_b = tb};
      const emulator::Counters c = counted<bfloat16>(s);
      SCOPED_TRACE(name(s) + " in " + c.kernel);
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
      SCOPED_TRACE(name(s));
      const std::uint64_t operands = 4 * (s.m * s.k * (s.n / 128) + s.n * s.k * (s.m / 128));
      EXPECT_EQ(c.global_load_sectors * 32, operands);
      EXPECT_EQ(c.global_store_sectors * 32, std::uint64_t(4 * s.m * s.n));
      EXPECT_LE(double(c.shared_wavefronts), 1.02 * double(c.shared_ideal_wavefronts));
    }
}
#endif

}   // namespace
}   // namespace fovea::kernels
