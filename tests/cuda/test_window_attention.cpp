// Window attention on the device: against Reference on the same rounded inputs, with shifts, padding and windows of every form; the same bits
// under every schedule; the products, bytes and passes through shared memory that it takes.
#include "kernels/window_attention.h"

#include "tests/cuda/attention_testing.h"

namespace fovea::kernels {
namespace {

using std::int64_t;

template <class T> class CudaWindowAttention : public testing::Test {};
using Types = testing::Types<float, bfloat16>;
TYPED_TEST_SUITE(CudaWindowAttention, Types);

std::string text(const WindowAttentionShape& s) {
  const auto by = [](int64_t a, int64_t b) { return std::to_string(a) + " x " + std::to_string(b); };
  return std::to_string(s.images) + " images of " + by(s.h, s.w) + ", " + std::to_string(s.heads) + " heads of " + std::to_string(s.dim) +
         ", windows of " + by(s.window_h, s.window_w) + ", shifted by " + by(s.shift_h, s.shift_w);
}

/// All numbers of one call. Targets of gradients hold 0.5 before, which accumulate must keep.
template <class T> struct Numbers {
  std::vector<T> qkv, padding, dy, y, p, dqkv;
  std::vector<acc_t<T>> table, lse, dtable, dpadding;

  explicit Numbers(const WindowAttentionShape& s)
      : qkv(spread<T>(s.images * s.h * s.w * 3 * s.channels(), 1)),
        padding(spread<T>(3 * s.channels(), 3)),
        dy(spread<T>(s.images * s.h * s.w * s.channels(), 2)),
        y(dy.size()),
        p(s.images * s.windows() * s.heads * s.tokens() * s.tokens()),
        dqkv(qkv.size(), T(0.5f)),
        table(spread<acc_t<T>>(s.table_rows() * s.heads, 4)),
        lse(s.images * s.windows() * s.heads * s.tokens()),
        dtable(table.size(), 0.5f),
        dpadding(padding.size(), 0.5f) {}
};

template <class T> Numbers<T> on_device(const Numbers<T>& n, const WindowAttentionShape& s, bool accumulate, bool weights = true) {
  DeviceArray<T> qkv(n.qkv), padding(n.padding), dy(n.dy), y(n.y), p(n.p), dqkv(n.dqkv);
  DeviceArray<float> table(n.table), lse(n.lse), dtable(n.dtable), dpadding(n.dpadding);
  DeviceArray<unsigned char> workspace(window_attention_workspace_bytes<T>(Cuda{}, s));
  window_attention_forward<T>(Cuda{}, qkv.data(), padding.data(), table.data(), y.data(), lse.data(), s, workspace.data());
  if (weights) window_attention_weights<T>(Cuda{}, qkv.data(), padding.data(), table.data(), p.data(), s, workspace.data());
  window_attention_backward<T>(Cuda{}, qkv.data(), padding.data(), table.data(), lse.data(), dy.data(),
                               {.dqkv = dqkv.data(),
                                .dpadding = dpadding.data(),
                                .dtable = dtable.data(),
                                .accumulate_qkv = accumulate,
                                .accumulate_padding = accumulate,
                                .accumulate_table = accumulate},
                               s, workspace.data());
  for (DeviceArray<T>* a : {&y, &p, &dqkv}) a->expect_guards_untouched();
  for (DeviceArray<float>* a : {&lse, &dtable, &dpadding}) a->expect_guards_untouched();
  workspace.expect_guards_untouched();
  Numbers<T> r = n;
  r.y = y.host(), r.p = p.host(), r.dqkv = dqkv.host(), r.lse = lse.host(), r.dtable = dtable.host(), r.dpadding = dpadding.host();
  return r;
}
template <class T> Numbers<double> by_reference(const Numbers<T>& from, const WindowAttentionShape& s, bool accumulate) {
  Numbers<double> n(s);
  n.qkv = as<double>(from.qkv), n.padding = as<double>(from.padding), n.dy = as<double>(from.dy), n.table = as<double>(from.table);
  std::vector<unsigned char> workspace(window_attention_workspace_bytes<double>(Reference{}, s));
  window_attention_forward(Reference{}, n.qkv.data(), n.padding.data(), n.table.data(), n.y.data(), n.lse.data(), s, workspace.data());
  window_attention_weights(Reference{}, n.qkv.data(), n.padding.data(), n.table.data(), n.p.data(), s, workspace.data());
  window_attention_backward(Reference{}, n.qkv.data(), n.padding.data(), n.table.data(), n.lse.data(), n.dy.data(),
                            {.dqkv = n.dqkv.data(),
                             .dpadding = n.dpadding.data(),
                             .dtable = n.dtable.data(),
                             .accumulate_qkv = accumulate,
                             .accumulate_padding = accumulate,
                             .accumulate_table = accumulate},
                            s, workspace.data());
  return n;
}

template <class T> void check(const WindowAttentionShape& s, bool accumulate = false, bool few = true) {
  SCOPED_TRACE(text(s));
  const Numbers<T> n(s);
  Numbers<T> got = n;
  same_on_every_schedule<std::uint64_t>(
      [&] {
        got = on_device(n, s, accumulate);
        return std::vector<std::uint64_t>{hash_of(got.y),    hash_of(got.lse),    hash_of(got.p),
                                          hash_of(got.dqkv), hash_of(got.dtable), hash_of(got.dpadding)};
      },
      few);
  const Numbers<double> want = by_reference(n, s, accumulate);
  const double u = kAttentionBound<T>, sums = std::is_same_v<T, float> ? 1e-6 : 0x1p-8, floor = norm(n.dy);
  expect_near(got.y, want.y, u, 0, "y");
  expect_near(got.p, want.p, u, 0, "weights");
  expect_near(got.dqkv, want.dqkv, u, floor, "dqkv");
  expect_near(got.dtable, want.dtable, std::is_same_v<T, float> ? 1e-6 : 1e-5, floor, "dtable");
  expect_near(got.dpadding, want.dpadding, sums, floor, "dpadding");
  for (int64_t unit = 0; unit < s.images * s.windows(); ++unit)   // lse is defined where a token is a pixel
    for (int64_t head = 0; head < s.heads; ++head)
      for (int64_t t = 0; t < s.tokens(); ++t) {
        const int64_t at = (unit * s.heads + head) * s.tokens() + t;
        if (s.pixel(unit % s.windows(), t) >= 0) {
          ASSERT_NEAR(got.lse[at], want.lse[at], 1e-5);
        }
      }
}

/// A square of windows, `extra` pixels short of the last.
WindowAttentionShape square(int64_t window, int64_t windows, int64_t shift, int64_t extra, int64_t heads, int64_t dim, int64_t images = 1) {
  const int64_t size = windows * window - extra;
  return {.images = images,
          .h = size,
          .w = size,
          .heads = heads,
          .dim = dim,
          .window_h = window,
          .window_w = window,
          .shift_h = shift,
          .shift_w = shift,
          .scale = 1 / std::sqrt(double(dim))};
}

// Swin's windows: shifted and not, padded and not, narrower heads, one window only (no shift then), an odd number of them.
TYPED_TEST(CudaWindowAttention, SquareWindowsAreTheReference) {
  using T = TypeParam;
  check<T>(square(7, 2, 3, 2, 1, 24), true);
  check<T>(square(7, 1, 3, 4, 2, 32, 3));
  if (std::is_same_v<T, float>) return;   // to which they are windows as any others
  check<T>(square(7, 2, 3, 0, 2, 32));
  check<T>(square(8, 2, 4, 0, 1, 32));
  check<T>(square(8, 1, 0, 1, 1, 8));
  check<T>(square(12, 1, 0, 3, 1, 32, 3));
  check<T>(square(12, 2, 6, 0, 1, 16), true);
}

// Windows of other forms and heads of other sizes; more windows than parts of a sum; windows larger than the image.
TYPED_TEST(CudaWindowAttention, OtherWindowsAreTheReference) {
  using T = TypeParam;
  check<T>({.images = 1, .h = 10, .w = 13, .heads = 2, .dim = 17, .window_h = 4, .window_w = 7, .shift_h = 2, .shift_w = 3, .scale = 0.3},
           true);
  check<T>({.images = 17, .h = 3, .w = 2, .heads = 1, .dim = 1, .window_h = 2, .window_w = 1, .shift_h = 1, .shift_w = 0, .scale = 1});
  check<T>({.images = 1, .h = 5, .w = 5, .heads = 3, .dim = 7, .window_h = 8, .window_w = 9, .shift_h = 4, .shift_w = 4, .scale = 0.5});
  check<T>(square(7, 1, 0, 0, 1, 48));
  check<T>(square(1, 3, 0, 0, 2, 8));
}

TYPED_TEST(CudaWindowAttention, EverySchedule) {
  using T = TypeParam;
  check<T>(square(7, 1, 0, 1, 1, 32, 2), false, false);
  check<T>(square(3, 2, 1, 1, 2, 8, 2), false, false);
}

TYPED_TEST(CudaWindowAttention, NothingToDo) { check<TypeParam>(square(7, 2, 3, 1, 2, 32, 0)); }

TYPED_TEST(CudaWindowAttention, RefusesLargerHeads) {
  const WindowAttentionShape s = square(2, 1, 0, 0, 1, 257);
  EXPECT_THROW(window_attention_forward<TypeParam>(Cuda{}, nullptr, nullptr, nullptr, nullptr, nullptr, s, nullptr), std::invalid_argument);
}

/// A gradient that is not wanted is not written, and the others are the same.
TYPED_TEST(CudaWindowAttention, GradientsOnRequest) {
  using T = TypeParam;
  for (const int64_t window : {5, 7}) {
    const WindowAttentionShape s = square(window, 1, 0, 1, 1, 32);
    const Numbers<T> n(s), all = on_device(n, s, false, false);
    DeviceArray<T> qkv(n.qkv), padding(n.padding), dy(n.dy);
    DeviceArray<float> table(n.table), lse(all.lse);
    DeviceArray<unsigned char> workspace(window_attention_workspace_bytes<T>(Cuda{}, s));
    for (int which = 0; which < 3; ++which) {
      DeviceArray<T> dqkv(n.dqkv);
      DeviceArray<float> dtable(n.dtable), dpadding(n.dpadding);
      WindowAttentionGradients<T> g;
      if (which == 0) g.dqkv = dqkv.data();
      if (which == 1) g.dtable = dtable.data();
      if (which == 2) g.dpadding = dpadding.data();
      window_attention_backward<T>(Cuda{}, qkv.data(), padding.data(), table.data(), lse.data(), dy.data(), g, s, workspace.data());
      EXPECT_EQ(hash_of(dqkv.host()), hash_of(which == 0 ? all.dqkv : n.dqkv));
      EXPECT_EQ(dtable.host(), which == 1 ? all.dtable : n.dtable);
      EXPECT_EQ(dpadding.host(), which == 2 ? all.dpadding : n.dpadding);
    }
  }
}

#ifdef FOVEA_CUDA_EMULATED
// What the hardware would do for two windows of one head: mma.sync as the head of window_attention_cuda.cu says, every row once.
TEST(CudaWindowAttention, WindowsComeOnce) {
  if (!emulator::checks_available()) GTEST_SKIP() << "this build does not see accesses";
  for (const int64_t window : {7, 8, 12}) {
    WindowAttentionShape s = square(window, 1, 0, 0, 1, 32, 2);
    const std::vector<emulator::Counters> launches =
        launches_of([&] { on_device(Numbers<bfloat16>(s), s, false, false); },
                    "window attention and gradients, windows of " + std::to_string(window) + ", d 32, bfloat16");
    ASSERT_EQ(launches.size(), 3u);   // forward, backward, the join of dtable's parts
    const std::uint64_t tokens = s.tokens(), exact = tokens * tokens * 32 / (16 * 8 * 16);
    const std::uint64_t products[] = {window == 7 ? 120 : 2 * exact, window == 7 ? 304 : 5 * exact};
    const std::uint64_t rows = 2 * tokens * 32 * 2, read[] = {3, 4}, written[] = {1, 3}, table = 4 * s.table_rows();   // bytes
    for (int i = 0; i < 2; ++i) {
      const emulator::Counters& c = launches[i];
      SCOPED_TRACE(c.kernel);
      EXPECT_EQ(c.mma, 2 * products[i]);
      EXPECT_EQ(c.async_bytes, read[i] * rows);
      EXPECT_LE(c.global_load_sectors * 32, read[i] * rows + table + 2 * 4 * tokens + 256);   // lse: its rows begin within sectors
      EXPECT_LE(c.global_store_sectors * 32, written[i] * rows + table + 2 * 4 * tokens + 256);
      EXPECT_LE(double(c.shared_wavefronts), 1.2 * double(c.shared_ideal_wavefronts));
    }
  }
}

// Any other window, and float, take the kernels of attention, and one more from the gradient of the scores to that of the table.
TEST(CudaWindowAttention, TheTablesGradientReadsTheScoresOnce) {
  if (!emulator::checks_available()) GTEST_SKIP() << "this build does not see accesses";
  const WindowAttentionShape s = square(8, 1, 0, 0, 1, 32);
  const std::vector<emulator::Counters> launches =
      launches_of([&] { on_device(Numbers<float>(s), s, false, false); }, "window attention and gradients, windows of 8, d 32, float");
  const emulator::Counters& c = launches.back();
  SCOPED_TRACE(c.kernel);
  expect_bytes(c, 4. * double(s.tokens() * s.tokens() + s.table_rows()), 0, 1.1);
}
#endif

}   // namespace
}   // namespace fovea::kernels
