// test_streaming.cpp: outputs of 32 MiB and more are written past the caches; the numbers are those of the plain stores, which smaller arrays and
// sums (accumulate) have.
#include <gtest/gtest.h>

#include "kernels/activation.h"
#include "kernels/batch_norm.h"
#include "kernels/broadcast.h"
#include "kernels/dropout.h"
#include "kernels/layer_norm.h"
#include "kernels/scale_channels.h"
#include "kernels/softmax.h"
#include "tests/kernels/variants.h"

namespace fovea::kernels {
namespace {

constexpr RowShape kWhole{.rows = (1 << 15) + 1, .cols = 272};   // 34 MiB: 17 vectors a row, no round number of tasks
constexpr std::int64_t kElements = kWhole.rows * kWhole.cols, kHalf = kWhole.rows / 2 * kWhole.cols;

/// An array that begins at a cache line, as tensors do.
class Aligned {
 public:
  explicit Aligned(float value) : memory_(kElements + 16, value) {}
  explicit Aligned(std::uint64_t seed) : memory_(spread<float>(kElements + 16, seed)) {}
  float* data() { return memory_.data() + (64 - reinterpret_cast<std::uintptr_t>(memory_.data()) % 64) % 64 / sizeof(float); }

 private:
  std::vector<float> memory_;
};

/// whole(y) writes all of y at once; parts(y) the same with stores that are not streamed (into zeros, where it adds).
template <class Whole, class Parts> void expect_same(const char* what, Whole whole, Parts parts) {
  SCOPED_TRACE(what);
  on_every_isa([&] {
    Aligned streamed(7.f), plain(0.f);
    whole(streamed.data());
    parts(plain.data());
    for (std::int64_t i = 0; i < kElements; ++i) ASSERT_EQ(streamed.data()[i], plain.data()[i]) << "at " << i;
  });
}

TEST(Streaming, ForwardInOnePieceIsForwardInTwo) {
  Aligned in(std::uint64_t{1});
  const float* x = in.data();
  const std::vector<float> scale = spread<float>(kWhole.cols, 3), shift = spread<float>(kWhole.cols, 4);
  const auto in_two = [&](auto f) {   // f(begin, rows, y)
    return [=](float* y) {
      f(0, kWhole.rows / 2, y);
      f(kHalf, kWhole.rows - kWhole.rows / 2, y + kHalf);
    };
  };
  const auto in_one = [&](auto f) { return [=](float* y) { f(0, kWhole.rows, y); }; };
  const auto check = [&](const char* what, auto f) { expect_same(what, in_one(f), in_two(f)); };
  const std::int64_t cols = kWhole.cols;
  check("activation",
        [=](std::int64_t begin, std::int64_t rows, float* y) { activation_forward(Cpu{}, Activation::silu, x + begin, y, rows * cols); });
  check("scale_shift", [&, x](std::int64_t begin, std::int64_t rows, float* y) {
    scale_shift<float>(Cpu{}, x + begin, nullptr, scale.data(), shift.data(), Activation::relu, y, {rows, cols});
  });
  check("layer_norm", [&, x](std::int64_t begin, std::int64_t rows, float* y) {
    layer_norm_forward<float>(Cpu{}, x + begin, scale.data(), shift.data(), 1e-5, y, nullptr, nullptr, {rows, cols});
  });
  check("log_softmax", [=](std::int64_t begin, std::int64_t rows, float* y) { log_softmax_forward(Cpu{}, x + begin, y, {rows, cols}); });
  check("scale_channels", [&, x](std::int64_t begin, std::int64_t rows, float* y) {
    scale_channels_forward(Cpu{}, x + begin, scale.data(), y, {.images = 1, .pixels = rows, .channels = cols});
  });
}

TEST(Streaming, WrittenIsWhatIsAddedToZeros) {
  Aligned in(std::uint64_t{1}), gradient(std::uint64_t{2});
  const float *x = in.data(), *dy = gradient.data();
  const std::vector<float> mean = spread<float>(kWhole.rows, 5), inv_std = spread<float>(kWhole.rows, 6, 2);
  std::vector<char> workspace(
      std::max(layer_norm_workspace_bytes<float>(Cpu{}, kWhole), batch_norm_workspace_bytes<float>(Cpu{}, {kWhole.rows, kWhole.cols})));
  const auto check = [&](const char* what, auto f) {   // f(y, accumulate)
    expect_same(
        what, [&](float* y) { f(y, false); }, [&](float* y) { f(y, true); });
  };
  check("activation", [=](float* y, bool add) { activation_backward(Cpu{}, Activation::relu, x, dy, y, kElements, add); });
  check("broadcast", [=](float* y, bool add) {
    const BroadcastShape s{
        .rank = 2, .extent = {kWhole.rows, kWhole.cols}, .a_step = {kWhole.cols, 1}, .b_step = {0, 1}, .y_step = {kWhole.cols, 1}};
    broadcast(Cpu{}, Arithmetic::mul, x, dy, y, s, add);
  });
  check("softmax", [=](float* y, bool add) { softmax_backward(Cpu{}, x, dy, y, kWhole, add); });
  check("log_softmax", [=](float* y, bool add) { log_softmax_backward(Cpu{}, x, dy, y, kWhole, add); });
  check("dropout", [=](float* y, bool add) { dropout(Cpu{}, x, y, kElements, 0.3, {}, add); });
  check("layer_norm", [&](float* y, bool add) {
    const LayerNormGradient<float> g{.x = x, .dy = dy, .mean = mean.data(), .inv_std = inv_std.data(), .dx = y, .accumulate_dx = add};
    layer_norm_backward(Cpu{}, g, kWhole, workspace.data());
  });
  check("batch_norm", [&](float* y, bool add) {
    const BatchNormGradient<float> g{.x = x,
                                     .dy = dy,
                                     .mean = mean.data(),
                                     .inv_std = inv_std.data(),
                                     .scale = inv_std.data(),
                                     .shift = mean.data(),
                                     .dx = y,
                                     .accumulate_dx = add};
    batch_norm_backward(Cpu{}, g, {kWhole.rows, kWhole.cols}, workspace.data());
  });
}

}   // namespace
}   // namespace fovea::kernels
