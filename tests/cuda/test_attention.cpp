// Attention on the device: against Reference on the same rounded inputs, at every edge of a tile; its error beside that of a plain loop with
// the same roundings; the same bits under every schedule; the products, bytes and passes through shared memory that it takes.
#include "kernels/attention.h"

#include <limits>

#include "tests/cuda/attention_testing.h"

namespace fovea::kernels {
namespace {

using std::int64_t;

template <class T> class CudaAttention : public testing::Test {};
using Types = testing::Types<float, bfloat16>;
TYPED_TEST_SUITE(CudaAttention, Types);

/// What is read: q, k and v in one projection (batch, tokens, 3, heads, dim) where queries = keys, else one after the other.
struct Layout {
  AttentionShape s;
  int64_t k_at, v_at, elements;
};
struct Sizes {
  int64_t batch = 1, heads = 1, queries, keys, dim, bias_groups = 0;
  double size = 1;   // of the scores
};
Layout layout_of(const Sizes& o) {
  const int64_t c = o.heads * o.dim;
  const bool fused = o.queries == o.keys;
  Layout l{.s = {.batch = o.batch,
                 .heads = o.heads,
                 .queries = o.queries,
                 .keys = o.keys,
                 .dim = o.dim,
                 .q = fused ? RowStrides{o.queries * 3 * c, 3 * c, o.dim} : RowStrides{o.queries * c, c, o.dim},
                 .kv = fused ? RowStrides{o.queries * 3 * c, 3 * c, o.dim} : RowStrides{o.keys * c, c, o.dim},
                 .scale = o.size / std::sqrt(double(o.dim)),
                 .bias_groups = o.bias_groups},
           .k_at = fused ? c : o.batch * o.queries * c,
           .v_at = fused ? 2 * c : o.batch * (o.queries + o.keys) * c,
           .elements = o.batch * (o.queries + 2 * o.keys) * c};
  return l;
}
std::string text(const AttentionShape& s) {
  return std::to_string(s.batch) + " x " + std::to_string(s.heads) + " heads, " + std::to_string(s.queries) + " queries, " +
         std::to_string(s.keys) + " keys, dim " + std::to_string(s.dim) + ", " + std::to_string(s.bias_groups) + " biases";
}

/// All numbers of one call. Targets of gradients hold 0.5 before, which accumulate must keep.
template <class T> struct Numbers {
  std::vector<T> qkv, dy, y, p, dqkv;
  std::vector<acc_t<T>> bias, lse, dbias;

  explicit Numbers(const Layout& l, bool weights = true)
      : qkv(spread<T>(l.elements, 1)),
        dy(spread<T>(l.s.batch * l.s.queries * l.s.heads * l.s.dim, 2)),
        y(dy.size()),
        p(weights ? l.s.batch * l.s.heads * l.s.queries * l.s.keys : 0),
        dqkv(qkv.size(), T(0.5f)),
        bias(spread<acc_t<T>>(l.s.bias_groups * l.s.heads * l.s.queries * l.s.keys, 3)),
        lse(l.s.batch * l.s.heads * l.s.queries),
        dbias(bias.size(), 0.5f) {}
};
template <class T> Numbers<double> as_double(const Numbers<T>& n, const Layout& l) {
  Numbers<double> r(l, !n.p.empty());
  r.qkv = as<double>(n.qkv), r.dy = as<double>(n.dy), r.bias = as<double>(n.bias);
  return r;
}
template <class T> std::uint64_t hash_of_all(const Numbers<T>& n) {
  return hash_of(n.dbias, hash_of(n.dqkv, hash_of(n.p, hash_of(n.lse, hash_of(n.y)))));
}
template <class T> AttentionGradients<T> gradients(T* dqkv, acc_t<T>* dbias, const Layout& l, bool accumulate) {
  return {.dq = dqkv,
          .dk = dqkv + l.k_at,
          .dv = dqkv + l.v_at,
          .dbias = l.s.bias_groups ? dbias : nullptr,
          .accumulate_q = accumulate,
          .accumulate_k = accumulate,
          .accumulate_v = accumulate,
          .accumulate_bias = accumulate};
}

template <class T> Numbers<T> on_device(const Numbers<T>& n, const Layout& l, bool accumulate) {
  DeviceArray<T> qkv(n.qkv), dy(n.dy), y(n.y), p(n.p), dqkv(n.dqkv);
  DeviceArray<float> bias(n.bias), lse(n.lse), dbias(n.dbias);
  DeviceArray<unsigned char> workspace(attention_workspace_bytes<T>(Cuda{}, l.s));
  const T *k = qkv.data() + l.k_at, *v = qkv.data() + l.v_at;
  const float* b = l.s.bias_groups ? bias.data() : nullptr;
  attention_forward<T>(Cuda{}, qkv.data(), k, v, b, y.data(), lse.data(), l.s, workspace.data());
  if (!n.p.empty()) attention_weights<T>(Cuda{}, qkv.data(), k, b, p.data(), l.s, workspace.data());
  attention_backward<T>(Cuda{}, qkv.data(), k, v, b, lse.data(), dy.data(), gradients(dqkv.data(), dbias.data(), l, accumulate), l.s,
                        workspace.data());
  for (DeviceArray<T>* a : {&y, &p, &dqkv}) a->expect_guards_untouched();
  for (DeviceArray<float>* a : {&lse, &dbias}) a->expect_guards_untouched();
  workspace.expect_guards_untouched();
  Numbers<T> r = n;
  r.y = y.host(), r.p = p.host(), r.dqkv = dqkv.host(), r.lse = lse.host(), r.dbias = dbias.host();
  return r;
}
Numbers<double> by_reference(Numbers<double> n, const Layout& l, bool accumulate) {
  std::vector<unsigned char> workspace(attention_workspace_bytes<double>(Reference{}, l.s));
  const double *k = n.qkv.data() + l.k_at, *v = n.qkv.data() + l.v_at, *b = l.s.bias_groups ? n.bias.data() : nullptr;
  attention_forward(Reference{}, n.qkv.data(), k, v, b, n.y.data(), n.lse.data(), l.s, workspace.data());
  if (!n.p.empty()) attention_weights(Reference{}, n.qkv.data(), k, b, n.p.data(), l.s, workspace.data());
  attention_backward(Reference{}, n.qkv.data(), k, v, b, n.lse.data(), n.dy.data(), gradients(n.dqkv.data(), n.dbias.data(), l, accumulate),
                     l.s, workspace.data());
  return n;
}

enum class Schedules { one, few, all };
struct Options {
  bool accumulate = false, weights = true;
  Schedules schedules = Schedules::few;
};
template <class T> void check(const Sizes& sizes, Options o = {}) {
  const Layout l = layout_of(sizes);
  SCOPED_TRACE(text(l.s));
  const Numbers<T> n(l, o.weights);
  Numbers<T> got = n;
  const auto run = [&] {
    got = on_device(n, l, o.accumulate);
    return std::vector<std::uint64_t>{hash_of_all(got)};
  };
  if (o.schedules == Schedules::one)
    run();
  else
    same_on_every_schedule<std::uint64_t>(run, o.schedules == Schedules::few);
  const Numbers<double> want = by_reference(as_double(n, l), l, o.accumulate);
  const double u = kAttentionBound<T>, floor = norm(n.dy);
  expect_near(got.y, want.y, u, 0, "y");
  expect_near(got.lse, want.lse, 1e-6, std::sqrt(double(want.lse.size())), "lse");   // near log 1 = 0
  expect_near(got.p, want.p, u, 0, "weights");
  expect_near(got.dqkv, want.dqkv, u, floor, "dq, dk, dv");
  expect_near(got.dbias, want.dbias, std::is_same_v<T, float> ? 1e-6 : 1e-5, floor, "dbias");
}

// Tokens: one; one less and one more than a warp's width; more than a tile of 64; one past 256. Head sizes: one; less than, exactly and more
// than what a tile's rows hold; the largest.
TYPED_TEST(CudaAttention, IsTheReference) {
  using T = TypeParam;
  check<T>({.batch = 2, .queries = 1, .keys = 1, .dim = 1, .bias_groups = 1});
  check<T>({.heads = 2, .queries = 31, .keys = 31, .dim = 24});
  check<T>({.batch = 2, .queries = 33, .keys = 33, .dim = 80, .bias_groups = 1});
  check<T>({.queries = 70, .keys = 70, .dim = 32, .bias_groups = 1});
  check<T>({.queries = 17, .keys = 17, .dim = 256});
  check<T>({.queries = 197, .keys = 197, .dim = 64, .bias_groups = 1}, {.weights = false, .schedules = Schedules::one});
  check<T>({.queries = 257, .keys = 257, .dim = 32}, {.weights = false, .schedules = Schedules::one});
}

// More keys than queries and fewer; several biases for a batch, more batches than parts of the sum.
TYPED_TEST(CudaAttention, CrossLengthsAndSharedBiases) {
  using T = TypeParam;
  check<T>({.batch = 6, .heads = 3, .queries = 7, .keys = 21, .dim = 5, .bias_groups = 2}, {.accumulate = true});
  check<T>({.batch = 2, .queries = 33, .keys = 2, .dim = 4, .bias_groups = 2});
  check<T>({.batch = 70, .queries = 3, .keys = 3, .dim = 8, .bias_groups = 1}, {.accumulate = true});
  check<T>({.queries = 5, .keys = 130, .dim = 72});
}

TYPED_TEST(CudaAttention, EverySchedule) {
  using T = TypeParam;
  check<T>({.heads = 2, .queries = 40, .keys = 40, .dim = 16, .bias_groups = 1}, {.schedules = Schedules::all});
  check<T>({.queries = 66, .keys = 66, .dim = 104}, {.accumulate = true, .schedules = Schedules::all});
}

TYPED_TEST(CudaAttention, NothingToDo) {
  using T = TypeParam;
  check<T>({.batch = 0, .queries = 5, .keys = 5, .dim = 8});
  check<T>({.queries = 0, .keys = 5, .dim = 8});   // dk = dv = 0
  check<T>({.batch = 0, .queries = 5, .keys = 5, .dim = 8, .bias_groups = 1});
}

TYPED_TEST(CudaAttention, RefusesLargerHeads) {
  const Layout l = layout_of({.queries = 2, .keys = 2, .dim = 257});
  const auto message = [&](auto run) {
    try {
      run();
    } catch (const std::invalid_argument& e) {
      return std::string(e.what());
    }
    return std::string("nothing thrown");
  };
  const std::string want = "attention on CUDA: expected heads of at most 256 elements, got 257";
  EXPECT_EQ(message([&] { attention_forward<TypeParam>(Cuda{}, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, l.s, nullptr); }),
            want);
  EXPECT_EQ(message([&] { attention_backward<TypeParam>(Cuda{}, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, {}, l.s, nullptr); }),
            want);
}

/// q, k and v are one tensor, and so are dq, dk and dv: each element gets dq, then dk, then dv.
TYPED_TEST(CudaAttention, OneTensorThreeTimes) {
  using T = TypeParam;
  for (const int64_t dim : {8, 136}) {
    Layout l = layout_of({.batch = 2, .queries = 35, .keys = 35, .dim = dim});
    l.k_at = l.v_at = 0;
    const Numbers<T> n(l, false);
    const Numbers<T> got = on_device(n, l, true);
    expect_near(got.dqkv, by_reference(as_double(n, l), l, true).dqkv, 3 * kAttentionBound<T>, norm(n.dy),
                "dq + dk + dv");   // rounded thrice
  }
}

/// A gradient that is not wanted is not written, and the others are the same.
TYPED_TEST(CudaAttention, GradientsOnRequest) {
  using T = TypeParam;
  const Layout l = layout_of({.queries = 9, .keys = 9, .dim = 8, .bias_groups = 1});
  const Numbers<T> n(l);
  const Numbers<T> all = on_device(n, l, false);
  DeviceArray<T> qkv(n.qkv), dy(n.dy);
  DeviceArray<float> bias(n.bias), lse(all.lse);
  DeviceArray<unsigned char> workspace(attention_workspace_bytes<T>(Cuda{}, l.s));
  for (int which = 0; which < 4; ++which) {
    DeviceArray<T> dqkv(n.dqkv);
    DeviceArray<float> dbias(n.dbias);
    AttentionGradients<T> g;
    if (which == 0) g.dq = dqkv.data();
    if (which == 1) g.dk = dqkv.data() + l.k_at;
    if (which == 2) g.dv = dqkv.data() + l.v_at;
    if (which == 3) g.dbias = dbias.data();
    attention_backward<T>(Cuda{}, qkv.data(), qkv.data() + l.k_at, qkv.data() + l.v_at, bias.data(), lse.data(), dy.data(), g, l.s,
                          workspace.data());
    const std::vector<T> got = dqkv.host();
    for (int64_t i = 0; i < l.elements; ++i)
      ASSERT_EQ(float(got[i]), i / l.s.dim % 3 == which ? float(all.dqkv[i]) : 0.5f) << which << " at " << i;
    EXPECT_EQ(dbias.host(), which == 3 ? all.dbias : n.dbias);
  }
}

// Scores of several thousand: e^score would overflow, and almost all weight goes to one key.
TYPED_TEST(CudaAttention, LargeScores) {
  const Layout l = layout_of({.heads = 2, .queries = 9, .keys = 9, .dim = 16, .bias_groups = 1, .size = 3000});
  const Numbers<TypeParam> got = on_device(Numbers<TypeParam>(l), l, false);
  for (const auto v : got.y) EXPECT_TRUE(std::isfinite(float(v)) && std::abs(float(v)) <= 1.f);
  for (const auto v : got.dqkv) EXPECT_TRUE(std::isfinite(float(v)));
  for (const float v : got.lse) EXPECT_GT(std::abs(v), 100.f);
}

TYPED_TEST(CudaAttention, MasksAndNaNs) {
  using T = TypeParam;
  const Layout l = layout_of({.queries = 3, .keys = 20, .dim = 2, .bias_groups = 1});
  Numbers<T> n(l);
  for (std::size_t j = 0; j < 20; ++j) n.bias[j] = -std::numeric_limits<float>::infinity();    // query 0 has no key at all
  for (std::size_t j = 21; j < 40; ++j) n.bias[j] = -std::numeric_limits<float>::infinity();   // query 1 has one
  n.qkv[4] = T(std::numeric_limits<float>::quiet_NaN());                                       // query 2 is NaN
  const Numbers<T> got = on_device(n, l, false);
  EXPECT_TRUE(std::isnan(float(got.y[0])) && std::isnan(float(got.p[19])) && std::isnan(got.lse[0]));
  EXPECT_EQ(float(got.y[2]), float(n.qkv[l.v_at]));
  EXPECT_EQ(float(got.p[20]), 1.f);
  EXPECT_EQ(float(got.p[39]), 0.f);
  EXPECT_TRUE(std::isnan(float(got.y[4])));
}

/// The textbook's loops in float, one sum after the other, P and dS rounded where the device rounds them. One head of one batch.
template <class T> Numbers<T> plain_loop(Numbers<T> n, const Layout& l) {
  const int64_t keys = l.s.keys, dim = l.s.dim, step = 3 * dim;
  const float scale = float(l.s.scale);
  std::vector<float> s(keys), p(keys), dk(keys * dim), dv(keys * dim);
  const auto q_at = [&](int64_t i, int64_t c) { return i * step + c; };
  const auto k_at = [&](int64_t j, int64_t c) { return l.k_at + j * step + c; };
  const auto v_at = [&](int64_t j, int64_t c) { return l.v_at + j * step + c; };
  for (int64_t i = 0; i < l.s.queries; ++i) {
    float largest = -1e30f, sum = 0, mean = 0;
    for (int64_t j = 0; j < keys; ++j) {
      float dot = 0;
      for (int64_t c = 0; c < dim; ++c) dot += float(n.qkv[q_at(i, c)]) * float(n.qkv[k_at(j, c)]);
      s[j] = scale * dot + (n.bias.empty() ? 0.f : n.bias[i * keys + j]);
      largest = std::max(largest, s[j]);
    }
    for (int64_t j = 0; j < keys; ++j) sum += p[j] = std::exp(s[j] - largest);
    for (int64_t c = 0; c < dim; ++c) {
      float total = 0;
      for (int64_t j = 0; j < keys; ++j) total += float(T(p[j])) * float(n.qkv[v_at(j, c)]);
      n.y[i * dim + c] = T(total / sum);
    }
    std::vector<float> dp(keys), dq(dim);
    const float lse = largest + std::log(sum);   // all that backward has
    for (int64_t j = 0; j < keys; ++j) {
      p[j] = std::exp(s[j] - lse);
      for (int64_t c = 0; c < dim; ++c) dp[j] += float(n.dy[i * dim + c]) * float(n.qkv[v_at(j, c)]);
      mean += p[j] * dp[j];
    }
    for (int64_t j = 0; j < keys; ++j) {
      const float ds = p[j] * (dp[j] - mean);
      if (!n.dbias.empty()) n.dbias[i * keys + j] = ds;
      for (int64_t c = 0; c < dim; ++c) {
        dq[c] += float(T(ds)) * float(n.qkv[k_at(j, c)]);
        dk[j * dim + c] += float(T(ds)) * float(n.qkv[q_at(i, c)]);
        dv[j * dim + c] += float(T(p[j])) * float(n.dy[i * dim + c]);
      }
    }
    for (int64_t c = 0; c < dim; ++c) n.dqkv[q_at(i, c)] = T(scale * dq[c]);
  }
  for (int64_t j = 0; j < keys; ++j)
    for (int64_t c = 0; c < dim; ++c) {
      n.dqkv[k_at(j, c)] = T(scale * dk[j * dim + c]);
      n.dqkv[v_at(j, c)] = T(dv[j * dim + c]);
    }
  return n;
}
TYPED_TEST(CudaAttention, AtMostTwiceTheErrorOfAPlainLoop) {
  using T = TypeParam;
  for (const double size : {1., 20.})
    for (const int64_t dim : {64, 96}) {
      const Layout l = layout_of({.queries = 130, .keys = 130, .dim = dim, .bias_groups = 1, .size = size});
      const Numbers<T> n(l, false), got = on_device(n, l, false), plain = plain_loop(n, l);
      const Numbers<double> want = by_reference(as_double(n, l), l, false);
      EXPECT_LE(error(got.y, want.y), 2 * error(plain.y, want.y)) << size;
      EXPECT_LE(error(got.dqkv, want.dqkv), 2 * error(plain.dqkv, want.dqkv)) << size;
      EXPECT_LE(error(got.dbias, want.dbias), 2 * error(plain.dbias, want.dbias)) << size;
    }
}

#ifdef FOVEA_CUDA_EMULATED
template <class T> std::vector<emulator::Counters> counted(const Layout& l, bool weights = false) {
  const Numbers<T> n(l, weights);
  const AttentionShape& s = l.s;
  const std::string also = std::string(weights ? ", weights" : "") + (s.bias_groups > 0 ? ", bias" : "");
  return launches_of([&] { on_device(n, l, false); }, "attention" + also + " and gradients, " + std::to_string(s.batch * s.heads) +
                                                          " heads, T " + std::to_string(s.queries) + ", d " + std::to_string(s.dim) +
                                                          (std::is_same_v<T, float> ? ", float" : ", bfloat16"));
}

// What the hardware would do, on shapes that are multiples of the tile. Rows of 128 do not fit the resident form.
TEST(CudaAttention, StreamedTilesComeWithoutDetours) {
  if (!emulator::checks_available()) GTEST_SKIP() << "this build does not see accesses";
  const Layout l = layout_of({.heads = 2, .queries = 128, .keys = 128, .dim = 128});
  const std::vector<emulator::Counters> launches = counted<bfloat16>(l);
  ASSERT_EQ(launches.size(), 3u);                                                                     // forward; <P, dP> and dq; dk and dv
  const std::uint64_t product = 2 * 128 * 128 * 128 * 2, tokens = 2 * 128, rows = tokens * 128 * 2;   // flops; bytes of all q
  const std::uint64_t products[] = {2, 5, 4}, owned[] = {1, 2, 2}, passing[] = {2, 4, 2}, written[] = {1, 1, 2};
  for (int i = 0; i < 3; ++i) {
    const emulator::Counters& c = launches[i];
    SCOPED_TRACE(c.kernel);
    EXPECT_EQ(c.mma_flops, products[i] * product);
    EXPECT_EQ(c.async_bytes, (owned[i] + 2 * passing[i]) * rows);   // a block owns 64 tokens: what passes by does so twice
    EXPECT_LE(c.global_load_bytes, c.async_bytes + 32 * tokens);    // lse and <P, dP>
    EXPECT_LE(c.global_load_sectors * 32, c.async_bytes + 64 * tokens);
    EXPECT_LE(c.global_store_sectors * 32, written[i] * rows + 32 * tokens);
    EXPECT_LE(double(c.shared_wavefronts), 1.02 * double(c.shared_ideal_wavefronts));
  }
}

TEST(CudaAttention, ResidentHeadsComeOnce) {
  if (!emulator::checks_available()) GTEST_SKIP() << "this build does not see accesses";
  for (const int64_t tokens : {128, 256}) {
    const Layout l = layout_of({.queries = tokens, .keys = tokens, .dim = 64});
    const std::vector<emulator::Counters> launches = counted<bfloat16>(l);
    ASSERT_EQ(launches.size(), 2u);
    const std::uint64_t product = 2 * tokens * tokens * 64, rows = tokens * 64 * 2;   // flops; bytes of q
    const std::uint64_t products[] = {2, 5}, read[] = {3, 4}, written[] = {1, 3};
    for (int i = 0; i < 2; ++i) {
      const emulator::Counters& c = launches[i];
      SCOPED_TRACE(c.kernel);
      EXPECT_EQ(c.mma_flops, products[i] * product);
      EXPECT_EQ(c.async_bytes, read[i] * rows);
      EXPECT_LE(c.global_load_sectors * 32, read[i] * rows + 4 * tokens);   // and lse
      EXPECT_LE(c.global_store_sectors * 32, written[i] * rows + 4 * tokens);
      EXPECT_LE(double(c.shared_wavefronts), 1.02 * double(c.shared_ideal_wavefronts));
    }
  }
}

TEST(CudaAttention, FloatTilesAreReadWithoutConflicts) {
  if (!emulator::checks_available()) GTEST_SKIP() << "this build does not see accesses";
  const Layout l = layout_of({.queries = 64, .keys = 64, .dim = 64});
  for (const emulator::Counters& c : counted<float>(l)) {
    SCOPED_TRACE(c.kernel);
    EXPECT_LE(double(c.shared_wavefronts), 1.2 * double(c.shared_ideal_wavefronts));
    EXPECT_LE(double(c.global_load_sectors * 32), 1.1 * double(c.global_load_bytes));
    EXPECT_LE(c.global_store_sectors * 32, c.global_store_bytes);
  }
}

// A bias' gradient computes the scores once more, and adds up the heads that share it.
TYPED_TEST(CudaAttention, ABiasAndWeightsTakeKernelsOfTheirOwn) {
  using T = TypeParam;
  if (!emulator::checks_available()) GTEST_SKIP() << "this build does not see accesses";
  const int64_t tokens = 64, dim = 128;   // more than the resident form has room for
  const Layout l = layout_of({.queries = tokens, .keys = tokens, .dim = dim, .bias_groups = 1});
  const std::vector<emulator::Counters> launches = counted<T>(l, true);
  const auto launch = [&](const std::string& part) {
    const auto at = std::find_if(launches.begin(), launches.end(), [&](const auto& c) { return c.kernel.find(part) != std::string::npos; });
    return at == launches.end() ? emulator::Counters{} : *at;
  };
  const double rows = double(sizeof(T)) * double(tokens * dim), square = double(tokens * tokens);
  const emulator::Counters gradient = launch("bias_gradient_kernel");
  expect_bytes(gradient, 4 * rows + 2 * 4 * square + 2 * 4 * double(tokens));   // q, k, v, dy; the bias and its gradient; lse and <P, dP>
  EXPECT_LE(32. * double(gradient.global_load_sectors), 1.2 * double(gradient.global_load_bytes));
  if (std::is_same_v<T, bfloat16>) {
    EXPECT_EQ(double(gradient.mma_flops), 2 * 2 * square * double(dim));
  }
  const emulator::Counters weights = launch("weights_kernel");
  EXPECT_EQ(double(weights.global_store_bytes), double(sizeof(T)) * square);
}
#endif

}   // namespace
}   // namespace fovea::kernels
