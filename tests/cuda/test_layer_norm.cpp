// Layer norm on the device: rows that a warp holds in registers, rows that it reads again and rows that do not fill 16 bytes, against Reference
// on the same rounded inputs; the same bits under every schedule; the bytes that it moves.
#include "kernels/layer_norm.h"

#include "tests/cuda/traffic_testing.h"

namespace fovea::kernels {
namespace {

template <class T> class CudaLayerNorm : public testing::Test {};
using Types = testing::Types<float, bfloat16>;
TYPED_TEST_SUITE(CudaLayerNorm, Types);

/// Everything that the two passes read and write. The outputs start as other numbers, for accumulation.
template <class T> struct Case {
  std::vector<T> x, dy, y, dx;
  std::vector<float> gamma, beta, mean, inv_std, dgamma, dbeta;
};
template <class T> Case<T> make_case(RowShape s, double centre) {
  const std::int64_t n = s.rows * s.cols;
  Case<T> c{spread<T>(n, 1, centre),     spread<T>(n, 2),          std::vector<T>(n),          spread<T>(n, 3),
            spread<float>(s.cols, 4, 1), spread<float>(s.cols, 5), std::vector<float>(s.rows), std::vector<float>(s.rows),
            spread<float>(s.cols, 6),    spread<float>(s.cols, 7)};
  return c;
}

struct Options {
  bool affine = true, accumulate = false, dx_is_dy = false, few = true;
  double centre = 0.3;
};

template <class T> Case<T> on_device(const Case<T>& c, RowShape s, Options o) {
  DeviceArray<T> x(c.x), dy(c.dy), y(c.y), dx(c.dx);
  DeviceArray<float> gamma(c.gamma), beta(c.beta), mean(c.mean), inv_std(c.inv_std), dgamma(c.dgamma), dbeta(c.dbeta);
  DeviceArray<unsigned char> workspace(layer_norm_workspace_bytes<T>(Cuda{}, s));
  layer_norm_forward<T>(Cuda{}, x.data(), o.affine ? gamma.data() : nullptr, o.affine ? beta.data() : nullptr, 1e-5, y.data(), mean.data(),
                        inv_std.data(), s);
  layer_norm_backward<T>(Cuda{},
                         {.x = x.data(),
                          .dy = dy.data(),
                          .gamma = o.affine ? gamma.data() : nullptr,
                          .mean = mean.data(),
                          .inv_std = inv_std.data(),
                          .dx = o.dx_is_dy ? dy.data() : dx.data(),
                          .accumulate_dx = o.accumulate,
                          .dgamma = o.affine ? dgamma.data() : nullptr,
                          .dbeta = o.affine ? dbeta.data() : nullptr,
                          .accumulate_dgamma = o.accumulate,
                          .accumulate_dbeta = o.accumulate},
                         s, workspace.data());
  for (DeviceArray<T>* a : {&x, &y, &dx}) a->expect_guards_untouched();
  for (DeviceArray<float>* a : {&mean, &inv_std, &dgamma, &dbeta}) a->expect_guards_untouched();
  workspace.expect_guards_untouched();
  return {c.x,           c.dy,        y.host(), o.dx_is_dy ? dy.host() : dx.host(), c.gamma, c.beta, mean.host(), inv_std.host(),
          dgamma.host(), dbeta.host()};
}
Case<double> by_reference(const Case<double>& c, RowShape s, Options o, const std::vector<double>& gamma, const std::vector<double>& beta,
                          std::vector<double>& mean, std::vector<double>& inv_std, std::vector<double>& dgamma,
                          std::vector<double>& dbeta) {
  Case<double> r = c;
  layer_norm_forward<double>(Reference{}, c.x.data(), o.affine ? gamma.data() : nullptr, o.affine ? beta.data() : nullptr, 1e-5, r.y.data(),
                             mean.data(), inv_std.data(), s);
  layer_norm_backward<double>(Reference{},
                              {.x = c.x.data(),
                               .dy = c.dy.data(),
                               .gamma = o.affine ? gamma.data() : nullptr,
                               .mean = mean.data(),
                               .inv_std = inv_std.data(),
                               .dx = r.dx.data(),
                               .accumulate_dx = o.accumulate,
                               .dgamma = o.affine ? dgamma.data() : nullptr,
                               .dbeta = o.affine ? dbeta.data() : nullptr,
                               .accumulate_dgamma = o.accumulate,
                               .accumulate_dbeta = o.accumulate},
                              s, nullptr);
  return r;
}

template <class T> void check(RowShape s, Options o) {
  SCOPED_TRACE(std::to_string(s.rows) + " x " + std::to_string(s.cols) + " around " + std::to_string(o.centre));
  const Case<T> c = make_case<T>(s, o.centre);
  Case<T> got;
  same_on_every_schedule<std::uint64_t>(
      [&] {
        got = on_device(c, s, o);
        return std::vector<std::uint64_t>{hash_of(got.y),       hash_of(got.dx),     hash_of(got.mean),
                                          hash_of(got.inv_std), hash_of(got.dgamma), hash_of(got.dbeta)};
      },
      o.few);

  std::vector<double> mean(s.rows), inv_std(s.rows), dgamma = as<double>(c.dgamma), dbeta = as<double>(c.dbeta);
  const Case<double> wide{as<double>(c.x), as<double>(c.dy), as<double>(c.y), as<double>(c.dx), {}, {}, {}, {}, {}, {}};
  const Case<double> want = by_reference(wide, s, o, as<double>(c.gamma), as<double>(c.beta), mean, inv_std, dgamma, dbeta);
  // The mean is a few roundings of numbers of the centre's size; |x^| < 2 and |gamma| < 2, so that y is a few roundings of 4, and dx a few of
  // 4 / deviation = 7. The sums of a tile are chains of at most 16 + 4 terms of size 2 in float, the tiles are joined in double.
  constexpr double u = 0x1p-24;
  expect_close(got.mean, mean, 2 * u, 8 * u, "mean");
  expect_close(got.inv_std, inv_std, 16 * u, 0, "inv_std");
  expect_close(got.y, want.y, unit_roundoff<T>, 64 * u + 8 * u * o.centre, "y");
  expect_close(got.dx, want.dx, unit_roundoff<T>, 128 * u + 16 * u * o.centre, "dx");
  expect_close(got.dgamma, dgamma, 2 * u, 4 * u * double(s.rows) + 16 * u * o.centre, "dgamma");
  expect_close(got.dbeta, dbeta, 2 * u, 2 * u * double(s.rows), "dbeta");
}

// 33: one past a warp; 5 and 17 rows: one past a block and one past a tile. Wide rows: 40 with idle lanes; 136 with a pack more than a warp
// has in float; 1024 held to the last register; 1032 read again.
TYPED_TEST(CudaLayerNorm, IsTheReference) {
  for (RowShape s : {RowShape{1, 2}, {3, 5}, {5, 33}, {17, 40}, {5, 136}, {2, 1024}, {3, 1032}}) check<TypeParam>(s, {});
}

TYPED_TEST(CudaLayerNorm, EverySchedule) {
  check<TypeParam>({18, 136}, {.few = false});
  check<TypeParam>({18, 35}, {.few = false});
}

TYPED_TEST(CudaLayerNorm, Options) {
  for (RowShape s : {RowShape{5, 33}, {5, 48}}) {
    check<TypeParam>(s, {.affine = false});
    check<TypeParam>(s, {.accumulate = true});
    check<TypeParam>(s, {.dx_is_dy = true});
  }
}

/// A mean of a thousand deviations leaves float ten bits of x^; a variance from E[x^2] - E[x]^2 would have none.
TEST(CudaLayerNorm, KeepsItsDigitsFarFromZero) { check<float>({4, 256}, {.centre = 577}); }

TYPED_TEST(CudaLayerNorm, InPlaceAndWithoutStatistics) {
  using T = TypeParam;
  const RowShape s{3, 48};
  const Case<T> c = make_case<T>(s, 0.3);
  const std::vector<T> want = on_device(c, s, {.affine = false}).y;
  DeviceArray<T> x(c.x);
  layer_norm_forward<T>(Cuda{}, x.data(), nullptr, nullptr, 1e-5, x.data(), nullptr, nullptr, s);
  EXPECT_EQ(hash_of(x.host()), hash_of(want));
}

TYPED_TEST(CudaLayerNorm, NoRowsAreNoWorkAndNoGradient) {
  using T = TypeParam;
  layer_norm_forward<T>(Cuda{}, nullptr, nullptr, nullptr, 1e-5, nullptr, nullptr, nullptr, {0, 5});
  DeviceArray<float> dgamma(spread<float>(5, 1)), dbeta(spread<float>(5, 2));
  LayerNormGradient<T> a{.x = nullptr, .dy = nullptr, .mean = nullptr, .inv_std = nullptr, .dgamma = dgamma.data(), .dbeta = dbeta.data()};
  layer_norm_backward<T>(Cuda{}, a, {0, 5}, nullptr);
  EXPECT_EQ(dgamma.host(), std::vector<float>(5));
  EXPECT_EQ(dbeta.host(), std::vector<float>(5));
}

#ifdef FOVEA_CUDA_EMULATED
// Forward x and y, backward x, dy and dx, and little else: gamma, the statistics of the rows, 1 / 32 for the partial sums.
TYPED_TEST(CudaLayerNorm, MovesWhatMustMove) {
  using T = TypeParam;
  if (!emulator::checks_available()) GTEST_SKIP() << "accesses are not counted in this build";
  const RowShape s{64, 512};
  const std::vector<emulator::Counters> launches = launches_of([&] { on_device(make_case<T>(s, 0.3), s, {}); }, "layer norm (64, 512)");
  ASSERT_EQ(launches.size(), 3u);   // forward, backward, the join
  const double array = double(sizeof(T)) * double(s.rows * s.cols),
               parameters = 8. * double(s.rows * s.cols);   // gamma and beta, from a cache
  expect_bytes(launches[0], 2 * array, parameters, 1.1);
  expect_bytes(sum_of({launches[1], launches[2]}), 3 * array, parameters);
  for (const emulator::Counters& c :
       launches)   // the eight floats of gamma beside 16 bytes of bfloat16 are two accesses to the same sectors
    EXPECT_LE(32. * double(c.global_load_sectors), (std::is_same_v<T, float> ? 1.1 : 2.) * double(c.global_load_bytes));
}

// Rows that no warp holds are read again: forward twice more, for the variance and for y; backward once for the parameters, twice for dx.
TYPED_TEST(CudaLayerNorm, LongRowsAreReadAgain) {
  using T = TypeParam;
  if (!emulator::checks_available()) GTEST_SKIP() << "accesses are not counted in this build";
  const RowShape s{32, 2048};
  const std::vector<emulator::Counters> launches = launches_of([&] { on_device(make_case<T>(s, 0.3), s, {}); }, "layer norm (32, 2048)");
  ASSERT_EQ(launches.size(), 4u);   // forward, the sums of columns, backward, the join
  const double array = double(sizeof(T)) * double(s.rows * s.cols), parameters = 8. * double(s.rows * s.cols);
  expect_bytes(launches[0], 4 * array, parameters, 1.1);
  expect_bytes(launches[1], 2 * array + 2 * 2 * 4 * double(s.cols), array / 2, 1.1);   // two tiles' sums; statistics of rows, from a cache
  expect_bytes(launches[2], 5 * array, parameters / 2, 1.6);
}
#endif

}   // namespace
}   // namespace fovea::kernels
