// Products on the device: float bit for bit the textbook chain, bfloat16 and tf32 exact on small integers and within the rounding bound on
// others, in every layout, at every edge of a tile, with k cut in slices; the same bits under every schedule.
#include "kernels/device.h"
#include "kernels/gemm.h"

#include "tests/cuda/traffic_testing.h"
#include "tests/kernels/gemm_testing.h"

namespace fovea::kernels {
namespace {

using std::int64_t;

template <class T> const T* in(DeviceArray<T>& a) { return a.data(); }

template <class T, class TC>
std::vector<TC> run(const std::vector<T>& a, const std::vector<T>& b, const std::vector<TC>& c, const GemmShape& s, Epilogue<TC> e = {},
                    Cuda be = {}) {
  DeviceArray<T> a_device(a), b_device(b);
  DeviceArray<TC> c_device(c);
  DeviceArray<char> workspace(gemm_workspace_bytes<T>(be, s));
  gemm(be, in(a_device), in(b_device), c_device.data(), s, e, workspace.data());
  c_device.expect_guards_untouched();
  workspace.expect_guards_untouched();
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

constexpr Cuda kTf32{.tf32 = true};
constexpr Cuda kCublas{.cublas = true}, kCublasTf32{.tf32 = true, .cublas = true};
bool has_cublas() { return cuda_device({}).facts().cublas; }

/// Integers up to 8 have exact products and sums in any order: a wrong fragment layout cannot hide.
template <class T, class TC> void check_integers(const GemmShape& s, Cuda be = {}) {
  std::vector<T> a, b;
  for (int64_t i = 0; i < size_a(s); ++i) a.push_back(T(float((i * 7 + i / 13) % 17 - 8)));
  for (int64_t i = 0; i < size_b(s); ++i) b.push_back(T(float((i * 5 + i / 11) % 7 - 3)));
  std::vector<TC> c(size_c(s), TC(0.f));
  const auto got = same_on_every_schedule<TC>([&] { return run(a, b, c, s, {}, be); }, !small(s));
  EXPECT_EQ(first_difference(got, as<TC>(chain(as<float>(a), as<float>(b), as<float>(c), s))), -1) << name(s);
}
TEST(CudaGemm, TensorCoresAreExactOnSmallIntegers) {
  for (const GemmShape& s : shapes()) {
    check_integers<bfloat16, float>(s);
    check_integers<bfloat16, bfloat16>(s);
    check_integers<float, float>(s, kTf32);
  }
}

// Few outputs and a long sum: two slices, of one matrix and of two; rows that tensor cores can take, and a third slice.
const GemmShape kLong{.m = 5, .n = 6, .k = 1100},
    kLongBatch{.m = 3, .n = 2, .k = 1030, .batch = 2, .stride_a = 3090, .stride_b = 2060, .stride_c = 7};
const GemmShape kLongAligned{.m = 17, .n = 8, .k = 1056, .transpose_a = true, .lda = 24, .ldc = 9},
    kThreeSlices{.m = 16, .n = 24, .k = 1600};

TEST(CudaGemm, LongSumsAreCutInSlices) {
  const auto bytes = [](const GemmShape& s) { return gemm_workspace_bytes<float>(Cuda{}, s); };
  EXPECT_EQ(bytes(kLong), 2 * 5 * 6 * sizeof(float));
  EXPECT_EQ(bytes(kLongBatch), 2 * 2 * 3 * 2 * sizeof(float));
  EXPECT_EQ(bytes(kThreeSlices), 3 * 16 * 24 * sizeof(float));
  EXPECT_EQ(bytes({.m = 128 * 16, .n = 128 * 16, .k = 4096}), 0u);   // as many tiles as fill a card
  EXPECT_EQ(bytes({.m = 5, .n = 6, .k = 1023}), 0u);
  for (const GemmShape& s : {kLong, kLongBatch}) {
    SCOPED_TRACE(name(s));
    const auto a = spread<float>(size_a(s), 1), b = spread<float>(size_b(s), 2), c = spread<float>(size_c(s), 3);
    const auto residual = spread<float>(size_c(s), 4), scale = spread<float>(s.n, 5), shift = spread<float>(s.n, 6);
    DeviceArray<float> residual_device(residual), scale_device(scale), shift_device(shift);
    Epilogue<float> host{.accumulate = true}, e = host;
    if (s.batch == 1) {
      host = {.scale = scale.data(), .shift = shift.data(), .residual = residual.data(), .activation = Activation::relu};
      e = {.scale = scale_device.data(), .shift = shift_device.data(), .residual = residual_device.data(), .activation = Activation::relu};
    }
    const auto got = same_on_every_schedule<float>([&] { return run(a, b, c, s, e); }, true);
    EXPECT_EQ(first_difference(got, chain(a, b, c, s, host, s.batch == 1 ? 576 : 544)), -1);
  }
  for (const GemmShape& s : {kLongAligned, kThreeSlices}) {
    check_integers<bfloat16, bfloat16>(s);
    check_integers<float, float>(s, kTf32);
  }
}

TEST(CudaGemm, Tf32IsWithinItsRoundingBound) {
  // 10 bits of mantissa: an operand is off by 2^-11 of itself, a product by 2^-10 (1 + 2^-12); sums are those of float.
  std::vector<GemmShape> all = shapes();
  all.push_back(kThreeSlices);
  for (const GemmShape& s : all) {
    const auto a = spread<float>(size_a(s), 1), b = spread<float>(size_b(s), 2), c = spread<float>(size_c(s), 3);
    SCOPED_TRACE(name(s));
    expect_within(run(a, b, c, s, {}, kTf32), gemm_reference(a, b, c, s), gemm_reference(a, b, c, s, {}, true),
                  0x1p-10 * (1 + 0x1p-12) + 4 * double(s.k) * 0x1p-24);
  }
}

// Matrices, tiles and batch-norm partials lie along the x of a grid: its y and z end at 65535, here after 1.
TEST(CudaGemm, GridsMayBeLarge) {
#ifdef FOVEA_CUDA_EMULATED
  emulator::Profile flat = emulator::sm_80;
  flat.grid_yz = 1;
  emulator::set_profile(flat);
#endif
  check_integers<float, float>({.m = 130, .n = 2, .k = 3, .batch = 2, .stride_a = 390, .stride_b = 6, .stride_c = 260});
  check_integers<bfloat16, float>({.m = 130, .n = 8, .k = 8, .batch = 2, .stride_a = 1040, .stride_b = 64, .stride_c = 1040});
  const GemmShape tall{.m = 2 * kStatRows, .n = 1, .k = 1};
  DeviceArray<float> partials(4);
  run(std::vector<float>(tall.m, 2.f), {3.f}, std::vector<float>(tall.m), tall, {.partials = partials.data()});
  EXPECT_EQ(partials.host(), (std::vector<float>{6, 0, 6, 0}));
#ifdef FOVEA_CUDA_EMULATED
  emulator::set_profile(emulator::sm_80);
#endif
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
template <class T> void check_epilogues(Cuda be = {}) {
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
      const auto got = run(a, b, c, s, e, be);
      if (std::is_same_v<T, float> && !be.cublas && activation != Activation::gelu) {
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

// cuBLAS, emulated or not: operands in the right places, sums in float, our epilogue behind it.
TEST(CudaGemm, CublasMultipliesTheSameMatrices) {
  if (!has_cublas()) GTEST_SKIP() << "built without cuBLAS";
  std::vector<GemmShape> all = shapes();
  all.push_back(kLong);
  all.push_back(kLongBatch);
  for (const GemmShape& s : all) {
    check_integers<float, float>(s, kCublas);
    check_integers<float, float>(s, kCublasTf32);
    check_integers<bfloat16, float>(s, kCublas);
    check_integers<bfloat16, bfloat16>(s, kCublas);
  }
}
TEST(CudaGemm, CublasTakesOurEpilogues) {
  if (!has_cublas()) GTEST_SKIP() << "built without cuBLAS";
  check_epilogues<float>(kCublas);
  check_epilogues<bfloat16>(kCublas);
}

#ifdef FOVEA_CUDA_EMULATED
template <class T> std::vector<emulator::Counters> counted(const GemmShape& s, Cuda be = {}) {
  const std::vector<T> a(size_a(s), T(1.f)), b(size_b(s), T(1.f)), c(size_c(s), T(0.f));
  const std::string type = be.tf32 ? ", tf32" : std::is_same_v<T, float> ? ", float" : ", bfloat16";
  return launches_of([&] { run(a, b, c, s, {}, be); }, "GEMM " + name(s) + type);
}

// What the hardware would do, on shapes that are multiples of the tile.
template <class T> void check_tensor_cores(Cuda be) {
  for (const GemmShape& s : in_every_layout({{.m = 256, .n = 128, .k = 64}})) {
    const emulator::Counters c = counted<T>(s, be).at(0);
    SCOPED_TRACE(name(s) + " in " + c.kernel);
    EXPECT_EQ(c.mma_flops, std::uint64_t(2 * s.m * s.n * s.k));
    // Each tile of 128 rows reads all columns and each tile of columns all rows: 2 x 128 x 64 for A, twice 128 x 64 for B.
    const std::uint64_t operands = sizeof(T) * std::uint64_t(s.m * s.k * (s.n / 128) + s.n * s.k * (s.m / 128));
    EXPECT_EQ(c.async_bytes, operands);   // all of it by cp.async
    EXPECT_EQ(c.global_load_bytes, operands);
    EXPECT_EQ(c.global_load_sectors * 32, operands);
    EXPECT_EQ(c.global_store_sectors * 32, sizeof(T) * std::uint64_t(s.m * s.n));
    EXPECT_EQ(c.shared_wavefronts, c.shared_ideal_wavefronts);   // the swizzle leaves no conflict
  }
}
TEST(CudaGemm, TensorCoresGetTheirOperandsWithoutDetours) {
  if (!emulator::checks_available()) GTEST_SKIP() << "this build does not see accesses";
  check_tensor_cores<bfloat16>({});
  check_tensor_cores<float>(kTf32);
}

TEST(CudaGemm, SlicesAreWrittenAndReadOnce) {
  if (!emulator::checks_available()) GTEST_SKIP() << "this build does not see accesses";
  const GemmShape s{.m = 128, .n = 128, .k = 1024};
  const auto launches = counted<bfloat16>(s);
  ASSERT_EQ(launches.size(), 2u);
  const std::uint64_t c = std::uint64_t(s.m * s.n);
  EXPECT_EQ(launches[0].blocks, 2u);
  EXPECT_EQ(launches[0].global_load_bytes, 2 * std::uint64_t((s.m + s.n) * s.k));
  EXPECT_EQ(launches[0].global_store_sectors * 32, 2 * 4 * c);
  EXPECT_EQ(launches[1].global_load_sectors * 32, 2 * 4 * c);
  EXPECT_EQ(launches[1].global_store_sectors * 32, 2 * c);
}

// Another pass over C, which reads it twice: about the mean, so that nothing cancels.
TEST(CudaGemm, PartialsReadTheProduct) {
  if (!emulator::checks_available()) GTEST_SKIP() << "this build does not see accesses";
  const GemmShape s{.m = 2 * kStatRows, .n = 256, .k = 32};
  DeviceArray<float> a(std::vector<float>(size_a(s), 1.f)), b(std::vector<float>(size_b(s), 1.f)), c(size_c(s)), partials(2 * 2 * s.n);
  const auto launches = launches_of([&] { gemm(Cuda{}, in(a), in(b), c.data(), s, Epilogue<float>{.partials = partials.data()}, nullptr); },
                                    "GEMM and partials of batch norm " + name(s) + ", float");
  ASSERT_EQ(launches.size(), 2u);
  expect_bytes(launches[1], 4. * double(2 * s.m * s.n + 2 * s.n + 4 * s.n), 0, 1.1);
}

TEST(CudaGemm, FloatTilesAreReadWithoutConflicts) {
  if (!emulator::checks_available()) GTEST_SKIP() << "this build does not see accesses";
  for (const GemmShape& s : in_every_layout({{.m = 128, .n = 256, .k = 16}})) {
    const emulator::Counters c = counted<float>(s).at(0);
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
