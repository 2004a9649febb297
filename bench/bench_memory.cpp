// bench_memory.cpp: operations that compute little, so that memory sets their pace: the bytes that have to move over the time, beside a copy
// of an array as large, and beside PyTorch (peers/ops_torch.py, which has the same cases by name).
//
// Bytes are those that whoever does it has to read and write at least: inputs once, outputs once; twice where a pass over everything has to
// end before the next can begin (batch norm). Arrays are 64 MiB, past the last-level cache of most machines, in memory as tensors have it. That results are right is the
// tests' business (tests/kernels, tests/autograd): each of these kernels is compared with Reference and with PyTorch's numbers there.
#include <fmt/core.h>

#include "bench/measure.h"
#include "kernels/activation.h"
#include "kernels/adam.h"
#include "kernels/batch_norm.h"
#include "kernels/broadcast.h"
#include "kernels/cross_entropy.h"
#include "kernels/dropout.h"
#include "kernels/interpolate.h"
#include "kernels/layer_norm.h"
#include "kernels/local_response_norm.h"
#include "kernels/moving_average.h"
#include "kernels/pooling.h"
#include "kernels/scale_channels.h"
#include "kernels/sgd.h"
#include "kernels/softmax.h"
#include "kernels/strided_copy.h"

namespace fovea::bench {
namespace {

using namespace kernels;
constexpr Cpu kCpu{};

constexpr std::int64_t kElements = std::int64_t{1} << 24;
constexpr RowShape kRows{.rows = 1 << 15, .cols = 512};
constexpr std::int64_t kImages = 32, kSize = 64, kChannels = 128;
constexpr ChannelShape kPixels{.rows = kImages * kSize * kSize, .channels = kChannels};
constexpr double kArray = 4. * kElements;   // bytes

/// What the cases work on: x and dy are read, a, b and c written; all hold numbers between -1 and 1, `positive` between 1/2 and 1.
struct Arrays {
  Array x{kElements, 1}, dy{kElements, 2}, a{kElements, 3}, b{kElements, 4}, c{kElements, 5};
  std::vector<float> scale = random_floats(1 << 16, 6), shift = random_floats(1 << 16, 7), mean = random_floats(1 << 16, 8),
                     positive = random_floats(1 << 17, 9), partial = random_floats(1 << 17, 10), kept = random_floats(1 << 17, 11);
  std::vector<std::int64_t> labels = std::vector<std::int64_t>(static_cast<std::size_t>(kRows.rows), 3);
  std::vector<std::uint8_t> places = std::vector<std::uint8_t>(kElements);
  std::vector<char> workspace;
  Arrays() {
    for (float& v : positive) v = 0.75f + 0.25f * v;
  }
  /// At least so many bytes.
  void* work(std::size_t bytes) {
    if (workspace.size() < bytes) workspace.resize(bytes);
    return workspace.data();
  }
};

struct Case {
  std::string name;
  double bytes;   // read and written
  std::function<void()> run;
  double written = kArray;   // of these
};

void add_activation(std::vector<Case>& cases, Arrays& m, const char* name, Activation a, bool gradient) {
  cases.push_back({name, 2 * kArray, [&m, a] { activation_forward(kCpu, a, m.x.data(), m.a.data(), kElements); }});
  if (gradient)
    cases.push_back({std::string(name) + " gradient", 3 * kArray,
                     [&m, a] { activation_backward(kCpu, a, m.x.data(), m.dy.data(), m.a.data(), kElements, false); }});
}

/// y (axes in `order`) = x (axes of these extents), dense on both sides.
StridedShape permutation(const std::vector<std::int64_t>& extents, const std::vector<int>& order) {
  const auto rank = extents.size();
  std::vector<std::int64_t> x_steps(rank, 1);
  for (std::size_t i = rank - 1; i-- > 0;) x_steps[i] = x_steps[i + 1] * extents[i + 1];
  StridedShape s{.rank = static_cast<int>(rank)};
  std::int64_t step = 1;
  for (std::size_t i = rank; i-- > 0;) {
    const auto from = static_cast<std::size_t>(order[i]);
    s.extent[i] = extents[from], s.x_step[i] = x_steps[from], s.y_step[i] = step;
    step *= s.extent[i];
  }
  return s;
}

std::vector<Case> elementwise_cases(Arrays& m) {
  std::vector<Case> cases;
  add_activation(cases, m, "relu", Activation::relu, true);
  add_activation(cases, m, "silu", Activation::silu, true);
  add_activation(cases, m, "gelu", Activation::gelu, true);
  add_activation(cases, m, "gelu tanh", Activation::gelu_tanh, true);
  add_activation(cases, m, "sigmoid", Activation::sigmoid, true);
  add_activation(cases, m, "tanh", Activation::tanh, true);
  add_activation(cases, m, "hard_swish", Activation::hard_swish, false);
  const BroadcastShape flat{.rank = 1, .extent = {kElements}, .a_step = {1}, .b_step = {1}, .y_step = {1}};
  cases.push_back({"add", 3 * kArray, [&m, flat] { broadcast(kCpu, Arithmetic::add, m.x.data(), m.dy.data(), m.a.data(), flat, false); }});
  cases.push_back({"dropout", 2 * kArray, [&m] { dropout(kCpu, m.x.data(), m.a.data(), kElements, 0.2, {}, false); }});
  const ImageShape images{.images = kImages, .pixels = kSize * kSize, .channels = kChannels};
  cases.push_back(
      {"scale_channels", 2 * kArray, [&m, images] { scale_channels_forward(kCpu, m.x.data(), m.scale.data(), m.a.data(), images); }});
  const StridedShape heads = permutation({32, 1024, 8, 64}, {0, 2, 1, 3});
  cases.push_back({"permute (B,T,H,D) -> (B,H,T,D)", 2 * kArray, [&m, heads] { strided_copy(kCpu, m.x.data(), m.a.data(), heads, 4); }});
  const StridedShape planes = permutation({kImages, kSize, kSize, kChannels}, {0, 3, 1, 2});
  cases.push_back({"NHWC -> NCHW", 2 * kArray, [&m, planes] { strided_copy(kCpu, m.x.data(), m.a.data(), planes, 4); }});
  cases.push_back(
      {"sgd step (momentum)", 5 * kArray,
       [&m] { sgd_step(kCpu, m.a.data(), m.dy.data(), m.b.data(), {.lr = 1e-3, .momentum = 0.9, .weight_decay = 1e-4}, kElements); },
       2 * kArray});
  cases.push_back({"adamw step", 7 * kArray,
                   [&m] {
                     const AdamStep o{.lr = 1e-3, .weight_decay = 0.01, .decoupled = true, .bias1 = 0.1, .bias2 = 0.001};
                     adam_step(kCpu, m.a.data(), m.dy.data(), m.b.data(), m.c.data(), o, kElements);
                   },
                   3 * kArray});
  cases.push_back({"ema", 3 * kArray, [&m] { moving_average(kCpu, m.a.data(), m.x.data(), 0.01, kElements); }});
  return cases;
}

std::vector<Case> norm_cases(Arrays& m) {
  std::vector<Case> cases;
  cases.push_back({"batch_norm", 3 * kArray, [&m] {
                     batch_norm_statistics(kCpu, m.x.data(), m.mean.data(), m.partial.data(), kPixels,
                                           m.work(batch_norm_workspace_bytes<float>(kCpu, kPixels)));
                     scale_shift<float>(kCpu, m.x.data(), nullptr, m.scale.data(), m.shift.data(), Activation::none, m.a.data(), kPixels);
                   }});
  cases.push_back({"batch_norm gradient", 5 * kArray, [&m] {
                     const BatchNormGradient<float> g{.x = m.x.data(),
                                                      .dy = m.dy.data(),
                                                      .mean = m.mean.data(),
                                                      .inv_std = m.positive.data(),
                                                      .scale = m.scale.data(),
                                                      .shift = m.shift.data(),
                                                      .dx = m.a.data(),
                                                      .dgamma = m.partial.data(),
                                                      .dbeta = m.kept.data()};
                     batch_norm_backward(kCpu, g, kPixels, m.work(batch_norm_workspace_bytes<float>(kCpu, kPixels)));
                   }});
  cases.push_back({"layer_norm", 2 * kArray, [&m] {
                     layer_norm_forward<float>(kCpu, m.x.data(), m.scale.data(), m.shift.data(), 1e-5, m.a.data(), m.partial.data(),
                                               m.kept.data(), kRows);
                   }});
  cases.push_back({"layer_norm gradient", 3 * kArray, [&m] {
                     const LayerNormGradient<float> g{.x = m.x.data(),
                                                      .dy = m.dy.data(),
                                                      .gamma = m.scale.data(),
                                                      .mean = m.mean.data(),
                                                      .inv_std = m.positive.data(),
                                                      .dx = m.a.data(),
                                                      .dgamma = m.partial.data(),
                                                      .dbeta = m.kept.data()};
                     layer_norm_backward(kCpu, g, kRows, m.work(layer_norm_workspace_bytes<float>(kCpu, kRows)));
                   }});
  const RowShape pixels{.rows = kPixels.rows, .cols = kPixels.channels};
  cases.push_back(
      {"local_response_norm", 2 * kArray, [&m, pixels] { local_response_norm_forward(kCpu, m.x.data(), {}, m.a.data(), pixels); }});
  cases.push_back({"softmax", 2 * kArray, [&m] { softmax_forward(kCpu, m.x.data(), m.a.data(), kRows); }});
  cases.push_back({"softmax gradient", 3 * kArray, [&m] { softmax_backward(kCpu, m.x.data(), m.dy.data(), m.a.data(), kRows, false); }});
  cases.push_back({"log_softmax", 2 * kArray, [&m] { log_softmax_forward(kCpu, m.x.data(), m.a.data(), kRows); }});
  cases.push_back(
      {"log_softmax gradient", 3 * kArray, [&m] { log_softmax_backward(kCpu, m.x.data(), m.dy.data(), m.a.data(), kRows, false); }});
  const auto cross_entropy = [&m] {
    cross_entropy_forward<float>(kCpu, m.x.data(), {.labels = m.labels.data()}, m.partial.data(), m.kept.data(), kRows);
  };
  cases.push_back({"cross_entropy", kArray, cross_entropy, 0});
  cases.push_back({"cross_entropy and gradient", 3 * kArray, [&m, cross_entropy] {
                     cross_entropy();
                     cross_entropy_backward<float>(kCpu, m.x.data(), {.labels = m.labels.data()}, m.kept.data(), m.positive.data(),
                                                   m.a.data(), kRows, false);
                   }});

  const auto pool = [](std::int64_t kernel, std::int64_t stride, std::int64_t padding) {
    const PoolAxis axis = PoolAxis::windows(kSize, kernel, stride, padding, false);
    return Pool2dShape{.n = kImages, .c = kChannels, .rows = axis, .columns = axis};
  };
  const Pool2dShape max_pool = pool(3, 2, 1), avg_pool = pool(2, 2, 0);
  cases.push_back({"max_pool2d 3x3/2", 1.3125 * kArray,   // x; y and a byte an output
                   [&m, max_pool] { max_pool2d_forward(kCpu, m.x.data(), m.a.data(), m.places.data(), max_pool); }, 0.3125 * kArray});
  cases.push_back({"max_pool2d 3x3/2 gradient", 1.3125 * kArray,
                   [&m, max_pool] { max_pool2d_backward(kCpu, m.dy.data(), m.places.data(), m.a.data(), max_pool, false); }});
  cases.push_back({"avg_pool2d 2x2/2", 1.25 * kArray, [&m, avg_pool] { avg_pool2d_forward(kCpu, m.x.data(), m.a.data(), avg_pool, {}); },
                   0.25 * kArray});
  cases.push_back({"avg_pool2d 2x2/2 gradient", 1.25 * kArray,
                   [&m, avg_pool] { avg_pool2d_backward(kCpu, m.dy.data(), m.a.data(), avg_pool, {}, false); }});
  const GlobalPoolShape whole{.images = kImages, .pixels = kSize * kSize, .c = kChannels};
  cases.push_back({"global_avg_pool", kArray, [&m, whole] { global_avg_pool_forward(kCpu, m.x.data(), m.partial.data(), whole); }, 0});
  cases.push_back(
      {"global_avg_pool gradient", kArray, [&m, whole] { global_avg_pool_backward(kCpu, m.scale.data(), m.a.data(), whole, false); }});
  const auto axis = InterpolationAxis::resize(kSize / 2, kSize, Interpolation::bilinear, false);
  const InterpolationShape twice{.n = kImages, .c = kChannels, .rows = axis, .columns = axis};
  cases.push_back({"bilinear resize 2x", 1.25 * kArray, [&m, twice] {
                     interpolate_forward(kCpu, m.x.data(), m.a.data(), twice, m.work(interpolate_workspace_bytes(kCpu, twice)));
                   }});
  return cases;
}

}   // namespace

void bench_memory(const Settings& s, const std::string& group) {
  const auto peer = run_peer(s, group);   // first, by itself: it would take memory bandwidth away
  Arrays m;
  const std::vector<Case> cases = group == "norm" ? norm_cases(m) : elementwise_cases(m);
  Array from(kElements, 12), to(kElements, 13);
  const Contender copy{"copy", [&] { streaming_copy(from.data(), to.data(), kElements); }},
      reading{"read", [&] { read(from.data(), kElements); }}, writing{"fill", [&] { fill(to.data(), kElements); }};
  if (!s.json) {
    const Bandwidth best = measure_copy();
    fmt::print(
        "\ncopy at best {:.1f} GB/s with plain stores, {:.1f} past the caches; per cent are of one of the latter kind between the runs, and of the\n"
        "time that is needed at least: by a copy of as many bytes, by what is read, by what is written\n\n",
        best.copy / 1e9, best.streaming_copy / 1e9);
    fmt::print("{:<34}{:>9}{:>8}{:>8}{:>8}{:>9}{:>15}{:>16}\n", group, "ms", "GB/s", "copy", "% copy", "% floor", "PyTorch eager",
               "torch.compile");
  }
  for (const Case& c : cases) {
    if (c.name.find(s.only) == std::string::npos) continue;
    const std::vector<double> medians = median_seconds({{c.name, c.run}, copy, reading, writing}, s.repeats);   // in the same moments
    const double seconds = medians[0], best = 2 * kArray / medians[1];                                          // bytes a second
    const double floor = std::max({c.bytes / best, (c.bytes - c.written) / kArray * medians[2], c.written / kArray * medians[3]});
    if (s.json) {
      print_json({{"bench", group},
                  {"what", c.name},
                  {"ms", seconds * 1e3},
                  {"gb_per_s", c.bytes / seconds / 1e9},
                  {"copy_gb_per_s", best / 1e9},
                  {"percent_of_copy", 100 * c.bytes / seconds / best},
                  {"percent_of_floor", 100 * floor / seconds}},
                 peer, c.name);
      continue;
    }
    fmt::print("{:<34}{:>9.2f}{:>8.1f}{:>8.1f}{:>7.0f}%{:>8.0f}%{:>15}{:>16}\n", c.name, seconds * 1e3, c.bytes / seconds / 1e9, best / 1e9,
               100 * c.bytes / seconds / best, 100 * floor / seconds, peer_time(peer, c.name, "eager_ms", seconds),
               peer_time(peer, c.name, "compiled_ms", seconds));
    std::fflush(stdout);
  }
}

}   // namespace fovea::bench
