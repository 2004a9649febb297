// test_batch_norm.cpp: statistics, normalisation and gradients: by hand, Cpu against Reference, central differences, a mean a
// thousand times the deviation, every aliasing that the contract allows.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "kernels/batch_norm.h"
#include "tests/kernels/variants.h"

namespace fovea::kernels {
namespace {

template <class T> class BatchNorm : public testing::Test {};
using Types = testing::Types<float, bfloat16>;
TYPED_TEST_SUITE(BatchNorm, Types);

constexpr ChannelShape kShapes[] = {{1, 1}, {2, 3}, {95, 16}, {96, 17}, {97, 33}, {1000, 5}, {700, 64}, {391, 130}, {1537, 48}};

template <class A> struct Norm { std::vector<A> mean, variance, inv_std, scale, shift; };

/// The statistics of x, and scale and shift for some gamma and beta.
template <class A, class T> Norm<A> norm_of(const std::vector<T>& x, ChannelShape s) {
  const std::size_t channels = std::size_t(s.channels);
  Norm<A> n{std::vector<A>(channels), std::vector<A>(channels), {}, {}, {}};
  const auto wide = as<A>(x);
  batch_norm_statistics(Reference{}, wide.data(), n.mean.data(), n.variance.data(), s, nullptr);
  const auto gamma = spread<A>(s.channels, 51, 1.2), beta = spread<A>(s.channels, 52);
  for (std::size_t c = 0; c < channels; ++c) {
    n.inv_std.push_back(A(1 / std::sqrt(double(n.variance[c]) + 1e-5)));
    n.scale.push_back(gamma[c] * n.inv_std[c]);
    n.shift.push_back(beta[c] - n.mean[c] * n.scale[c]);
  }
  return n;
}

TEST(BatchNormReference, StatisticsByHand) {
  const std::vector<double> x{1, -1, 2, -1, 6, -1};   // channels (1, 2, 6) and (-1, -1, -1)
  std::vector<double> mean(2), variance(2);
  batch_norm_statistics(Reference{}, x.data(), mean.data(), variance.data(), {3, 2}, nullptr);
  EXPECT_EQ(mean, (std::vector<double>{3, -1}));
  EXPECT_DOUBLE_EQ(variance[0], (4 + 1 + 9) / 3.);
  EXPECT_EQ(variance[1], 0);
}

// A tile's mean is rounded to float, an error d of u |mean| and a few u of the deviations, and the sum of squares has an error of up to
// 100 u var; the tiles are joined in double. There d meets the difference between a tile's mean and the whole mean, some 0.06: 2 * 0.06 d.
TYPED_TEST(BatchNorm, StatisticsMatchReference) {
  using T = TypeParam;
  on_every_isa([&] {
    for (ChannelShape s : kShapes)
      for (double centre : {0., 3., 577.}) {   // 577: a thousand deviations of a uniform [-1, 1)
        SCOPED_TRACE(std::to_string(s.rows) + " x " + std::to_string(s.channels) + " around " + std::to_string(centre));
        const auto x = spread<T>(s.rows * s.channels, 53, centre);
        const auto want = norm_of<double>(x, s);
        std::vector<float> mean(want.mean.size()), variance(want.mean.size());
        std::vector<unsigned char> workspace(batch_norm_workspace_bytes<T>(Cpu{}, s));
        batch_norm_statistics(Cpu{}, x.data(), mean.data(), variance.data(), s, workspace.data());
        expect_close(mean, want.mean, 2 * 0x1p-24, 10 * 0x1p-24, "mean");
        expect_close(variance, want.variance, 100 * 0x1p-24, 0.12 * 0x1p-24 * centre, "variance");
      }
  });
}

/// Deviations are taken from the first row of each tile. As far out as here it is n - 1 of n parts of the tile's variance, too: so the
/// error, 10 u of a sum of 96 equal terms, is 10 u of x0 in the mean and 960 u in the variance.
TEST(BatchNorm, SurvivesOutliersInFront) {
  const ChannelShape s{500, 100};
  auto x = spread<float>(s.rows * s.channels, 59);
  for (std::int64_t r = 0; r < s.rows; r += kStatRows)
    for (std::int64_t c = 0; c < s.channels; ++c) x[std::size_t(r * s.channels + c)] = 1e4f + float(c);
  const auto want = norm_of<double>(x, s);
  std::vector<float> mean(100), variance(100);
  std::vector<unsigned char> workspace(batch_norm_workspace_bytes<float>(Cpu{}, s));
  on_every_isa([&] {
    batch_norm_statistics(Cpu{}, x.data(), mean.data(), variance.data(), s, workspace.data());
    expect_close(mean, want.mean, 0, 10 * 0x1p-24 * 1e4, "mean");
    expect_close(variance, want.variance, 960 * 0x1p-24, 0, "variance");
  });
}

/// One tile of partials is the plain two-pass result; merging needs no more than that each tile is right.
TEST(BatchNormMerge, JoinsTilesOfUnequalSize) {
  const ChannelShape s{2 * kStatRows + 13, 3};
  const auto x = spread<double>(s.rows * s.channels, 54, 5);
  std::vector<double> partials(std::size_t(stat_tiles(s.rows) * 2 * s.channels));
  for (std::int64_t tile = 0; tile < stat_tiles(s.rows); ++tile) {
    const ChannelShape part{std::min(kStatRows, s.rows - tile * kStatRows), s.channels};
    double* mean = partials.data() + tile * 2 * s.channels;
    batch_norm_statistics(Reference{}, x.data() + tile * kStatRows * s.channels, mean, mean + s.channels, part, nullptr);
    for (std::int64_t c = 0; c < s.channels; ++c) mean[s.channels + c] *= double(part.rows);   // M2
  }
  std::vector<double> mean(3), variance(3);
  batch_norm_merge(Reference{}, partials.data(), mean.data(), variance.data(), s, nullptr);
  const auto want = norm_of<double>(x, s);
  expect_close(mean, want.mean, 1e-14, 0);
  expect_close(variance, want.variance, 1e-13, 0);
}

TEST(BatchNormAffine, IsTheFormulaAndMovesRunningStatistics) {
  const std::vector<double> gamma{2, 3}, beta{5, 7}, mean{1, -1}, variance{15, 3};
  std::vector<double> inv_std(2), scale(2), shift(2), running_mean{0, 10}, running_var{1, 2};
  BatchNormAffine<double> a{.gamma = gamma.data(),
                            .beta = beta.data(),
                            .mean = mean.data(),
                            .variance = variance.data(),
                            .eps = 1,
                            .inv_std = inv_std.data(),
                            .scale = scale.data(),
                            .shift = shift.data(),
                            .momentum = 0.5};
  batch_norm_affine(Reference{}, a, {4, 2});
  EXPECT_EQ(inv_std, (std::vector<double>{0.25, 0.5}));
  EXPECT_EQ(scale, (std::vector<double>{0.5, 1.5}));
  EXPECT_EQ(shift, (std::vector<double>{4.5, 8.5}));
  a.running_mean = running_mean.data(), a.running_var = running_var.data();
  batch_norm_affine(Reference{}, a, {4, 2});
  EXPECT_EQ(running_mean, (std::vector<double>{0.5, 4.5}));
  EXPECT_EQ(running_var, (std::vector<double>{10.5, 3}));   // the batch's times 4 / 3
}

TYPED_TEST(BatchNorm, ScaleShiftMatchesReference) {
  using T = TypeParam;
  on_every_isa([&] {
    for (ChannelShape s : kShapes)
      for (Activation activation : {Activation::none, Activation::relu})
        for (bool with_residual : {false, true}) {
          const auto x = spread<T>(s.rows * s.channels, 55), residual = spread<T>(s.rows * s.channels, 56);
          const auto fx = as<float>(x), fresidual = as<float>(residual);
          const auto scale = spread<float>(s.channels, 57, 1), shift = spread<float>(s.channels, 58);
          std::vector<T> y(x.size());
          std::vector<float> want(x.size());
          scale_shift(Cpu{}, x.data(), with_residual ? residual.data() : nullptr, scale.data(), shift.data(), activation, y.data(), s);
          scale_shift(Reference{}, fx.data(), with_residual ? fresidual.data() : nullptr, scale.data(), shift.data(), activation,
                      want.data(), s);
          expect_close(y, want, unit_roundoff<T>, 3 * 4 * 0x1p-24, "y");   // three float roundings of values below 4
          auto in_place = x;
          scale_shift(Cpu{}, in_place.data(), with_residual ? residual.data() : nullptr, scale.data(), shift.data(), activation,
                      in_place.data(), s);
          EXPECT_EQ(hash_of(in_place), hash_of(y));
          if (!with_residual) continue;
          in_place = residual;
          scale_shift(Cpu{}, x.data(), in_place.data(), scale.data(), shift.data(), activation, in_place.data(), s);
          EXPECT_EQ(hash_of(in_place), hash_of(y));
        }
  });
}

/// Everything that one call of batch_norm_backward reads and writes. The outputs start as other numbers, for accumulation.
template <class T> struct Case {
  std::vector<T> x, residual, dy, dx, dresidual;
  std::vector<acc_t<T>> mean, inv_std, scale, shift, dgamma, dbeta;

  BatchNormGradient<T> arguments(Activation activation, bool with_residual, bool batch_statistics, bool accumulate) {
    return {.x = x.data(),
            .residual = with_residual ? residual.data() : nullptr,
            .dy = dy.data(),
            .mean = mean.data(),
            .inv_std = inv_std.data(),
            .scale = scale.data(),
            .shift = shift.data(),
            .activation = activation,
            .batch_statistics = batch_statistics,
            .dx = dx.data(),
            .accumulate_dx = accumulate,
            .dresidual = with_residual ? dresidual.data() : nullptr,
            .accumulate_dresidual = accumulate,
            .dgamma = dgamma.data(),
            .dbeta = dbeta.data(),
            .accumulate_dgamma = accumulate,
            .accumulate_dbeta = accumulate};
  }
};

template <class T> Case<T> make_case(ChannelShape s, double centre = 0.5) {
  const std::int64_t n = s.rows * s.channels;
  Case<T> c{spread<T>(n, 61, centre),
            spread<T>(n, 62),
            spread<T>(n, 63),
            spread<T>(n, 64),
            spread<T>(n, 65),
            {},
            {},
            {},
            {},
            spread<acc_t<T>>(s.channels, 66),
            spread<acc_t<T>>(s.channels, 67)};
  const auto norm = norm_of<acc_t<T>>(c.x, s);
  c.mean = norm.mean, c.inv_std = norm.inv_std, c.scale = norm.scale, c.shift = norm.shift;
  return c;
}

/// The same case in float, on which Reference works.
template <class T> Case<float> widened(const Case<T>& c) {
  return {as<float>(c.x),
          as<float>(c.residual),
          as<float>(c.dy),
          as<float>(c.dx),
          as<float>(c.dresidual),
          c.mean,
          c.inv_std,
          c.scale,
          c.shift,
          c.dgamma,
          c.dbeta};
}

// Reference decides the mask in double, Cpu in float: x is moved away from the kink, so that both see the same side. Sums: chains
// of at most 512 float terms, errors of either sign: 32 u sum |term|. dx: a handful of float roundings of terms of size |scale|.
TYPED_TEST(BatchNorm, BackwardMatchesReference) {
  using T = TypeParam;
  on_every_isa([&] {
    for (ChannelShape s : kShapes) {
      if (s.rows < 3) continue;   // with one or two rows a channel may have no variance, and 1 / sqrt(eps) blows every error up
      for (Activation activation : {Activation::none, Activation::relu})
        for (bool with_residual : {false, true})
          for (bool batch_statistics : {true, false})
            for (bool accumulate : {false, true}) {
              auto c = make_case<T>(s);
              for (std::size_t i = 0; i < c.x.size(); ++i) {
                const std::size_t channel = i % std::size_t(s.channels);
                const double z =
                    double(c.scale[channel]) * double(c.x[i]) + double(c.shift[channel]) + (with_residual ? double(c.residual[i]) : 0.);
                if (std::abs(z) < 1e-4) c.residual[i] = T(float(c.residual[i]) + 0.25f), c.x[i] = T(float(c.x[i]) + 0.25f);
              }
              auto w = widened(c);
              std::vector<unsigned char> workspace(batch_norm_workspace_bytes<T>(Cpu{}, s));
              batch_norm_backward(Cpu{}, c.arguments(activation, with_residual, batch_statistics, accumulate), s, workspace.data());
              batch_norm_backward(Reference{}, w.arguments(activation, with_residual, batch_statistics, accumulate), s, nullptr);
              const double sum_error = 32 * 0x1p-24 * double(s.rows);
              expect_close(c.dbeta, w.dbeta, 0x1p-23, sum_error, "dbeta");
              expect_close(c.dgamma, w.dgamma, 0x1p-23, 2 * sum_error, "dgamma");   // |x^| < 2
              expect_close(c.dx, w.dx, unit_roundoff<T>, 32 * 4 * 0x1p-24, "dx");   // |scale| < 4
              expect_close(c.dresidual, w.dresidual, unit_roundoff<T>, 0, "dresidual");
            }
    }
  });
}

TYPED_TEST(BatchNorm, BackwardMayOverwriteItsInputGradient) {
  using T = TypeParam;
  const ChannelShape s{700, 37};
  std::vector<unsigned char> workspace(batch_norm_workspace_bytes<T>(Cpu{}, s));
  auto apart = make_case<T>(s);
  batch_norm_backward(Cpu{}, apart.arguments(Activation::relu, true, true, false), s, workspace.data());
  auto dx_is_dy = make_case<T>(s);
  auto a = dx_is_dy.arguments(Activation::relu, true, true, false);
  a.dx = dx_is_dy.dy.data();
  batch_norm_backward(Cpu{}, a, s, workspace.data());
  EXPECT_EQ(hash_of(dx_is_dy.dy), hash_of(apart.dx));
  EXPECT_EQ(hash_of(dx_is_dy.dresidual), hash_of(apart.dresidual));
  auto dresidual_is_dy = make_case<T>(s);
  a = dresidual_is_dy.arguments(Activation::relu, true, true, false);
  a.dresidual = dresidual_is_dy.dy.data();
  batch_norm_backward(Cpu{}, a, s, workspace.data());
  EXPECT_EQ(hash_of(dresidual_is_dy.dy), hash_of(apart.dresidual));
  EXPECT_EQ(hash_of(dresidual_is_dy.dx), hash_of(apart.dx));
}

TYPED_TEST(BatchNorm, BackwardLeavesOutWhatNobodyWants) {
  using T = TypeParam;
  const ChannelShape s{200, 19};
  std::vector<unsigned char> workspace(batch_norm_workspace_bytes<T>(Cpu{}, s));
  auto all = make_case<T>(s);
  batch_norm_backward(Cpu{}, all.arguments(Activation::relu, true, true, false), s, workspace.data());
  for (int wanted = 0; wanted < 16; ++wanted) {
    auto c = make_case<T>(s);
    auto a = c.arguments(Activation::relu, true, true, false);
    if (!(wanted & 1)) a.dx = nullptr;
    if (!(wanted & 2)) a.dresidual = nullptr;
    if (!(wanted & 4)) a.dgamma = nullptr;
    if (!(wanted & 8)) a.dbeta = nullptr;
    const auto untouched = make_case<T>(s);
    batch_norm_backward(Cpu{}, a, s, workspace.data());
    EXPECT_EQ(hash_of(c.dx), hash_of(wanted & 1 ? all.dx : untouched.dx)) << wanted;
    EXPECT_EQ(hash_of(c.dresidual), hash_of(wanted & 2 ? all.dresidual : untouched.dresidual)) << wanted;
    EXPECT_EQ(hash_of(c.dgamma), hash_of(wanted & 4 ? all.dgamma : untouched.dgamma)) << wanted;
    EXPECT_EQ(hash_of(c.dbeta), hash_of(wanted & 8 ? all.dbeta : untouched.dbeta)) << wanted;
  }
}

/// y = act(batch_norm(x; gamma, beta) + residual), projected on dy: every gradient against central differences. The statistics
/// are functions of x when they are the batch's, and constants when not.
TEST(BatchNormReference, GradientsMatchCentralDifferences) {
  const ChannelShape s{7, 3};
  constexpr double kEps = 1e-3, h = 1e-6;
  for (Activation activation : {Activation::none, Activation::relu})
    for (bool batch_statistics : {true, false}) {
      auto x = spread<double>(21, 71), residual = spread<double>(21, 72), gamma = spread<double>(3, 73, 1.5), beta = spread<double>(3, 74);
      const auto dy = spread<double>(21, 75);
      std::vector<double> mean{0.1, -0.2, 0.3}, variance{0.5, 0.7, 0.2}, inv_std(3), scale(3), shift(3), y(21);
      const auto projected = [&] {
        if (batch_statistics) batch_norm_statistics(Reference{}, x.data(), mean.data(), variance.data(), s, nullptr);
        for (std::size_t c = 0; c < 3; ++c) {
          inv_std[c] = 1 / std::sqrt(variance[c] + kEps);
          scale[c] = gamma[c] * inv_std[c];
          shift[c] = beta[c] - mean[c] * scale[c];
        }
        scale_shift(Reference{}, x.data(), residual.data(), scale.data(), shift.data(), activation, y.data(), s);
        double sum = 0;
        for (std::size_t i = 0; i < y.size(); ++i) sum += y[i] * dy[i];
        return sum;
      };
      projected();
      std::vector<double> dx(21), dresidual(21), dgamma(3), dbeta(3);
      batch_norm_backward(Reference{},
                          BatchNormGradient<double>{.x = x.data(),
                                                    .residual = residual.data(),
                                                    .dy = dy.data(),
                                                    .mean = mean.data(),
                                                    .inv_std = inv_std.data(),
                                                    .scale = scale.data(),
                                                    .shift = shift.data(),
                                                    .activation = activation,
                                                    .batch_statistics = batch_statistics,
                                                    .dx = dx.data(),
                                                    .dresidual = dresidual.data(),
                                                    .dgamma = dgamma.data(),
                                                    .dbeta = dbeta.data()},
                          s, nullptr);
      const auto check = [&](std::vector<double>& input, const std::vector<double>& gradient, const char* what) {
        for (std::size_t i = 0; i < input.size(); ++i) {
          const double kept = input[i];
          input[i] = kept + h;
          const double up = projected();
          input[i] = kept - h;
          const double down = projected();
          input[i] = kept;
          EXPECT_NEAR(gradient[i], (up - down) / (2 * h), 1e-8) << what << " " << i;
        }
      };
      check(x, dx, "dx");
      check(residual, dresidual, "dresidual");
      check(gamma, dgamma, "dgamma");
      check(beta, dbeta, "dbeta");
    }
}

/// Some frameworks' one-pass variance is negative here.
TEST(BatchNorm, SurvivesALargeMean) {
  const ChannelShape s{5000, 20};
  std::vector<float> x, mean(20), variance(20);
  for (std::int64_t i = 0; i < s.rows * s.channels; ++i) x.push_back(1000.f + (i / s.channels % 2 ? 1.f : -1.f));   // variance 1, exactly
  std::vector<unsigned char> workspace(batch_norm_workspace_bytes<float>(Cpu{}, s));
  on_every_isa([&] {
    batch_norm_statistics(Cpu{}, x.data(), mean.data(), variance.data(), s, workspace.data());
    for (std::size_t c = 0; c < 20; ++c) {
      EXPECT_FLOAT_EQ(mean[c], 1000.f);
      EXPECT_NEAR(variance[c], 1.f, 1e-6f);
    }
  });
}

TYPED_TEST(BatchNorm, SameBits) {
  using T = TypeParam;
  const ChannelShape s{1300, 147};
  std::vector<unsigned char> workspace(batch_norm_workspace_bytes<T>(Cpu{}, s));
  expect_same_bits(std::is_same_v<T, float> ? 0x4e952a42e13ffe47 : 0xc4925fca79a896fe, [&] {
    auto c = make_case<T>(s);
    std::vector<float> mean(147), variance(147);
    std::vector<T> y(c.x.size());
    batch_norm_statistics(Cpu{}, c.x.data(), mean.data(), variance.data(), s, workspace.data());
    scale_shift(Cpu{}, c.x.data(), c.residual.data(), c.scale.data(), c.shift.data(), Activation::relu, y.data(), s);
    batch_norm_backward(Cpu{}, c.arguments(Activation::relu, true, true, true), s, workspace.data());
    return hash_of(c.dbeta, hash_of(c.dgamma, hash_of(c.dresidual, hash_of(c.dx, hash_of(y, hash_of(variance, hash_of(mean)))))));
  });
}

}   // namespace
}   // namespace fovea::kernels
