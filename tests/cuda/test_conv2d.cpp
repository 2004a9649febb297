// Convolution on the device, all three products: exact on small integers (which proves where each fragment of the tensor core lies), within
// the rounding bound on random data, the same bits under every schedule; and what its hot kernels ask of the machine on aligned shapes.
#include "kernels/conv2d_depthwise.h"
#include "kernels/conv2d_im2col.h"
#include "tests/cuda/traffic_testing.h"
#include "tests/kernels/conv2d_testing.h"

namespace fovea::kernels {
namespace {

using std::int64_t;

const std::vector<Conv2dShape> kShapes = {
    {.n = 1, .h = 1, .w = 1, .c = 1, .k = 1, .r = 1, .s = 1},
    {.n = 2, .h = 7, .w = 7, .c = 5, .k = 3, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1},   // single elements; one past a tile of rows
    {.n = 1,
     .h = 9,
     .w = 11,
     .c = 4,
     .k = 8,
     .r = 7,
     .s = 7,
     .stride_h = 2,
     .stride_w = 2,
     .pad_h = 3,
     .pad_w = 3},                                                                             // a first layer, fours
    {.n = 3, .h = 6, .w = 6, .c = 16, .k = 72, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1},       // eights; past 64 columns: wide
    {.n = 2, .h = 7, .w = 5, .c = 40, .k = 17, .r = 1, .s = 1},                               // pointwise
    {.n = 1, .h = 8, .w = 9, .c = 8, .k = 8, .r = 1, .s = 1, .stride_h = 2, .stride_w = 3},   // phases without a tap
    {.n = 1,
     .h = 13,
     .w = 17,
     .c = 8,
     .k = 16,
     .r = 3,
     .s = 3,
     .stride_h = 2,
     .stride_w = 3,
     .pad_h = 3,
     .pad_w = 1,
     .dilation_h = 2,
     .dilation_w = 2},
    {.n = 2, .h = 5, .w = 6, .c = 12, .k = 18, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1, .groups = 3},   // three groups in a tile
    {.n = 1,
     .h = 6,
     .w = 6,
     .c = 32,
     .k = 32,
     .r = 3,
     .s = 3,
     .stride_h = 2,
     .stride_w = 2,
     .pad_h = 1,
     .pad_w = 1,
     .groups = 8},                                                                                    // as in ResNeXt
    {.n = 1, .h = 5, .w = 5, .c = 9, .k = 18, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1, .groups = 9},   // a filter sees one channel
    {.n = 1, .h = 3, .w = 4, .c = 80, .k = 160, .r = 1, .s = 2, .groups = 2},                         // groups wider than a tile
    {.n = 1, .h = 2, .w = 2, .c = 2, .k = 3, .r = 5, .s = 5, .pad_h = 4, .pad_w = 4},                 // padding beyond x
    {.n = 0, .h = 5, .w = 5, .c = 3, .k = 4, .r = 3, .s = 3},
    // One filter a channel: lines longer and shorter than a warp's run, channels in pairs and not, past a block's 64.
    {.n = 2, .h = 6, .w = 29, .c = 18, .k = 18, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1, .groups = 18},
    {.n = 1, .h = 11, .w = 13, .c = 67, .k = 67, .r = 5, .s = 5, .stride_h = 2, .stride_w = 2, .pad_h = 2, .pad_w = 2, .groups = 67},
    {.n = 2, .h = 9, .w = 7, .c = 66, .k = 66, .r = 7, .s = 7, .pad_h = 3, .pad_w = 3, .groups = 66},
    {.n = 1,
     .h = 12,
     .w = 9,
     .c = 4,
     .k = 4,
     .r = 3,
     .s = 3,
     .stride_h = 2,
     .stride_w = 3,
     .pad_h = 2,
     .pad_w = 1,
     .dilation_h = 3,
     .dilation_w = 2,
     .groups = 4},
    {.n = 0, .h = 5, .w = 5, .c = 3, .k = 3, .r = 3, .s = 3, .groups = 3},
    // A first layer of colours, which become four.
    {.n = 2, .h = 9, .w = 11, .c = 3, .k = 8, .r = 7, .s = 7, .stride_h = 2, .stride_w = 2, .pad_h = 3, .pad_w = 3},
    {.n = 0, .h = 5, .w = 5, .c = 3, .k = 4, .r = 3, .s = 3},
};

constexpr Fusion kAll{.prologue = true, .epilogue = true}, kAccumulate{.accumulate = true};

/// All three products on the device. dx and dw are what they are added to.
template <class T> struct Results {
  std::vector<T> y, dx;
  std::vector<float> dw, partials;
};
template <class T> const T* in(DeviceArray<T>& a) { return a.data(); }
template <class T> Results<T> on_device(const ConvCase<T>& c, const Conv2dShape& s, Fusion fused) {
  DeviceArray<T> x(c.x), w(c.w), dy(c.dy), residual(c.residual), y(c.dy), dx(c.dx0);
  DeviceArray<float> in_scale(c.in_scale), in_shift(c.in_shift), scale(c.scale), shift(c.shift), dw(c.dw0);
  DeviceArray<float> partials(static_cast<std::size_t>(2 * stat_tiles(s.rows()) * s.k));
  Prologue<T> p;
  if (fused.prologue) p = {in_scale.data(), in_shift.data(), Activation::relu};
  Epilogue<T> e{.accumulate = fused.accumulate};
  if (fused.epilogue)
    e = {.scale = scale.data(),
         .shift = shift.data(),
         .residual = residual.data(),
         .activation = Activation::relu,
         .partials = partials.data()};
  DeviceArray<char> of_forward(conv2d_workspace_bytes<T>(Cuda{}, s, ConvProduct::forward));
  conv2d_forward(Cuda{}, in(x), in(w), y.data(), s, p, e, of_forward.data());
  of_forward.expect_guards_untouched();
  conv2d_input_gradient(Cuda{}, in(dy), in(w), dx.data(), s, e.accumulate, nullptr);
  DeviceArray<char> workspace(conv2d_workspace_bytes<T>(Cuda{}, s, ConvProduct::weight_gradient));
  conv2d_weight_gradient(Cuda{}, in(x), in(dy), dw.data(), s, p, e.accumulate, workspace.data());
  y.expect_guards_untouched();
  dx.expect_guards_untouched();
  dw.expect_guards_untouched();
  workspace.expect_guards_untouched();
  return {y.host(), dx.host(), dw.host(), fused.epilogue ? partials.host() : std::vector<float>{}};
}

template <class T> class CudaConv2d : public testing::Test {};
using Types = testing::Types<float, bfloat16>;
TYPED_TEST_SUITE(CudaConv2d, Types);

TYPED_TEST(CudaConv2d, SmallIntegersAreExact) {
  using T = TypeParam;
  for (const Conv2dShape& s : kShapes) {
    SCOPED_TRACE(name(s));
    const ConvCase<T> c(s, true);
    const Results<T> got = on_device(c, s, {});
    const ConvProducts want = conv2d_reference(c, s, {});
    ASSERT_EQ(as<double>(got.y), as<double>(as<T>(as<float>(want.y))));   // the sums are exact, their rounding to T is the only one
    ASSERT_EQ(as<double>(got.dx), as<double>(as<T>(as<float>(want.dx))));
    ASSERT_EQ(as<double>(got.dw), want.dw);
  }
}

TYPED_TEST(CudaConv2d, FollowsTheDefinition) {
  using T = TypeParam;
  for (const Conv2dShape& s : kShapes)
    for (const Fusion fused : {kAll, kAccumulate}) {
      SCOPED_TRACE(name(s));
      const ConvCase<T> c(s);
      const Results<T> got = on_device(c, s, fused);
      const ConvProducts want = conv2d_reference(c, s, fused), size = conv2d_reference(c, s, fused, true);
      // K roundings of 2^-24 for a sum of K, and a few beside; x' is rounded to T before it is multiplied.
      const double prologue = fused.prologue ? unit_roundoff<T> : 0;
      const auto bound = [&](int64_t k) { return 4 * double(k + 4) * 0x1p-24; };
      expect_within(got.y, want.y, size.y, bound(s.taps()) + prologue);
      expect_within(got.dx, want.dx, size.dx, bound(s.r * s.s * s.k / s.groups));
      expect_within(got.dw, want.dw, size.dw, bound(s.rows()) + prologue);
    }
}

// One chain over (r, s, c), with zeros between it where groups share a tile, prologue and epilogue operation by operation.
TEST(CudaConv2dFloat, ForwardIsTheBitsOfCpu) {
  if (fused_isas().empty()) GTEST_SKIP() << "this CPU has no fused multiply-add";
  for (const Conv2dShape& s : kShapes) {
    if (is_depthwise(Cuda{}, s)) continue;   // walks along lines, another order
    SCOPED_TRACE(name(s));
    const ConvCase<float> c(s);
    std::vector<float> want = c.dy;
    Workspace workspace(conv2d_workspace_bytes<float>(Cpu{}, s, ConvProduct::forward));
    conv2d_forward(Cpu{}, c.x.data(), c.w.data(), want.data(), s, c.prologue(),
                   {.scale = c.scale.data(), .shift = c.shift.data(), .residual = c.residual.data(), .activation = Activation::relu},
                   workspace.data());
    EXPECT_EQ(first_difference(on_device(c, s, kAll).y, want), -1);
  }
}

TYPED_TEST(CudaConv2d, PartialsAreThoseOfTheRoundedOutput) {
  using T = TypeParam;
  for (std::size_t i : {1u, 3u, 7u, 13u}) {
    const Conv2dShape& s = kShapes[i];
    SCOPED_TRACE(name(s));
    ConvCase<T> c(s);
    for (float& v : c.shift) v = 1000;   // mean over deviation is some 1000: sums of squares would be lost
    const Results<T> got = on_device(c, s, kAll);
    expect_partials(got.partials, got.y, s.rows(), s.k);
  }
}

TYPED_TEST(CudaConv2d, EveryScheduleGivesTheSameBits) {
  using T = TypeParam;
  // Smallest shapes that cross a tile in every dimension: rows, columns, five slices of k; a phase each; two groups of tiles.
  const Conv2dShape crossing{
      .n = 1, .h = 13, .w = 15, .c = 12, .k = 68, .r = 3, .s = 3, .stride_h = 1, .stride_w = 2, .pad_h = 1, .pad_w = 1};
  for (const Conv2dShape& s : {crossing, kShapes[8], kShapes[13], kShapes[14], kShapes[kShapes.size() - 2]}) {
    const ConvCase<T> c(s);
    same_on_every_schedule<float>(
        [&] {
          const Results<T> r = on_device(c, s, s.c == 3 ? Fusion{} : kAll);   // colours become four without a prologue
          std::vector<float> all = as<float>(r.y);
          for (T v : r.dx) all.push_back(float(v));
          all.insert(all.end(), r.dw.begin(), r.dw.end());
          all.insert(all.end(), r.partials.begin(), r.partials.end());
          return all;
        },
        s.groups > 1);
  }
}

TYPED_TEST(CudaConv2d, LongSumsAreCutInSlices) {
  using T = TypeParam;
  const Conv2dShape s{.n = 3, .h = 20, .w = 20, .c = 8, .k = 8, .r = 1, .s = 1};
  EXPECT_EQ(conv2d_workspace_bytes<T>(Cuda{}, s, ConvProduct::weight_gradient), 2u * 64 * sizeof(float));
  const ConvCase<T> c(s, true);
  for (const Fusion fused : {Fusion{}, kAccumulate}) {
    const Results<T> got = on_device(c, s, fused);
    const ConvProducts want = conv2d_reference(c, s, fused);
    EXPECT_EQ(as<double>(got.dw), want.dw);   // sums of integers
  }
}

// Groups and slices lie along the x of a grid: its y and z end at 65535, here after 1.
TYPED_TEST(CudaConv2d, GridsMayBeLarge) {
  using T = TypeParam;
#ifdef FOVEA_CUDA_EMULATED
  emulator::Profile flat = emulator::sm_80;
  flat.grid_yz = 1;
  emulator::set_profile(flat);
#endif
  for (const Conv2dShape& s : {kShapes[10], Conv2dShape{.n = 3, .h = 20, .w = 20, .c = 8, .k = 8, .r = 1, .s = 1}}) {
    const ConvCase<T> c(s, true);
    const Results<T> got = on_device(c, s, {});
    const ConvProducts want = conv2d_reference(c, s, {});
    EXPECT_EQ(as<double>(got.y), as<double>(as<T>(as<float>(want.y))));
    EXPECT_EQ(as<double>(got.dw), want.dw);
  }
#ifdef FOVEA_CUDA_EMULATED
  emulator::set_profile(emulator::sm_80);
#endif
}

TYPED_TEST(CudaConv2d, ResidualMayBeTheOutput) {
  using T = TypeParam;
  const Conv2dShape& s = kShapes[3];
  const ConvCase<T> c(s, true);
  DeviceArray<T> x(c.x), w(c.w), y(c.residual), apart(c.dy), residual(c.residual);
  conv2d_forward(Cuda{}, in(x), in(w), y.data(), s, Prologue<T>{}, Epilogue<T>{.residual = y.data()}, nullptr);
  conv2d_forward(Cuda{}, in(x), in(w), apart.data(), s, Prologue<T>{}, Epilogue<T>{.residual = residual.data()}, nullptr);
  EXPECT_EQ(as<double>(y.host()), as<double>(apart.host()));
}

// The explicit form: two images at a time, the third alone.
TYPED_TEST(CudaConv2d, Im2colFollowsTheDefinition) {
  using T = TypeParam;
  const Conv2dShape shapes[] = {
      {.n = 3, .h = 5, .w = 4, .c = 3, .k = 5, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1},
      {.n = 3, .h = 7, .w = 6, .c = 16, .k = 32, .r = 3, .s = 2, .stride_h = 2, .stride_w = 3, .pad_h = 1, .dilation_w = 2, .groups = 2},
      {.n = 0, .h = 5, .w = 4, .c = 3, .k = 5, .r = 3, .s = 3}};
  for (const Conv2dShape& s : shapes)
    for (const bool accumulate : {false, true}) {
      SCOPED_TRACE(name(s));
      const ConvCase<T> c(s);
      const std::size_t bytes = conv2d_im2col_workspace_bytes<T>(Cuda{}, s, 2);
      DeviceArray<T> x(c.x), w(c.w), dy(c.dy), y(c.dy), dx(c.dx0);
      DeviceArray<float> dw(c.dw0);
      DeviceArray<char> workspace(bytes);
      conv2d_im2col_forward(Cuda{}, in(x), in(w), y.data(), s, workspace.data(), bytes);
      conv2d_im2col_input_gradient(Cuda{}, in(dy), in(w), dx.data(), s, accumulate, workspace.data(), bytes);
      conv2d_im2col_weight_gradient(Cuda{}, in(x), in(dy), dw.data(), s, accumulate, workspace.data(), bytes);
      workspace.expect_guards_untouched();
      const Fusion fused{.accumulate = accumulate};
      const ConvProducts plain = conv2d_reference(c, s, {}), plain_size = conv2d_reference(c, s, {}, true);
      const ConvProducts want = conv2d_reference(c, s, fused), size = conv2d_reference(c, s, fused, true);
      const auto bound = [&](int64_t k) { return 4 * double(k + 4) * 0x1p-24; };
      expect_within(y.host(), plain.y, plain_size.y, bound(s.taps()));
      expect_within(dx.host(), want.dx, size.dx, bound(s.r * s.s * s.k / s.groups));
      expect_within(dw.host(), want.dw, size.dw, bound(s.rows()));
    }
  EXPECT_THROW(conv2d_im2col_forward(Cuda{}, static_cast<const T*>(nullptr), static_cast<const T*>(nullptr), static_cast<T*>(nullptr),
                                     shapes[0], nullptr, conv2d_im2col_workspace_bytes<T>(Cuda{}, shapes[0], 1) - 1),
               std::invalid_argument);
}

#ifdef FOVEA_CUDA_EMULATED
template <class F> emulator::Counters counted(const F& run, const std::string& what) { return sum_of(launches_of(run, what)); }
/// tiles: bytes that the tiles of A and B hold together, over all slices; mma: needed, at 16 x 8 x 16 each.
void expect_counters(const emulator::Counters& c, double tile_bytes, double out_bytes, double mma, double mma_factor = 1.5) {
  if (mma > 0) {
    EXPECT_GE(double(c.mma), mma);
    EXPECT_LE(double(c.mma), mma_factor * mma);
  } else {
    EXPECT_EQ(c.mma, 0u);
  }
  EXPECT_LE(double(c.global_load_bytes), 1.02 * tile_bytes);
  EXPECT_GE(double(c.global_load_bytes), 0.9 * tile_bytes);   // padding is not read: (22 / 24)^2 of x is left
  EXPECT_GE(double(c.async_bytes), 0.99 * double(c.global_load_bytes));
  EXPECT_EQ(double(c.global_store_bytes), out_bytes);
  EXPECT_LE(32 * double(c.global_load_sectors), 1.1 * double(c.global_load_bytes));
  EXPECT_LE(32 * double(c.global_store_sectors), 1.1 * double(c.global_store_bytes));
  EXPECT_LE(double(c.shared_wavefronts), 1.2 * double(c.shared_ideal_wavefronts));
}

TYPED_TEST(CudaConv2d, CountersOnAnAlignedShape) {
  using T = TypeParam;
  if (!emulator::checks_available()) GTEST_SKIP() << "this build does not see accesses";
  constexpr bool tensor = std::is_same_v<T, bfloat16>;
  // 192 pixels, 64 channels, 64 filters of 3 x 3: 2 tiles forward, 2 of the input gradient, 9 of the weight gradient.
  const Conv2dShape s{.n = 3, .h = 8, .w = 8, .c = 64, .k = 64, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1};
  const double size = sizeof(T), mma = tensor ? double(s.rows() * s.k * s.taps()) / (16 * 8 * 16) : 0;
  const ConvCase<T> c(s);
  DeviceArray<T> x(c.x), w(c.w), dy(c.dy), y(c.dy), dx(c.x);
  DeviceArray<float> dw(c.dw0);
  expect_counters(
      counted([&] { conv2d_forward(Cuda{}, in(x), in(w), y.data(), s, Prologue<T>{}, Epilogue<T>{}, nullptr); }, "convolution " + name(s)),
      2 * (96 + 64) * 576 * size, double(size_y(s)) * size, mma);
  expect_counters(counted([&] { conv2d_input_gradient(Cuda{}, in(dy), in(w), dx.data(), s, false, nullptr); },
                          "convolution, input gradient " + name(s)),
                  2 * (96 + 64) * 576 * size, double(size_x(s)) * size, mma);
  expect_counters(counted([&] { conv2d_weight_gradient(Cuda{}, in(x), in(dy), dw.data(), s, Prologue<T>{}, false, nullptr); },
                          "convolution, weight gradient " + name(s)),
                  9 * (64 + 64) * 192 * size, double(size_w(s)) * 4, mma);
}

// Three channels of a first layer reach shared memory as four, by cp.async and none alone.
TYPED_TEST(CudaConv2d, CountersOfAFirstLayer) {
  using T = TypeParam;
  if (!emulator::checks_available()) GTEST_SKIP() << "accesses are not counted in this build";
  const Conv2dShape s{.n = 2, .h = 16, .w = 24, .c = 3, .k = 64, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1};
  const ConvCase<T> c(s);
  DeviceArray<T> x(c.x), w(c.w), dy(c.dy), y(c.dy);
  DeviceArray<float> dw(c.dw0);
  DeviceArray<char> of_forward(conv2d_workspace_bytes<T>(Cuda{}, s, ConvProduct::forward));
  const auto forward =
      launches_of([&] { conv2d_forward(Cuda{}, in(x), in(w), y.data(), s, Prologue<T>{}, Epilogue<T>{}, of_forward.data()); },
                  "convolution " + name(s));
  ASSERT_EQ(forward.size(), 3u);   // pictures, filters, product
  const double size = sizeof(T), pixels = double(s.n * s.h * s.w);
  expect_bytes(forward[0], 7 * size * pixels);
  EXPECT_EQ(forward[2].async_bytes, forward[2].global_load_bytes);
  DeviceArray<char> of_gradient(conv2d_workspace_bytes<T>(Cuda{}, s, ConvProduct::weight_gradient));
  const auto gradient =
      launches_of([&] { conv2d_weight_gradient(Cuda{}, in(x), in(dy), dw.data(), s, Prologue<T>{}, false, of_gradient.data()); },
                  "convolution, weight gradient " + name(s));
  ASSERT_EQ(gradient.size(), 3u);   // pictures, product, filters
  EXPECT_EQ(gradient[1].async_bytes, gradient[1].global_load_bytes);
  EXPECT_EQ(forward[2].mma > 0 && gradient[1].mma > 0, size == 2);
}

// Nine times x is written and read, which is what conv2d.h does without.
TYPED_TEST(CudaConv2d, CountersOfIm2col) {
  using T = TypeParam;
  if (!emulator::checks_available()) GTEST_SKIP() << "accesses are not counted in this build";
  const Conv2dShape s{.n = 2, .h = 8, .w = 8, .c = 64, .k = 64, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1};
  const ConvCase<T> c(s);
  const std::size_t bytes = conv2d_im2col_workspace_bytes<T>(Cuda{}, s, s.n);
  DeviceArray<T> x(c.x), w(c.w), dy(c.dy), y(c.dy), dx(c.x);
  DeviceArray<char> workspace(bytes);
  const auto forward = launches_of([&] { conv2d_im2col_forward(Cuda{}, in(x), in(w), y.data(), s, workspace.data(), bytes); },
                                   "convolution by im2col " + name(s));
  ASSERT_GE(forward.size(), 2u);
  const double inside = double((3 * 8 - 2) * (3 * 8 - 2)) / (9 * 64);   // of all taps of an image; the others meet padding
  const double matrix = double(s.rows() * s.taps()), size = sizeof(T);
  expect_bytes(forward[0], (1 + inside) * size * matrix, 0, 1.1);
  const auto gradient =
      launches_of([&] { conv2d_im2col_input_gradient(Cuda{}, in(dy), in(w), dx.data(), s, false, workspace.data(), bytes); },
                  "convolution by im2col, input gradient " + name(s));
  ASSERT_GE(gradient.size(), 2u);
  expect_bytes(gradient.back(), inside * 4 * matrix + size * double(size_x(s)), 0, 1.1);
}

TYPED_TEST(CudaConv2d, CountersOfDepthwise) {
  using T = TypeParam;
  if (!emulator::checks_available()) GTEST_SKIP() << "this build does not see accesses";
  const Conv2dShape s{.n = 2, .h = 8, .w = 24, .c = 64, .k = 64, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1, .groups = 64};
  const ConvCase<T> c(s);
  DeviceArray<T> x(c.x), w(c.w), dy(c.dy), y(c.dy), dx(c.x);
  DeviceArray<float> dw(c.dw0), workspace(conv2d_workspace_bytes<T>(Cuda{}, s, ConvProduct::weight_gradient) / sizeof(float));
  const double image = double(size_x(s) * int64_t{sizeof(T)}), filters = double(size_w(s) * int64_t{sizeof(T)} * stat_tiles(s.rows()));
  for (bool gradient : {false, true}) {
    const emulator::Counters k = counted(
        [&] {
          if (gradient)
            conv2d_input_gradient(Cuda{}, in(dy), in(w), dx.data(), s, false, nullptr);
          else
            conv2d_forward(Cuda{}, in(x), in(w), y.data(), s, Prologue<T>{}, Epilogue<T>{}, nullptr);
        },
        (gradient ? "convolution, input gradient " : "convolution ") + name(s));
    EXPECT_LE(double(k.global_load_bytes), 3 * 26. / 24 * image + filters);           // three lines, and two columns more than outputs
    EXPECT_GE(double(k.global_load_bytes), 0.9 * (3 * 22. / 24 * image + filters));   // what of it is no padding
    EXPECT_EQ(double(k.global_store_bytes), image);
    EXPECT_LE(32 * double(k.global_load_sectors), 1.1 * double(k.global_load_bytes));
    EXPECT_LE(32 * double(k.global_store_sectors), 1.01 * image);
  }
  const emulator::Counters k =
      counted([&] { conv2d_weight_gradient(Cuda{}, in(x), in(dy), dw.data(), s, Prologue<T>{}, false, workspace.data()); },
              "convolution, weight gradient " + name(s));
  const double parts = double(workspace.size() * sizeof(float));
  EXPECT_LE(double(k.global_load_bytes), 2 * 3 * 26. / 24 * image + parts);   // x and dy, for each row of taps
  EXPECT_GE(double(k.global_load_bytes), 0.9 * (2 * 3 * 22. / 24 * image + parts));
}

TYPED_TEST(CudaConv2d, CountersOfGroups) {
  using T = TypeParam;
  if (!emulator::checks_available()) GTEST_SKIP() << "this build does not see accesses";
  // 64 columns hold 16 groups of 4, as in ResNeXt 32 x 4d, or fewer, wider ones. A product of 8 filters and 16 channels holds 2 x 4 x 4
  // weights of groups of 4, 8 x 8 of 8.
  struct {
    int64_t channels;
    double times;
  } cases[] = {{4, 4}, {8, 2}, {16, 1}, {32, 1}};
  for (const auto& [channels, times] : cases) {
    const Conv2dShape s{.n = 3, .h = 8, .w = 8, .c = 64, .k = 64, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1, .groups = 64 / channels};
    SCOPED_TRACE(name(s));
    const ConvCase<T> c(s);
    DeviceArray<T> x(c.x), w(c.w), dy(c.dy), y(c.dy), dx(c.dx0);
    DeviceArray<float> dw(c.dw0);
    const double needed = double(s.rows() * s.k * s.taps()) / (16 * 8 * 16);
    const auto check = [&, times = times](const std::string& what, const std::function<void()>& run) {
      const double mma = double(counted(run, what + name(s)).mma);
      EXPECT_EQ(mma, sizeof(T) == 2 ? times * needed : 0) << what;   // float has no tensor cores, and so no zeros to leave out
    };
    check("convolution ", [&] { conv2d_forward(Cuda{}, in(x), in(w), y.data(), s, Prologue<T>{}, Epilogue<T>{}, nullptr); });
    check("convolution, input gradient ", [&] { conv2d_input_gradient(Cuda{}, in(dy), in(w), dx.data(), s, false, nullptr); });
    check("convolution, weight gradient ",
          [&] { conv2d_weight_gradient(Cuda{}, in(x), in(dy), dw.data(), s, Prologue<T>{}, false, nullptr); });
  }
}
#endif

}   // namespace
}   // namespace fovea::kernels
