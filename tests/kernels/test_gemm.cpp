// Matrix products: against the textbook loop bit for bit, against Reference within the rounding bound, in every layout.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <vector>

#include "tests/kernels/activation_testing.h"
#include "tests/kernels/gemm_testing.h"

namespace fovea::kernels {
namespace {

using std::int64_t;

template <class T, class TC>
std::vector<TC> run(const std::vector<T>& a, const std::vector<T>& b, std::vector<TC> c, const GemmShape& s, const Epilogue<TC>& e = {}) {
  Workspace ws(gemm_workspace_bytes<T>(Cpu{}, s));
  gemm(Cpu{}, a.data(), b.data(), c.data(), s, e, ws.data());
  EXPECT_TRUE(ws.intact());
  return c;
}

std::vector<GemmShape> shapes() {
  std::vector<GemmShape> list;
  for (auto [m, n, k] : {std::array<int64_t, 3>{1, 1, 1},
                         {3, 5, 7},
                         {13, 33, 17},
                         {97, 31, 64},
                         {96, 64, 48},
                         {12, 32, 1},
                         {5, 16, 600},
                         {1, 100, 37},
                         {193, 10, 64},
                         {2, 3, 0},
                         {0, 3, 2},
                         {3, 0, 2},
                         {101, 300, 1100},
                         {7, 48, 512}})
    list.push_back({.m = m, .n = n, .k = k});
  // padded rows
  list.push_back({.m = 19, .n = 21, .k = 23, .lda = 31, .ldb = 37, .ldc = 40});
  // batches: apart, repeating B, repeating A, one tall matrix
  list.push_back({.m = 5, .n = 6, .k = 7, .batch = 4, .stride_a = 40, .stride_b = 50, .stride_c = 60});
  list.push_back({.m = 5, .n = 6, .k = 7, .batch = 3, .stride_a = 41, .stride_b = 0, .stride_c = 33});
  list.push_back({.m = 5, .n = 6, .k = 7, .batch = 3, .stride_a = 0, .stride_b = 42, .stride_c = 30});
  list.push_back({.m = 50, .n = 6, .k = 7, .batch = 3, .stride_a = 350, .stride_b = 0, .stride_c = 300});
  list = in_every_layout(list);
  // several right matrices that are packed first, and more of them than at a time (16 MB)
  list.push_back({.m = 101, .n = 40, .k = 9, .batch = 3, .stride_a = 909, .stride_b = 360, .stride_c = 4040});
  list.push_back({.m = 97, .n = 2, .k = 2000, .batch = 70, .stride_a = 0, .stride_b = 4000, .stride_c = 194});
  // few rows, whose tasks pack B themselves
  list.push_back({.m = 2, .n = 64, .k = 2000, .batch = 40, .stride_a = 4000, .stride_b = 128000, .stride_c = 128});
  list.push_back({.m = 2, .n = 4200, .k = 960, .transpose_b = true});
  list.push_back({.m = 17, .n = 1300, .k = 3100, .transpose_b = true});
  list.push_back({.m = 5, .n = 2100, .k = 1910, .transpose_b = true, .lda = 1931, .ldb = 1937, .ldc = 2160});
  return list;
}

TEST(Gemm, IsTheTextbookLoopBitForBit) {
  for (Isa isa : fused_isas()) {
    const WithIsa with(isa);
    for (const GemmShape& s : shapes()) {
      const auto a = random_values<float>(size_a(s), 1), b = random_values<float>(size_b(s), 2), c = random_values<float>(size_c(s), 3);
      EXPECT_EQ(first_difference(run(a, b, c, s), chain(a, b, c, s)), -1)
          << name(s) << ' ' << isa_name(isa);   // gaps between rows stay as they were
    }
  }
}

/// Register tiles whole and cut off at every edge, one panel of half the width, k in parts, tiles of few rows, a B that its one
/// task packs.
std::vector<GemmShape> tiles() {
  return {{.m = 19, .n = 21, .k = 23, .ldc = 40},
          {.m = 110, .n = 70, .k = 9},
          {.m = 24, .n = 64, .k = 7},
          {.m = 40, .n = 69, .k = 3100},
          {.m = 100, .n = 37, .k = 1200},
          {.m = 3, .n = 4200, .k = 960, .transpose_b = true, .ldc = 4210}};
}

TEST(Gemm, EpiloguesAreDoneOperationByOperation) {
  for (Isa isa : fused_isas()) {
    const WithIsa with(isa);
    for (const GemmShape& s : tiles())
      for (int parts = 0; parts < 24; ++parts) {
        auto a = random_values<float>(size_a(s), 1);
        std::fill_n(a.begin(), s.k, 0.f);   // a row of sums that are 0, and with a negative scale -0
        const auto b = random_values<float>(size_b(s), 2), c = random_values<float>(size_c(s), 3),
                   residual = random_values<float>(size_c(s), 4), scale = random_values<float>(s.n, 5),
                   shift = random_values<float>(s.n, 6);
        const Activation activations[] = {Activation::none, Activation::relu, Activation::relu6};
        const Epilogue<float> e{.scale = parts & 1 ? scale.data() : nullptr,
                                .shift = parts & 2 ? shift.data() : nullptr,
                                .residual = parts & 4 ? residual.data() : nullptr,
                                .activation = activations[parts / 8],
                                .accumulate = parts == 0};
        EXPECT_EQ(first_difference(run(a, b, c, s, e), chain(a, b, c, s, e)), -1) << name(s) << ' ' << parts << ' ' << isa_name(isa);
      }
  }
}

/// In registers or in memory, a tile's activation has the bits of the operation of that name.
TEST(Gemm, ActivationsAreThoseOfTheOperation) {
  for (Isa isa : all_isas()) {
    const WithIsa with(isa);
    for (const GemmShape& s : tiles())
      for (const Activation activation : kActivations) {
        const auto a = random_values<float>(size_a(s), 1), b = random_values<float>(size_b(s), 2), c = random_values<float>(size_c(s), 3),
                   shift = random_values<float>(s.n, 4);
        auto want = run(a, b, c, s, {.shift = shift.data()});
        for (std::int64_t i = 0; i < s.m; ++i)
          activation_forward(Cpu{}, activation, want.data() + i * s.row_c(), want.data() + i * s.row_c(), s.n);
        const auto y = run(a, b, c, s, {.shift = shift.data(), .activation = activation});
        EXPECT_EQ(first_difference(y, want), -1) << name(s) << " activation " << int(activation) << ' ' << isa_name(isa);
      }
  }
}

TEST(Gemm, BitsAreTheSameForEveryThreadCountAndInstructionSet) {
  for (const GemmShape& s : {GemmShape{.m = 101, .n = 300, .k = 1100},
                             {.m = 300, .n = 10, .k = 64, .transpose_b = true},
                             {.m = 20, .n = 2000, .k = 2010, .transpose_b = true}}) {
    const auto a = random_values<float>(size_a(s), 1), b = random_values<float>(size_b(s), 2), c = random_values<float>(size_c(s), 3);
    const auto partials = [&](std::vector<float>& p) {
      p.assign(static_cast<std::size_t>(2 * stat_tiles(s.m) * s.n), -1.f);
      return run(a, b, c, s, {.partials = p.data()});
    };
    std::vector<float> p0, p;
    const auto y0 = partials(p0);
    for (int n : {1, 2, 3, 7}) {
      const WithThreads with(n);
      EXPECT_EQ(first_difference(partials(p), y0), -1) << n << " threads";
      EXPECT_EQ(first_difference(p, p0), -1) << n << " threads";
    }
    if (!isa_available(Isa::avx512)) GTEST_SKIP() << "this CPU has no AVX-512 to compare AVX2 with";
    const WithIsa other(Isa::avx2);
    EXPECT_EQ(first_difference(partials(p), y0), -1);
    EXPECT_EQ(first_difference(p, p0), -1);
  }
}

TEST(Gemm, SmallIntegersAreExact) {
  for (Isa isa : all_isas()) {
    const WithIsa with(isa);
    for (const GemmShape& s : shapes()) {
      if (s.k > 1000) continue;   // sums stay below 2^24 (float); bfloat16 holds integers to 256 exactly, so compare in float
      const auto a = small_integers<float>(size_a(s), 1), b = small_integers<float>(size_b(s), 2);
      std::vector<float> c(static_cast<std::size_t>(size_c(s))), want = c;
      gemm(Reference{}, a.data(), b.data(), want.data(), s, Epilogue<float>{}, nullptr);
      EXPECT_EQ(first_difference(run(a, b, c, s), want), -1) << name(s) << ' ' << isa_name(isa);
      const auto y = run<bfloat16, float>(converted<bfloat16>(a), converted<bfloat16>(b), c, s);
      EXPECT_EQ(first_difference(y, want), -1) << name(s) << " bfloat16, " << isa_name(isa);
    }
  }
}

/// Everything an epilogue can do, in each output type, within u |y| + 4 K 2^-24 sum |a b| of the definition.
template <class T, class TC> void check_epilogues() {
  for (Isa isa : all_isas()) {
    const WithIsa with(isa);
    for (const GemmShape& s : shapes())
      for (int what = 0; what < 8; ++what) {
        if (s.k > 1000 && what > 1) continue;
        const auto a = random_values<T>(size_a(s), 1), b = random_values<T>(size_b(s), 2);
        const auto c = random_values<TC>(size_c(s), 3), residual = random_values<TC>(size_c(s), 4);
        const auto scale = random_values<float>(s.n, 5), shift = random_values<float>(s.n, 6);
        const auto scale_d = converted<double>(scale), shift_d = converted<double>(shift), residual_d = converted<double>(residual);
        Epilogue<TC> e;
        Epilogue<double> d;
        if (what == 7) {
          e.accumulate = d.accumulate = true;
        } else {
          if (what & 1) e.shift = shift.data(), d.shift = shift_d.data();
          if (what & 2) e.scale = scale.data(), d.scale = scale_d.data();
          if (what & 4) e.residual = residual.data(), d.residual = residual_d.data();
          if (what > 2) e.activation = d.activation = Activation::relu;
        }
        const auto y = run(a, b, c, s, e);
        auto want = converted<double>(c);
        gemm(Reference{}, converted<double>(a).data(), converted<double>(b).data(), want.data(), s, d, nullptr);
        // sum |a b| <= k as all inputs lie in [-1, 1]; the scale, too
        const double bound = 4. * double(s.k + 4) * std::ldexp(1, -24) * double(s.k + 2);
        ASSERT_LE(worst_excess(y, want, bound), 0) << name(s) << " epilogue " << what << ' ' << isa_name(isa);
      }
  }
}
TEST(Gemm, EpiloguesFollowTheDefinition) { check_epilogues<float, float>(); }
TEST(Gemm, EpiloguesFollowTheDefinitionBf16) { check_epilogues<bfloat16, bfloat16>(); }
TEST(Gemm, EpiloguesFollowTheDefinitionBf16ToFloat) { check_epilogues<bfloat16, float>(); }

TEST(Gemm, PartialsAreThoseOfTheRoundedOutput) {
  for (const GemmShape& s : {GemmShape{.m = 1, .n = 19, .k = 33},
                             {.m = 95, .n = 19, .k = 33},
                             {.m = 96, .n = 19, .k = 33},
                             {.m = 97, .n = 19, .k = 33},
                             {.m = 200, .n = 19, .k = 33},
                             {.m = 5, .n = 2100, .k = 1920, .transpose_b = true}}) {
    const int64_t m = s.m;
    const auto a = random_values<bfloat16>(m * s.k, 1), b = random_values<bfloat16>(s.k * s.n, 2);
    std::vector<float> partials(static_cast<std::size_t>(2 * stat_tiles(m) * s.n), -1.f);
    const auto y = run(a, b, std::vector<bfloat16>(static_cast<std::size_t>(m * s.n)), s, {.partials = partials.data()});
    // Reference statistics of the very same rounded values: 1 * y
    const std::vector<double> one(static_cast<std::size_t>(m * m)), zeros;
    std::vector<double> identity(static_cast<std::size_t>(m * m)), out(static_cast<std::size_t>(m * s.n)), want(partials.size());
    for (int64_t i = 0; i < m; ++i) identity[i * m + i] = 1;
    gemm(Reference{}, identity.data(), converted<double>(y).data(), out.data(), {.m = m, .n = s.n, .k = m}, {.partials = want.data()},
         nullptr);
    for (std::size_t i = 0; i < want.size(); ++i)
      EXPECT_NEAR(partials[i], want[i], 1e-5 * (1 + std::abs(want[i]))) << i;   // 96 roundings of 2^-24
  }
}

TEST(Gemm, EmptySumIsZeroAndMeetsTheEpilogue) {
  const GemmShape s{.m = 2, .n = 3, .k = 0};
  const std::vector<float> shift{1, 2, -3};
  const auto y = run<float, float>({}, {}, std::vector<float>(6, 9.f), s, {.shift = shift.data(), .activation = Activation::relu});
  EXPECT_EQ(y, (std::vector<float>{1, 2, 0, 1, 2, 0}));
}

TEST(Gemm, NanAndInfinityComeThrough) {
  const GemmShape s{.m = 2, .n = 2, .k = 2};
  const auto y = run<float, float>({NAN, 0, INFINITY, 1}, {1, 2, 3, 4}, std::vector<float>(4), s, {.activation = Activation::relu});
  EXPECT_TRUE(std::isnan(y[0]) && std::isnan(y[1]));
  EXPECT_EQ(y[2], INFINITY);
}

// The output bytes of fixed shapes with fixed inputs, so that machines check each other.
TEST(Gemm, StoredHashes) {
  struct Case {
    GemmShape s;
    std::uint64_t f32, bf16;
  };
  const Case cases[] = {
      {{.m = 64, .n = 64, .k = 64}, 2791450805127624462u, 17660805982542375238u},
      {{.m = 37, .n = 300, .k = 1029, .transpose_b = true}, 17803382597960745886u, 16604272546275282548u},
      {{.m = 130, .n = 17, .k = 70, .transpose_a = true}, 15893598252055353462u, 6468233401414206248u},
  };
  for (Isa isa : fused_isas()) {
    const WithIsa with(isa);
    for (const Case& c : cases) {
      const auto a = random_values<float>(size_a(c.s), 11), b = random_values<float>(size_b(c.s), 12);
      const std::vector<float> y(static_cast<std::size_t>(size_c(c.s)));
      EXPECT_EQ(hash(run(a, b, y, c.s)), c.f32) << name(c.s) << ' ' << isa_name(isa);
      EXPECT_EQ(hash(run(converted<bfloat16>(a), converted<bfloat16>(b), converted<bfloat16>(y), c.s)), c.bf16)
          << name(c.s) << ' ' << isa_name(isa);
    }
  }
  if (!isa_available(Isa::avx512)) GTEST_SKIP() << "AVX-512 not checked: this CPU lacks it";
}

}   // namespace
}   // namespace fovea::kernels
