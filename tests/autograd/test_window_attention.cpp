// Window attention: gradients, backends, threads; torchvision's numbers, and that they would notice mistakes; what is refused.
#include "autograd/window_attention.h"

#include <gtest/gtest.h>

#include <cmath>

#include "autograd/linear.h"
#include "kernels/window_attention.h"
#include "tests/op_testing.h"

namespace fovea {
namespace {

/// Inputs qkv, qkv_bias and table.
OpCase windows(const std::string& name, std::int64_t images, std::int64_t h, std::int64_t w, std::int64_t channels,
               const WindowAttentionOptions& o) {
  return {name,
          {{images, h, w, 3 * channels}, {3 * channels}, {(2 * o.window.h - 1) * (2 * o.window.w - 1), o.heads}},
          [o](const Inputs& in) { return window_attention(in[0], in[1], in[2], o); }};
}

std::vector<OpCase> cases() {
  return {
      windows("windows_tile_the_image", 2, 4, 6, 4, {.heads = 2, .window = {2, 3}}),
      windows("shifted", 1, 6, 6, 2, {.heads = 1, .window = 3, .shift = 1}),
      windows("padded", 2, 3, 5, 4, {.heads = 2, .window = {2, 3}}),
      windows("padded_and_shifted", 1, 5, 7, 3, {.heads = 3, .window = {3, 4}, .shift = {1, 2}}),
      windows("one_window_across", 1, 6, 3, 2, {.heads = 1, .window = {3, 4}, .shift = {1, 2}}),
      windows("image_smaller_than_the_window", 1, 2, 3, 2, {.heads = 1, .window = 4, .shift = 2}),
      windows("windows_of_one_pixel", 1, 2, 3, 2, {.heads = 1, .window = 1}),
      windows("seventeen_channels", 1, 5, 4, 34, {.heads = 2, .window = 3, .shift = 1}),
      {"no_qkv_bias", {{1, 3, 3, 6}, {9, 1}}, [](const Inputs& in) { return window_attention(in[0], Variable(), in[1], {.window = 2}); }},
  };
}
INSTANTIATE_TEST_SUITE_P(WindowAttention, EachOp, testing::ValuesIn(cases()), op_name);

/// The layer of the stored case "image10x5_window4x7_shift2x3_heads2". Inputs: x, qkv's weight and bias, table, proj's weight and bias.
OpCase stored_case(const std::string& name) {
  std::int64_t h = 0, w = 0;
  int read = 0;
  WindowAttentionOptions o;
  EXPECT_EQ(std::sscanf(name.c_str(), "image%ldx%ld_window%ldx%ld_shift%ldx%ld_heads%ld%n", &h, &w, &o.window.h, &o.window.w, &o.shift.h,
                        &o.shift.w, &o.heads, &read),
            7);
  EXPECT_EQ(static_cast<std::size_t>(read), name.size());
  return {name, {}, [o](const Inputs& in) {
            const Variable qkv = linear(in[0], in[1], in[2]);
            return linear(window_attention(qkv, in[2], in[3], o), in[4], in[5]);
          }};
}
const std::vector<std::string> kStored{
    "image7x7_window4x4_shift0x0_heads1",   "image7x7_window4x4_shift2x2_heads1",   "image7x7_window7x7_shift3x3_heads1",
    "image10x10_window4x4_shift2x2_heads1", "image10x10_window7x7_shift0x0_heads1", "image10x10_window7x7_shift3x3_heads1",
    "image13x13_window4x4_shift2x2_heads1", "image13x13_window7x7_shift3x3_heads1", "image14x14_window4x4_shift0x0_heads1",
    "image14x14_window7x7_shift3x3_heads1", "image10x5_window4x7_shift2x3_heads2",  "image9x11_window3x4_shift1x2_heads2",
    "image6x6_window3x3_shift0x1_heads3",   "image2x3_window4x4_shift2x2_heads2"};

TEST(WindowAttention, EqualsTorchvision) {
  const Stored stored("window_attention");
  for (const std::string& name : kStored) expect_parity(stored, stored_case(name));
}

TEST(WindowAttention, MistakesWouldShow) {
  const Stored stored("window_attention");
  const std::string name = "image9x11_window3x4_shift1x2_heads2";
  std::vector<Tensor> inputs;
  for (int i = 0; i < 6; ++i) inputs.push_back(stored[name + ".x" + std::to_string(i)]);
  const Tensor y = run_op(stored_case(name), inputs, stored[name + ".dy"], DType::f64, Device::reference, DType::f64)[0];
  for (const std::string mistake : {"no_mask", "mask_of_3", "padding_of_zeros"})
    EXPECT_GT(relative_error(y, stored["mistake." + mistake]), 1e-3) << mistake;
}

TEST(WindowAttention, RelativePositionIndexIsTorchvisions) {
  EXPECT_EQ(relative_position_index({4, 3}).to_vector<double>(), Stored("window_attention")["relative_position_index"].to_vector<double>());
}

// An image of 4 x 4 in windows of 2 x 2, shifted by 1: the last window holds the four corners, which are four regions.
TEST(WindowAttention, AddressesByHand) {
  const kernels::WindowAttentionShape s{
      .images = 1, .h = 4, .w = 4, .heads = 1, .dim = 1, .window_h = 2, .window_w = 2, .shift_h = 1, .shift_w = 1, .scale = 1};
  const auto window = [&](std::int64_t n) { return std::vector{s.pixel(n, 0), s.pixel(n, 1), s.pixel(n, 2), s.pixel(n, 3)}; };
  const auto region = [&](std::int64_t n) { return std::vector{s.region(n, 0), s.region(n, 1), s.region(n, 2), s.region(n, 3)}; };
  using Four = std::vector<std::int64_t>;
  EXPECT_EQ(window(0), (Four{5, 6, 9, 10}));
  EXPECT_EQ(window(1), (Four{7, 4, 11, 8}));
  EXPECT_EQ(window(3), (Four{15, 12, 3, 0}));
  EXPECT_EQ(region(0), (Four{0, 0, 0, 0}));
  EXPECT_EQ(region(1), (Four{0, 1, 0, 1}));
  EXPECT_EQ(region(3), (Four{0, 1, 2, 3}));
  EXPECT_FALSE(s.masked(0));
  EXPECT_TRUE(s.masked(1) && s.masked(2) && s.masked(3));
}

TEST(WindowAttention, WeightsGiveTheOutput) {
  const std::int64_t h = 3, w = 5, heads = 2, dim = 2, channels = heads * dim;
  const WindowAttentionOptions o{.heads = heads, .window = {2, 3}, .shift = {1, 1}};
  const kernels::WindowAttentionShape s{
      .images = 1, .h = h, .w = w, .heads = heads, .dim = dim, .window_h = 2, .window_w = 3, .shift_h = 1, .shift_w = 1, .scale = 1};
  const Tensor qkv = Tensor::randn({1, h, w, 3 * channels}, RandomKey{1}), b = Tensor::randn({3 * channels}, RandomKey{2}),
               table = Tensor::randn({15, heads}, RandomKey{3});
  const auto y = window_attention(Variable(qkv), Variable(b), Variable(table), o).value().to_vector<double>();
  const auto in = qkv.to_vector<double>(), padding = b.to_vector<double>();
  for (const Device device : {Device::reference, Device::cpu}) {
    const Tensor weights = window_attention_weights(qkv.to(device), Variable(b.to(device)), table.to(device), o);
    ASSERT_EQ(weights.shape(), (Shape{1, 4, heads, 6, 6}));
    const auto p = weights.to_vector<double>();
    for (std::int64_t window = 0; window < 4; ++window)
      for (std::int64_t head = 0; head < heads; ++head)
        for (std::int64_t i = 0; i < 6; ++i)
          for (std::int64_t c = 0; c < dim; ++c) {
            double sum = 0, total = 0;
            for (std::int64_t j = 0; j < 6; ++j) {
              const double weight = p[static_cast<std::size_t>(((window * heads + head) * 6 + i) * 6 + j)];
              const std::int64_t pixel = s.pixel(window, j), v = 2 * channels + head * dim + c;
              sum += weight * (pixel < 0 ? padding[static_cast<std::size_t>(v)] : in[static_cast<std::size_t>(pixel * 3 * channels + v)]);
              total += weight;
            }
            const std::int64_t pixel = s.pixel(window, i);
            EXPECT_NEAR(total, pixel < 0 ? 0. : 1., 1e-6);
            if (pixel >= 0) {
              EXPECT_NEAR(y[static_cast<std::size_t>(pixel * channels + head * dim + c)], sum, 2e-6);
            }
          }
  }
}

TEST(WindowAttention, AnEmptyBatchHasAnEmptyOutput) {
  for (const Device device : {Device::reference, Device::cpu}) {
    Variable x(Tensor::zeros({0, 4, 4, 6}, DType::f32, device), true), table(Tensor::zeros({9, 1}, DType::f32, device), true);
    const Variable y = window_attention(x, Variable(), table, {.window = 2});
    EXPECT_EQ(y.shape(), (Shape{0, 4, 4, 2}));
    y.backward(Tensor::zeros({0, 4, 4, 2}, DType::f32, device));
    EXPECT_EQ(table.grad().to_vector<float>(), std::vector<float>(9, 0.f));
  }
}

TEST(WindowAttention, RefusesWhatDoesNotFit) {
  const auto run = [](Shape qkv, Shape bias, Shape table, const WindowAttentionOptions& o, DType table_dtype = DType::f32) {
    return window_attention(Variable(Tensor::zeros(qkv)), Variable(Tensor::zeros(bias)), Variable(Tensor::zeros(table, table_dtype)), o);
  };
  EXPECT_NO_THROW(run({1, 4, 4, 12}, {12}, {9, 2}, {.heads = 2, .window = 2}));
  EXPECT_THROW(run({4, 4, 12}, {12}, {9, 2}, {.heads = 2, .window = 2}), ShapeError);
  EXPECT_THROW(run({1, 4, 4, 13}, {13}, {9, 2}, {.heads = 2, .window = 2}), ShapeError);
  EXPECT_THROW(run({1, 4, 4, 12}, {12}, {9, 3}, {.heads = 3, .window = 2}), ShapeError);
  EXPECT_THROW(run({1, 4, 4, 12}, {12}, {9, 2}, {.heads = 0, .window = 2}), ShapeError);
  EXPECT_THROW(run({1, 4, 4, 12}, {4}, {9, 2}, {.heads = 2, .window = 2}), ShapeError);
  EXPECT_THROW(run({1, 4, 4, 12}, {12}, {8, 2}, {.heads = 2, .window = 2}), ShapeError);
  EXPECT_THROW(run({1, 4, 4, 12}, {12}, {9, 2}, {.heads = 2, .window = 2}, DType::bf16), ShapeError);
  EXPECT_THROW(run({1, 4, 4, 12}, {12}, {9, 2}, {.heads = 2, .window = 2, .shift = 2}), ShapeError);
  EXPECT_THROW(run({1, 4, 4, 12}, {12}, {9, 2}, {.heads = 2, .window = 2, .shift = {0, -1}}), ShapeError);
  EXPECT_THROW(run({1, 4, 4, 12}, {12}, {9, 2}, {.heads = 2, .window = 0}), ShapeError);
}

}   // namespace
}   // namespace fovea
