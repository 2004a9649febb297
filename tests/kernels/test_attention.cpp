// test_attention.cpp: attention and window attention: Cpu against Reference on odd shapes, strides and edges; a plain float loop as the
// yardstick of the error; the same bits for any number of threads and for AVX2 and AVX-512.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "kernels/attention.h"
#include "kernels/window_attention.h"
#include "tests/kernels/product_testing.h"
#include "tests/kernels/variants.h"

namespace fovea::kernels {
namespace {

using std::int64_t;

template <class T> class Attention : public testing::Test {};
using Types = testing::Types<float, bfloat16>;
TYPED_TEST_SUITE(Attention, Types);

template <class V> double norm(const V& x) {
  double sum = 0;
  for (const auto v : x) sum += double(v) * double(v);
  return std::sqrt(sum);
}
/// || got - want || <= bound * (|| want || + floor): floor is the size of what the result is a difference of.
template <class A, class B>
void expect_near(const std::vector<A>& got, const std::vector<B>& want, double bound, double floor, const char* what) {
  ASSERT_EQ(got.size(), want.size()) << what;
  std::vector<double> difference;
  for (std::size_t i = 0; i < got.size(); ++i) difference.push_back(double(got[i]) - double(want[i]));
  EXPECT_LE(norm(difference), bound * (norm(want) + floor)) << what;
}
/// Sums of up to 197 terms in float, an exponential in between; or the rounding of every result.
template <class T> constexpr double kBound = std::is_same_v<T, bfloat16> ? 0x1p-8 : 1e-6;

/// All numbers of one call. q, k and v lie in one projection (batch, tokens, 3, heads, dim) when queries = keys, else apart.
template <class T> struct Problem {
  AttentionShape s;
  std::vector<T> qkv, dy, y, dqkv, p;
  std::vector<acc_t<T>> bias, lse, dbias;
  int64_t k_at, v_at;

  Problem(int64_t batch, int64_t heads, int64_t queries, int64_t keys, int64_t dim, int64_t bias_groups, double size = 1) {
    const int64_t c = heads * dim;
    const bool fused = queries == keys;
    s = {.batch = batch,
         .heads = heads,
         .queries = queries,
         .keys = keys,
         .dim = dim,
         .q = {},
         .kv = {},
         .scale = size / std::sqrt(double(dim)),
         .bias_groups = bias_groups};
    s.q = fused ? RowStrides{queries * 3 * c, 3 * c, dim} : RowStrides{queries * c, c, dim};
    s.kv = fused ? s.q : RowStrides{keys * c, c, dim};
    k_at = fused ? c : batch * queries * c, v_at = fused ? 2 * c : k_at + batch * keys * c;
    qkv = spread<T>(batch * (queries + 2 * keys) * c, 1);
    dy = spread<T>(batch * queries * c, 2);
    bias = spread<acc_t<T>>(bias_groups * heads * queries * keys, 3);
  }
  template <class U> Problem<U> in() const {
    Problem<U> other(s.batch, s.heads, s.queries, s.keys, s.dim, s.bias_groups);
    other.s = s, other.qkv = as<U>(qkv), other.dy = as<U>(dy), other.bias = as<acc_t<U>>(bias);
    return other;
  }
  /// Everything there is to compute. Targets of gradients hold 0.5 before, which accumulate must keep.
  template <class Backend> void run(Backend be, bool accumulate) {
    Workspace ws(attention_workspace_bytes<T>(be, s));
    const acc_t<T>* b = s.bias_groups ? bias.data() : nullptr;
    y.assign(dy.size(), T(0.f));
    lse.assign(std::size_t(s.batch * s.heads * s.queries), 0);
    attention_forward(be, qkv.data(), qkv.data() + k_at, qkv.data() + v_at, b, y.data(), lse.data(), s, ws.data());
    p.assign(std::size_t(s.batch * s.heads * s.queries * s.keys), T(0.f));
    attention_weights(be, qkv.data(), qkv.data() + k_at, b, p.data(), s, ws.data());
    dqkv.assign(qkv.size(), T(0.5f));
    dbias.assign(bias.size(), 0.5f);
    attention_backward(be, qkv.data(), qkv.data() + k_at, qkv.data() + v_at, b, lse.data(), dy.data(),
                       AttentionGradients<T>{.dq = dqkv.data(),
                                             .dk = dqkv.data() + k_at,
                                             .dv = dqkv.data() + v_at,
                                             .dbias = s.bias_groups ? dbias.data() : nullptr,
                                             .accumulate_q = accumulate,
                                             .accumulate_k = accumulate,
                                             .accumulate_v = accumulate,
                                             .accumulate_bias = accumulate},
                       s, ws.data());
    EXPECT_TRUE(ws.intact());
  }
  std::string name() const {
    std::string text = std::to_string(s.batch) + " x " + std::to_string(s.heads) + " heads, " + std::to_string(s.queries) + " queries, ";
    return text + std::to_string(s.keys) + " keys, dim " + std::to_string(s.dim) + ", " + std::to_string(s.bias_groups) + " biases";
  }
  std::uint64_t hash() const { return hash_of(dbias, hash_of(dqkv, hash_of(p, hash_of(lse, hash_of(y))))); }
};

template <class T> void expect_matches_reference(Problem<T> problem, bool accumulate) {
  SCOPED_TRACE(problem.name());
  auto truth = problem.template in<double>();
  truth.run(Reference{}, accumulate);
  problem.run(Cpu{}, accumulate);
  const double u = kBound<T>, floor = norm(problem.dy);
  expect_near(problem.y, truth.y, u, 0, "y");
  expect_near(problem.lse, truth.lse, 1e-6, std::sqrt(double(truth.lse.size())), "lse");   // near log 1 = 0
  expect_near(problem.p, truth.p, u, 0, "weights");
  expect_near(problem.dqkv, truth.dqkv, u, floor, "dq, dk, dv");
  expect_near(problem.dbias, truth.dbias, 1e-6, floor, "dbias");
}

TYPED_TEST(Attention, MatchesReference) {
  on_every_isa([] {
    for (const int64_t tokens : {1, 5, 17, 49, 50})
      for (const int64_t dim : {1, 8, 31, 32, 64})
        expect_matches_reference(Problem<TypeParam>(2, dim == 8 ? 3 : 1, tokens, tokens, dim, tokens % 3 == 2), tokens == 17);
    expect_matches_reference(Problem<TypeParam>(1, 2, 197, 197, 64, 0), false);
    expect_matches_reference(Problem<TypeParam>(6, 3, 7, 21, 5, 2), true);    // two biases for six batches, more keys than queries
    expect_matches_reference(Problem<TypeParam>(70, 2, 6, 6, 3, 1), true);    // more batches than parts of the sum
    expect_matches_reference(Problem<TypeParam>(2, 1, 33, 2, 4, 2), false);   // a bias for each batch
  });
}

TEST(Attention, ManyQueriesAreCutIntoTasks) { expect_matches_reference(Problem<float>(1, 1, 1601, 9, 3, 0), false); }

// Scores of several thousand: e^score would overflow, and almost all weight goes to one key.
TYPED_TEST(Attention, LargeScores) {
  on_every_isa([] {
    Problem<TypeParam> problem(1, 2, 9, 9, 16, 1, 3000);
    problem.run(Cpu{}, false);
    for (const auto v : problem.y) EXPECT_TRUE(std::isfinite(float(v)) && std::abs(float(v)) <= 1.f);
    for (const auto v : problem.dqkv) EXPECT_TRUE(std::isfinite(float(v)));
    for (const float v : problem.lse) EXPECT_GT(std::abs(v), 100.f);
  });
}

TYPED_TEST(Attention, Edges) {
  using T = TypeParam;
  on_every_isa([] {
    Problem<T> problem(1, 1, 3, 20, 2, 1);
    const float inf = std::numeric_limits<float>::infinity();
    for (std::size_t j = 0; j < 20; ++j) problem.bias[j] = -inf;    // query 0 has no key at all
    for (std::size_t j = 21; j < 40; ++j) problem.bias[j] = -inf;   // query 1 has one
    problem.qkv[4] = T(std::numeric_limits<float>::quiet_NaN());    // query 2 is NaN
    problem.run(Cpu{}, false);
    EXPECT_TRUE(std::isnan(float(problem.y[0])) && std::isnan(float(problem.p[19])));
    EXPECT_EQ(float(problem.y[2]), float(problem.qkv[std::size_t(problem.v_at)]));
    EXPECT_EQ(float(problem.p[20]), 1.f);
    EXPECT_EQ(float(problem.p[39]), 0.f);
    EXPECT_TRUE(std::isnan(float(problem.y[4])));
  });
}

/// The textbook loop in float, one sum after the other.
std::vector<float> plain_loop(const Problem<float>& a) {
  std::vector<float> y(a.dy.size()), s(std::size_t(a.s.keys));
  const int64_t d = a.s.dim;
  for (int64_t i = 0; i < a.s.queries; ++i) {
    float largest = -1e30f, sum = 0;
    for (int64_t j = 0; j < a.s.keys; ++j) {
      float dot = 0;
      for (int64_t c = 0; c < d; ++c)
        dot += float(a.s.scale) * a.qkv[std::size_t(i * a.s.q.token + c)] * a.qkv[std::size_t(a.k_at + j * a.s.kv.token + c)];
      largest = std::max(largest, s[std::size_t(j)] = dot);
    }
    for (float& v : s) sum += v = std::exp(v - largest);
    for (int64_t c = 0; c < d; ++c) {
      float total = 0;
      for (int64_t j = 0; j < a.s.keys; ++j) total += s[std::size_t(j)] / sum * a.qkv[std::size_t(a.v_at + j * a.s.kv.token + c)];
      y[std::size_t(i * d + c)] = total;
    }
  }
  return y;
}

TEST(Attention, AtMostTwiceTheErrorOfAPlainLoop) {
  on_every_isa([] {
    for (const double size : {1., 20.}) {
      Problem<float> problem(1, 1, 197, 197, 64, 0, size);
      auto truth = problem.in<double>();
      truth.run(Reference{}, false);
      problem.run(Cpu{}, false);
      const auto error = [&](const std::vector<float>& y) {
        double largest = 0;
        for (std::size_t i = 0; i < y.size(); ++i) largest = std::max(largest, std::abs(double(y[i]) - truth.y[i]));
        return largest;
      };
      EXPECT_LE(error(problem.y), 2 * error(plain_loop(problem))) << size;
    }
  });
}

TEST(Attention, BitsAreTheSameForEveryThreadCountAndInstructionSet) {
  expect_same_bits(0x3ae5d7931622f975u, [] {
    Problem<float> f(3, 2, 50, 50, 17, 1), long_rows(1, 1, 900, 33, 8, 0);
    Problem<bfloat16> b(2, 3, 7, 21, 5, 2);
    f.run(Cpu{}, false), long_rows.run(Cpu{}, true), b.run(Cpu{}, true);
    return f.hash() ^ long_rows.hash() * 3 ^ b.hash() * 5;
  });
}

template <class T> struct WindowProblem {
  WindowAttentionShape s;
  std::vector<T> qkv, padding, dy, y, dqkv, p;
  std::vector<acc_t<T>> table, lse, dtable, dpadding;

  explicit WindowProblem(const WindowAttentionShape& shape) : s(shape) {
    qkv = spread<T>(s.images * s.h * s.w * 3 * s.channels(), 1), dy = spread<T>(s.images * s.h * s.w * s.channels(), 2);
    padding = spread<T>(3 * s.channels(), 3), table = spread<acc_t<T>>(s.table_rows() * s.heads, 4);
  }
  template <class Backend> void run(Backend be, bool accumulate) {
    Workspace ws(window_attention_workspace_bytes<T>(be, s));
    y.assign(dy.size(), T(0.f));
    lse.assign(std::size_t(s.images * s.windows() * s.heads * s.tokens()), 0);
    window_attention_forward(be, qkv.data(), padding.data(), table.data(), y.data(), lse.data(), s, ws.data());
    p.assign(lse.size() * std::size_t(s.tokens()), T(0.f));
    window_attention_weights(be, qkv.data(), padding.data(), table.data(), p.data(), s, ws.data());
    dqkv.assign(qkv.size(), T(0.5f));
    dtable.assign(table.size(), 0.5f);
    dpadding.assign(padding.size(), 0.5f);
    window_attention_backward(be, qkv.data(), padding.data(), table.data(), lse.data(), dy.data(),
                              WindowAttentionGradients<T>{.dqkv = dqkv.data(),
                                                          .dpadding = dpadding.data(),
                                                          .dtable = dtable.data(),
                                                          .accumulate_qkv = accumulate,
                                                          .accumulate_padding = accumulate,
                                                          .accumulate_table = accumulate},
                              s, ws.data());
    EXPECT_TRUE(ws.intact());
  }
  std::uint64_t hash() const { return hash_of(dpadding, hash_of(dtable, hash_of(dqkv, hash_of(p, hash_of(y))))); }
};

const std::vector<WindowAttentionShape> kWindowShapes{
    {.images = 2, .h = 14, .w = 14, .heads = 3, .dim = 32, .window_h = 7, .window_w = 7, .shift_h = 3, .shift_w = 3, .scale = 0.2},
    {.images = 1, .h = 10, .w = 13, .heads = 2, .dim = 17, .window_h = 4, .window_w = 7, .shift_h = 2, .shift_w = 3, .scale = 0.3},
    {.images = 70, .h = 3, .w = 2, .heads = 1, .dim = 1, .window_h = 2, .window_w = 1, .shift_h = 1, .shift_w = 0, .scale = 1},
    {.images = 1, .h = 5, .w = 5, .heads = 5, .dim = 7, .window_h = 8, .window_w = 9, .shift_h = 4, .shift_w = 4, .scale = 0.5},
};

TYPED_TEST(Attention, WindowsMatchReference) {
  using T = TypeParam;
  on_every_isa([] {
    for (const WindowAttentionShape& s : kWindowShapes)
      for (const bool accumulate : {false, true}) {
        WindowProblem<T> problem(s);
        WindowProblem<double> truth(s);
        truth.qkv = as<double>(problem.qkv), truth.padding = as<double>(problem.padding), truth.dy = as<double>(problem.dy);
        truth.run(Reference{}, accumulate), problem.run(Cpu{}, accumulate);
        const double u = kBound<T>, floor = norm(problem.dy);
        expect_near(problem.y, truth.y, u, 0, "y");
        expect_near(problem.p, truth.p, u, 0, "weights");
        expect_near(problem.dqkv, truth.dqkv, u, floor, "dqkv");
        expect_near(problem.dtable, truth.dtable, 1e-6, floor, "dtable");
        expect_near(problem.dpadding, truth.dpadding, 1e-6, floor, "dpadding");
      }
  });
}

TEST(WindowAttention, BitsAreTheSameForEveryThreadCountAndInstructionSet) {
  expect_same_bits(0xa3758787d489533du, [] {
    WindowProblem<float> f(kWindowShapes[0]);
    WindowProblem<bfloat16> b(kWindowShapes[1]);
    f.run(Cpu{}, false), b.run(Cpu{}, true);
    return f.hash() ^ b.hash() * 3;
  });
}

}   // namespace
}   // namespace fovea::kernels
