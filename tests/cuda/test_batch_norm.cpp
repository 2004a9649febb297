// Batch norm on the device: statistics and their merge (at a mean of a thousand deviations, too), the fused application, and all gradients
// with every option, against Reference on the same rounded inputs; the same bits under every schedule; the bytes that each kernel moves.
#include "kernels/batch_norm.h"

#include "tests/cuda/traffic_testing.h"

namespace fovea::kernels {
namespace {

template <class T> class CudaBatchNorm : public testing::Test {};
using Types = testing::Types<float, bfloat16>;
TYPED_TEST_SUITE(CudaBatchNorm, Types);

// 97: one row past a tile of statistics. 5 and 33: single elements, one past a warp of them; 16: two vectors of bfloat16, four of float;
// 264: one vector of bfloat16 past a warp, and two of float. 129: one row past a tile of gradients.
constexpr ChannelShape kShapes[] = {{1, 1}, {3, 5}, {97, 33}, {129, 16}, {100, 264}};
constexpr ChannelShape kManyTiles{65 * kStatRows + 1, 2};   // two runs in the merge

std::string text(ChannelShape s) { return std::to_string(s.rows) + " x " + std::to_string(s.channels); }

template <class A> struct Norm { std::vector<A> mean, variance, inv_std, scale, shift; };

/// The statistics of x, and scale and shift for some gamma and beta.
template <class A, class T> Norm<A> norm_of(const std::vector<T>& x, ChannelShape s) {
  const std::size_t channels = std::size_t(s.channels);
  std::vector<double> mean(channels), variance(channels);
  batch_norm_statistics(Reference{}, as<double>(x).data(), mean.data(), variance.data(), s, nullptr);
  Norm<A> n{as<A>(mean), as<A>(variance), {}, {}, {}};
  const auto gamma = spread<A>(s.channels, 51, 1.2), beta = spread<A>(s.channels, 52);
  for (std::size_t c = 0; c < channels; ++c) {
    n.inv_std.push_back(A(1 / std::sqrt(variance[c] + 1e-5)));
    n.scale.push_back(gamma[c] * n.inv_std[c]);
    n.shift.push_back(beta[c] - n.mean[c] * n.scale[c]);
  }
  return n;
}

/// mean and then variance.
template <class T> std::vector<float> statistics_on_device(const std::vector<T>& host, ChannelShape s) {
  DeviceArray<T> x(host);
  DeviceArray<float> mean(s.channels), variance(s.channels);
  DeviceArray<unsigned char> workspace(batch_norm_workspace_bytes<T>(Cuda{}, s));
  batch_norm_statistics<T>(Cuda{}, x.data(), mean.data(), variance.data(), s, workspace.data());
  mean.expect_guards_untouched();
  variance.expect_guards_untouched();
  workspace.expect_guards_untouched();
  std::vector<float> both = mean.host();
  for (float v : variance.host()) both.push_back(v);
  return both;
}

// A tile's mean is rounded to float, an error d of u |mean| and a few u of the deviations, and the sum of squares has an error of up to
// 100 u var; the tiles are joined in double. There d meets the difference between a tile's mean and the whole mean, some 0.06: 2 * 0.06 d.
template <class T> void check_statistics(ChannelShape s, double centre, bool few) {
  SCOPED_TRACE(text(s) + " around " + std::to_string(centre));
  const auto x = spread<T>(s.rows * s.channels, 53, centre);
  const auto got = same_on_every_schedule<float>([&] { return statistics_on_device(x, s); }, few);
  const auto want = norm_of<double>(x, s);
  const auto middle = got.begin() + s.channels;
  expect_close(std::vector<float>(got.begin(), middle), want.mean, 2 * 0x1p-24, 10 * 0x1p-24, "mean");
  expect_close(std::vector<float>(middle, got.end()), want.variance, 100 * 0x1p-24, 0.12 * 0x1p-24 * centre, "variance");
}
TYPED_TEST(CudaBatchNorm, StatisticsAreTheReferences) {
  for (ChannelShape s : kShapes) check_statistics<TypeParam>(s, 3, true);
  check_statistics<TypeParam>({98, 36}, 0, false);
  for (ChannelShape s : {ChannelShape{97, 33}, {200, 16}, kManyTiles}) check_statistics<TypeParam>(s, 577, true);   // mean / deviation 1000
}

/// The merge takes tiles of any kind: here those of Reference, one of which is short.
TEST(CudaBatchNorm, MergesTilesAsTheCpuDoes) {
  const ChannelShape s = kManyTiles;
  const std::vector<float> partials = spread<float>(stat_tiles(s.rows) * 2 * s.channels, 54, 1);   // any means, M2 >= 0
  std::vector<float> want_mean(2), want_variance(2);
  batch_norm_merge(Cpu{}, partials.data(), want_mean.data(), want_variance.data(), s, nullptr);
  DeviceArray<float> p(partials), mean(2), variance(2);
  DeviceArray<unsigned char> workspace(batch_norm_merge_workspace_bytes(Cuda{}, s));
  batch_norm_merge<float>(Cuda{}, p.data(), mean.data(), variance.data(), s, workspace.data());
  expect_close(mean.host(), want_mean, 0x1p-23, 0, "mean");   // both in double, rounded once
  expect_close(variance.host(), want_variance, 0x1p-23, 0, "variance");
}

/// Which is double arithmetic rounded once: Reference's bits, or their neighbours where the device fuses a product with a sum.
TEST(CudaBatchNorm, AffineIsTheReference) {
  for (const std::int64_t channels : {1, 33})
    for (const bool running : {false, true}) {
      const auto gamma = spread<float>(channels, 61), beta = spread<float>(channels, 62), mean = spread<float>(channels, 63);
      const auto variance = spread<float>(channels, 64, 1), old = spread<float>(channels, 65, 1);
      const auto run = [&](auto be, auto&... a) {
        const auto call = [&](const float* g, const float* b, const float* m, const float* v, float* inv_std, float* scale, float* shift,
                              float* rm, float* rv) {
          batch_norm_affine(be,
                            BatchNormAffine<float>{.gamma = g,
                                                   .beta = b,
                                                   .mean = m,
                                                   .variance = v,
                                                   .eps = 1e-5,
                                                   .inv_std = inv_std,
                                                   .scale = scale,
                                                   .shift = shift,
                                                   .running_mean = running ? rm : nullptr,
                                                   .running_var = running ? rv : nullptr,
                                                   .momentum = 0.1},
                            {10, channels});
        };
        call(a.data()...);
      };
      std::vector<std::vector<float>> want(5, old);
      run(Reference{}, gamma, beta, mean, variance, want[0], want[1], want[2], want[3], want[4]);
      DeviceArray<float> g(gamma), b(beta), m(mean), v(variance), inv_std(old), scale(old), shift(old), rm(old), rv(old);
      run(Cuda{}, g, b, m, v, inv_std, scale, shift, rm, rv);
      int k = 0;
      for (DeviceArray<float>* a : {&inv_std, &scale, &shift, &rm, &rv}) {
        a->expect_guards_untouched();
        expect_close(a->host(), want[std::size_t(k++)], 0x1p-23, 0x1p-24, "affine");
      }
      EXPECT_EQ(running, want[3] != old);
    }
}

TYPED_TEST(CudaBatchNorm, ScaleShiftIsTheReference) {
  using T = TypeParam;
  for (ChannelShape s : kShapes)
    for (Activation activation : {Activation::none, Activation::relu, Activation::silu})
      for (bool with_residual : {false, true}) {
        SCOPED_TRACE(text(s));
        const auto x = spread<T>(s.rows * s.channels, 55), residual = spread<T>(s.rows * s.channels, 56);
        const auto scale = spread<float>(s.channels, 57, 1), shift = spread<float>(s.channels, 58);
        const auto run = [&](int in_place) {   // 0: y is another array; 1: y is x; 2: y is the residual
          DeviceArray<T> dx(x), dresidual(residual), y(x.size());
          DeviceArray<float> dscale(scale), dshift(shift);
          DeviceArray<T>& out = in_place == 0 ? y : in_place == 1 ? dx : dresidual;
          scale_shift<T>(Cuda{}, dx.data(), with_residual ? dresidual.data() : nullptr, dscale.data(), dshift.data(), activation,
                         out.data(), s);
          out.expect_guards_untouched();
          return out.host();
        };
        const auto y = run(0);
        std::vector<double> want(x.size());
        const auto wide_residual = as<double>(residual);
        scale_shift<double>(Reference{}, as<double>(x).data(), with_residual ? wide_residual.data() : nullptr, as<double>(scale).data(),
                            as<double>(shift).data(), activation, want.data(), s);
        expect_close(y, want, unit_roundoff<T>, 6 * 4 * 0x1p-24, "y");   // float roundings of values below 4; silu's slope is below 1.1
        EXPECT_EQ(hash_of(run(1)), hash_of(y));
        if (!with_residual) continue;
        EXPECT_EQ(hash_of(run(2)), hash_of(y));
      }
}

/// Everything that one call of batch_norm_backward reads and writes. The outputs start as other numbers, for accumulation.
struct Options {
  Activation activation = Activation::none;
  bool with_residual = false, batch_statistics = true, accumulate = false, in_place = false;
};
template <class T> struct Case {
  std::vector<T> x, residual, dy, dx, dresidual;
  std::vector<acc_t<T>> mean, inv_std, scale, shift, dgamma, dbeta;
};
template <class Array>
auto arguments(Array& x, Array& residual, Array& dy, Array& dx, Array& dresidual, auto& mean, auto& inv_std, auto& scale, auto& shift,
               auto& dgamma, auto& dbeta, Options o) {
  using T = std::remove_pointer_t<decltype(x.data())>;
  return BatchNormGradient<T>{.x = x.data(),
                              .residual = o.with_residual ? residual.data() : nullptr,
                              .dy = dy.data(),
                              .mean = mean.data(),
                              .inv_std = inv_std.data(),
                              .scale = scale.data(),
                              .shift = shift.data(),
                              .activation = o.activation,
                              .batch_statistics = o.batch_statistics,
                              .dx = o.in_place ? dy.data() : dx.data(),
                              .accumulate_dx = o.accumulate,
                              .dresidual = o.with_residual ? dresidual.data() : nullptr,
                              .accumulate_dresidual = o.accumulate,
                              .dgamma = dgamma.data(),
                              .dbeta = dbeta.data(),
                              .accumulate_dgamma = o.accumulate,
                              .accumulate_dbeta = o.accumulate};
}

template <class T> Case<T> make_case(ChannelShape s, bool with_residual) {
  const std::int64_t n = s.rows * s.channels;
  Case<T> c{spread<T>(n, 61, 0.5),
            spread<T>(n, 62),
            spread<T>(n, 63),
            spread<T>(n, 64),
            spread<T>(n, 65),
            {},
            {},
            {},
            {},
            spread<float>(s.channels, 66),
            spread<float>(s.channels, 67)};
  const auto norm = norm_of<float>(c.x, s);
  c.mean = norm.mean, c.inv_std = norm.inv_std, c.scale = norm.scale, c.shift = norm.shift;
  // Reference decides the mask in double, the device in float: away from the kink, both see the same side.
  for (std::size_t i = 0; i < c.x.size(); ++i) {
    const std::size_t channel = i % std::size_t(s.channels);
    const double z = double(c.scale[channel]) * double(c.x[i]) + double(c.shift[channel]) + (with_residual ? double(c.residual[i]) : 0.);
    if (std::abs(z) < 1e-4) c.residual[i] = T(float(c.residual[i]) + 0.25f), c.x[i] = T(float(c.x[i]) + 0.25f);
  }
  return c;
}

template <class T> Case<T> backward_on_device(const Case<T>& c, ChannelShape s, Options o) {
  DeviceArray<T> x(c.x), residual(c.residual), dy(c.dy), dx(c.dx), dresidual(c.dresidual);
  DeviceArray<float> mean(c.mean), inv_std(c.inv_std), scale(c.scale), shift(c.shift), dgamma(c.dgamma), dbeta(c.dbeta);
  DeviceArray<unsigned char> workspace(batch_norm_workspace_bytes<T>(Cuda{}, s));
  batch_norm_backward(Cuda{}, arguments(x, residual, dy, dx, dresidual, mean, inv_std, scale, shift, dgamma, dbeta, o), s,
                      workspace.data());
  for (DeviceArray<T>* a : {&dy, &dx, &dresidual}) a->expect_guards_untouched();
  for (DeviceArray<float>* a : {&dgamma, &dbeta}) a->expect_guards_untouched();
  workspace.expect_guards_untouched();
  Case<T> r = c;
  r.dx = o.in_place ? dy.host() : dx.host(), r.dresidual = dresidual.host(), r.dgamma = dgamma.host(), r.dbeta = dbeta.host();
  return r;
}

// Sums: chains of at most 128 float terms of size 1, errors of either sign: 16 u sum |term|. dx: a handful of float roundings of terms of size
// |scale| < 4; silu's gradient and its error are below 1.1 and 8 u.
template <class T> void check_backward(ChannelShape s, Options o, bool few = true) {
  SCOPED_TRACE(text(s) + ", activation " + std::to_string(int(o.activation)));
  const Case<T> c = make_case<T>(s, o.with_residual);
  Case<T> got;
  same_on_every_schedule<std::uint64_t>(
      [&] {
        got = backward_on_device(c, s, o);
        return std::vector<std::uint64_t>{hash_of(got.dx), hash_of(got.dresidual), hash_of(got.dgamma), hash_of(got.dbeta)};
      },
      few);
  Case<double> w{as<double>(c.x),         as<double>(c.residual), as<double>(c.dy),      as<double>(c.dx),
                 as<double>(c.dresidual), as<double>(c.mean),     as<double>(c.inv_std), as<double>(c.scale),
                 as<double>(c.shift),     as<double>(c.dgamma),   as<double>(c.dbeta)};
  Options apart = o;
  apart.in_place = false;
  batch_norm_backward(Reference{},
                      arguments(w.x, w.residual, w.dy, w.dx, w.dresidual, w.mean, w.inv_std, w.scale, w.shift, w.dgamma, w.dbeta, apart), s,
                      nullptr);
  const double sum_error = 16 * 0x1p-24 * double(s.rows);
  expect_close(got.dbeta, w.dbeta, 0x1p-23, sum_error, "dbeta");
  expect_close(got.dgamma, w.dgamma, 0x1p-23, 2 * sum_error, "dgamma");   // |x^| < 2
  expect_close(got.dx, w.dx, unit_roundoff<T>, 32 * 4 * 0x1p-24, "dx");
  if (o.with_residual) expect_close(got.dresidual, w.dresidual, unit_roundoff<T>, 32 * 0x1p-24, "dresidual");
}
TYPED_TEST(CudaBatchNorm, BackwardIsTheReference) {
  for (ChannelShape s : kShapes) {
    if (s.rows < 3) continue;   // with one or two rows a channel may have no variance, and 1 / sqrt(eps) blows every error up
    check_backward<TypeParam>(s, {});
    check_backward<TypeParam>(s, {.activation = Activation::relu, .with_residual = true});
  }
  check_backward<TypeParam>({130, 36}, {.activation = Activation::relu, .with_residual = true}, false);
}
TYPED_TEST(CudaBatchNorm, BackwardOptions) {
  for (ChannelShape s : {ChannelShape{129, 16}, {9, 3}}) {
    check_backward<TypeParam>(s, {.activation = Activation::silu, .with_residual = true});
    check_backward<TypeParam>(s, {.activation = Activation::relu, .batch_statistics = false});
    check_backward<TypeParam>(s, {.with_residual = true, .accumulate = true});
    check_backward<TypeParam>(s, {.activation = Activation::relu, .with_residual = true, .in_place = true});
  }
}

TYPED_TEST(CudaBatchNorm, NoRowsAreNoGradient) {
  using T = TypeParam;
  const ChannelShape s{0, 3};
  DeviceArray<float> any(3), dgamma(3), dbeta(3);
  DeviceArray<unsigned char> workspace(batch_norm_workspace_bytes<T>(Cuda{}, s));
  BatchNormGradient<T> a{.x = nullptr, .dy = nullptr, .mean = nullptr, .inv_std = nullptr, .scale = nullptr, .shift = nullptr};
  DeviceArray<float> inv_std(std::vector<float>(3, 1));
  a.inv_std = inv_std.data(), a.dgamma = dgamma.data(), a.dbeta = dbeta.data();
  batch_norm_backward(Cuda{}, a, s, workspace.data());
  EXPECT_EQ(dgamma.host(), std::vector<float>(3));
  EXPECT_EQ(dbeta.host(), std::vector<float>(3));
  scale_shift<T>(Cuda{}, nullptr, nullptr, nullptr, nullptr, Activation::relu, nullptr, s);
  const auto none = statistics_on_device(std::vector<T>(), s);
  EXPECT_TRUE(std::isnan(none[0]) && std::isnan(none[3]));   // 0 / 0, as in Reference
}

TEST(CudaBatchNorm, AffineBytesAreTheContracts) {
  const std::int64_t channels = 1024;
  DeviceArray<float> mean(spread<float>(channels, 1)), variance(spread<float>(channels, 2, 1)), inv_std(channels), scale(channels),
      shift(channels);
  const BatchNormAffine<float> a{.gamma = mean.data(),
                                 .beta = mean.data(),
                                 .mean = mean.data(),
                                 .variance = variance.data(),
                                 .eps = 1e-5,
                                 .inv_std = inv_std.data(),
                                 .scale = scale.data(),
                                 .shift = shift.data()};
  expect_traffic(
      7 * 4 * channels,
      [&] {
        batch_norm_affine(Cuda{}, a, {10, channels});
      },
      "scale and shift of batch norm (1024)");
}

#ifdef FOVEA_CUDA_EMULATED
TYPED_TEST(CudaBatchNorm, MovesWhatMustMove) {
  using T = TypeParam;
  if (!emulator::checks_available()) GTEST_SKIP() << "accesses are not counted in this build";
  const ChannelShape s{4 * kStatRows, 64};
  const double array = double(sizeof(T)) * double(s.rows * s.channels);
  const Case<T> c = make_case<T>(s, false);
  DeviceArray<T> x(c.x);
  DeviceArray<float> scale(c.scale), shift(c.shift);
  const std::vector<emulator::Counters> launches = launches_of(
      [&] {
        statistics_on_device(c.x, s);
        backward_on_device(c, s, {.activation = Activation::relu});
        scale_shift<T>(Cuda{}, x.data(), nullptr, scale.data(), shift.data(), Activation::relu, x.data(), s);
      },
      "batch norm and ReLU (384, 64)");
  ASSERT_EQ(launches.size(), 6u);
  const double arrays[] = {1, 0, 2, 0, 3, 2};       // partials, their merge, sums, their join, the gradient, scale_shift
  const double parameters[] = {0, 0, 3, 0, 5, 2};   // that each thread has in registers: 16 or 32 bytes, from a cache
  for (std::size_t i = 0; i < 6; ++i) {
    SCOPED_TRACE(launches[i].kernel);
    if (arrays[i] == 0) continue;
    expect_bytes(launches[i], arrays[i] * array, parameters[i] * double(launches[i].threads) * 4 * 16 / sizeof(T));
  }
}
#endif

}   // namespace
}   // namespace fovea::kernels
