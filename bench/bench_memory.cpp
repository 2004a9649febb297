// bench_memory.cpp: operations that compute little, so that memory sets their pace: the bytes that have to move over the time, beside a copy
// of an array as large, and beside PyTorch (peers/ops_torch.py, which has the same cases by name).
//
// Bytes are those that whoever does it has to read and write at least: inputs once, outputs once; twice where a pass over everything has to
// end before the next can begin (batch norm). Arrays are past the last-level cache of most machines, in memory as tensors have it. That results
// are right is the tests' business: each of these kernels is compared with Reference and with PyTorch's numbers there.
#include <fmt/core.h>

#include <algorithm>

#include "bench/report.h"
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

/// What the cases work on. One array: images * side^2 * 128 numbers.
struct Sizes {
  std::int64_t images, side, tokens;   // (B, tokens, 8 heads, 64) for permutations
  std::int64_t elements() const { return images * side * side * 128; }
  static Sizes of(const Settings& s) {
    if (s.once) return {.images = 2, .side = 8, .tokens = 4};
    if (s.device == Device::cuda) return {.images = 128, .side = 64, .tokens = 1024};   // 256 MiB of float
    return {.images = 32, .side = 64, .tokens = 1024};                                  // 64 MiB
  }
};

struct Case {
  std::string name;
  double bytes;     // read and written
  double written;   // of these
  std::function<void()> run;
};

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

/// Activations are of T, statistics, parameters and what optimisers work on of float.
template <class Be, class T> class Cases {
 public:
  Cases(const Settings& s, Be be)
      : settings_(s),
        be_(be),
        z_(Sizes::of(s)),
        n_(z_.elements()),
        array_(static_cast<double>(n_) * sizeof(T)),
        floats_(static_cast<double>(n_) * sizeof(float)),
        rows_{.rows = n_ / 512, .cols = 512},
        pixels_{.rows = n_ / 128, .channels = 128},
        x_(numbers(s, n_, 1, dtype_of<T>)),
        dy_(numbers(s, n_, 2, dtype_of<T>)),
        a_(numbers(s, n_, 3, dtype_of<T>)),
        places_(Tensor::empty({n_}, DType::u8, s.device)),
        workspace_(s, workspace_bytes()) {
    labels_.fill(3);
  }

  std::vector<Case> elementwise() {
    add_activation("relu", Activation::relu, true);
    add_activation("silu", Activation::silu, true);
    add_activation("gelu", Activation::gelu, true);
    add_activation("gelu tanh", Activation::gelu_tanh, true);
    add_activation("sigmoid", Activation::sigmoid, true);
    add_activation("tanh", Activation::tanh, true);
    add_activation("hard_swish", Activation::hard_swish, false);
    const BroadcastShape flat{.rank = 1, .extent = {n_}, .a_step = {1}, .b_step = {1}, .y_step = {1}};
    map("add", 2, 1, [=, this] { broadcast(be_, Arithmetic::add, x(), dy(), a(), flat, false); });
    map("dropout", 1, 1, [=, this] { dropout(be_, x(), a(), n_, 0.2, {}, false); });
    const ImageShape images{.images = z_.images, .pixels = z_.side * z_.side, .channels = 128};
    map("scale_channels", 1, 1, [=, this] { scale_channels_forward(be_, x(), small_.data<T>(), a(), images); });
    const StridedShape heads = permutation({n_ / z_.tokens / 512, z_.tokens, 8, 64}, {0, 2, 1, 3});
    map("permute (B,T,H,D) -> (B,H,T,D)", 1, 1, [=, this] { strided_copy(be_, x(), a(), heads, sizeof(T)); });
    const StridedShape planes = permutation({z_.images, z_.side, z_.side, 128}, {0, 3, 1, 2});
    map("NHWC -> NCHW", 1, 1, [=, this] { strided_copy(be_, x(), a(), planes, sizeof(T)); });
    update("sgd step (momentum)", 3, 2,
           [=, this] { sgd_step(be_, w(), g(), m(), {.lr = 1e-3, .momentum = 0.9, .weight_decay = 1e-4}, n_); });
    update("adamw step", 4, 3, [=, this] {
      const AdamStep o{.lr = 1e-3, .weight_decay = 0.01, .decoupled = true, .bias1 = 0.1, .bias2 = 0.001};
      adam_step(be_, w(), g(), m(), v(), o, n_);
    });
    update("ema", 2, 1, [=, this] { moving_average(be_, w(), g(), 0.01, n_); });
    return std::move(cases_);
  }

  std::vector<Case> norm() {
    map("batch_norm", 2, 1, [=, this] {
      batch_norm_statistics(be_, x(), f(mean_), f(out_), pixels_, workspace_.data());
      scale_shift<T>(be_, x(), nullptr, f(scale_), f(shift_), Activation::none, a(), pixels_);
    });
    map("batch_norm gradient", 4, 1, [=, this] {
      const BatchNormGradient<T> gradient{.x = x(),
                                          .dy = dy(),
                                          .mean = f(mean_),
                                          .inv_std = f(positive_),
                                          .scale = f(scale_),
                                          .shift = f(shift_),
                                          .dx = a(),
                                          .dgamma = f(out_),
                                          .dbeta = f(kept_)};
      batch_norm_backward(be_, gradient, pixels_, workspace_.data());
    });
    map("layer_norm", 1, 1, [=, this] { layer_norm_forward<T>(be_, x(), f(scale_), f(shift_), 1e-5, a(), f(out_), f(kept_), rows_); });
    map("layer_norm gradient", 2, 1, [=, this] {
      const LayerNormGradient<T> gradient{.x = x(),
                                          .dy = dy(),
                                          .gamma = f(scale_),
                                          .mean = f(mean_),
                                          .inv_std = f(positive_),
                                          .dx = a(),
                                          .dgamma = f(out_),
                                          .dbeta = f(kept_)};
      layer_norm_backward(be_, gradient, rows_, workspace_.data());
    });
    const RowShape pixels{.rows = pixels_.rows, .cols = pixels_.channels};
    map("local_response_norm", 1, 1, [=, this] { local_response_norm_forward(be_, x(), {}, a(), pixels); });
    map("softmax", 1, 1, [=, this] { softmax_forward(be_, x(), a(), rows_); });
    map("softmax gradient", 2, 1, [=, this] { softmax_backward(be_, x(), dy(), a(), rows_, false); });
    map("log_softmax", 1, 1, [=, this] { log_softmax_forward(be_, x(), a(), rows_); });
    map("log_softmax gradient", 2, 1, [=, this] { log_softmax_backward(be_, x(), dy(), a(), rows_, false); });
    const auto forward = [=, this] {
      cross_entropy_forward<T>(be_, x(), {.labels = labels_.data<std::int64_t>()}, f(out_), f(kept_), rows_);
    };
    map("cross_entropy", 1, 0, forward);
    map("cross_entropy and gradient", 2, 1, [=, this] {
      forward();
      cross_entropy_backward<T>(be_, x(), {.labels = labels_.data<std::int64_t>()}, f(kept_), f(positive_), a(), rows_, false);
    });

    const auto pool = [&](std::int64_t kernel, std::int64_t stride, std::int64_t padding) {
      const PoolAxis axis = PoolAxis::windows(z_.side, kernel, stride, padding, false);
      return Pool2dShape{.n = z_.images, .c = 128, .rows = axis, .columns = axis};
    };
    const Pool2dShape max_pool = pool(3, 2, 1), avg_pool = pool(2, 2, 0);
    const double place = 0.25 / sizeof(T);   // a byte an output
    const auto which = [this] { return places_.template data<std::uint8_t>(); };
    map("max_pool2d 3x3/2", 1, 0.25 + place, [=, this] { max_pool2d_forward(be_, x(), a(), which(), max_pool); });
    map("max_pool2d 3x3/2 gradient", 0.25 + place, 1, [=, this] { max_pool2d_backward(be_, dy(), which(), a(), max_pool, false); });
    map("avg_pool2d 2x2/2", 1, 0.25, [=, this] { avg_pool2d_forward(be_, x(), a(), avg_pool, {}); });
    map("avg_pool2d 2x2/2 gradient", 0.25, 1, [=, this] { avg_pool2d_backward(be_, dy(), a(), avg_pool, {}, false); });
    const GlobalPoolShape whole{.images = z_.images, .pixels = z_.side * z_.side, .c = 128};
    map("global_avg_pool", 1, 0, [=, this] { global_avg_pool_forward(be_, x(), small_.data<T>(), whole); });
    map("global_avg_pool gradient", 0, 1, [=, this] { global_avg_pool_backward(be_, small_.data<T>(), a(), whole, false); });
    map("bilinear resize 2x", 0.25, 1, [=, this] { interpolate_forward(be_, x(), a(), twice(), workspace_.data()); });
    return std::move(cases_);
  }

 private:
  T* x() { return x_.template data<T>(); }
  T* dy() { return dy_.template data<T>(); }
  T* a() { return a_.template data<T>(); }
  static float* f(Tensor& t) { return t.data<float>(); }
  /// Weights, gradient and moments of an optimiser.
  float* arena(Tensor& t, std::uint64_t seed) {
    if (!t.defined()) t = numbers(settings_, n_, seed);
    return t.data<float>();
  }
  float* w() { return arena(w_, 12); }
  float* g() { return arena(g_, 13); }
  float* m() { return arena(m_, 14); }
  float* v() {
    if (!v_.defined()) v_ = Tensor::full({n_}, 0.5, DType::f32, settings_.device);
    return v_.data<float>();
  }

  /// Reads and writes so many arrays of T, or of float.
  void map(const char* name, double reads, double writes, std::function<void()> run) {
    cases_.push_back({name, (reads + writes) * array_, writes * array_, std::move(run)});
  }
  void update(const char* name, double reads, double writes, std::function<void()> run) {
    cases_.push_back({name, (reads + writes) * floats_, writes * floats_, std::move(run)});
  }
  void add_activation(const std::string& name, Activation act, bool gradient) {
    map(name.c_str(), 1, 1, [=, this] { activation_forward(be_, act, x(), a(), n_); });
    if (gradient) map((name + " gradient").c_str(), 2, 1, [=, this] { activation_backward(be_, act, x(), dy(), a(), n_, false); });
  }
  InterpolationShape twice() const {
    const auto axis = InterpolationAxis::resize(z_.side / 2, z_.side, Interpolation::bilinear, false);
    return {.n = z_.images, .c = 128, .rows = axis, .columns = axis};
  }
  std::size_t workspace_bytes() const {
    return std::max({batch_norm_workspace_bytes<T>(be_, pixels_), layer_norm_workspace_bytes<T>(be_, rows_),
                     interpolate_workspace_bytes(be_, twice())});
  }

  const Settings& settings_;
  Be be_;
  Sizes z_;
  std::int64_t n_;
  double array_, floats_;   // bytes of one
  RowShape rows_;
  ChannelShape pixels_;
  Tensor x_, dy_, a_;   // x and dy are read, a is written
  Tensor places_;
  Tensor w_, g_, m_, v_;                                             // of float, made when they are asked for
  std::int64_t longest_ = std::max<std::int64_t>(rows_.rows, 512);   // a value a row, a column or a channel
  Tensor small_ = numbers(settings_, z_.images * 128, 5, dtype_of<T>), scale_ = numbers(settings_, longest_, 6),
         shift_ = numbers(settings_, longest_, 7), mean_ = numbers(settings_, longest_, 8),
         positive_ = Tensor::full({longest_}, 0.75, DType::f32, settings_.device), out_ = numbers(settings_, longest_, 10),
         kept_ = numbers(settings_, longest_, 11);
  Tensor labels_ = Tensor::empty({rows_.rows}, DType::i64, settings_.device);
  Memory workspace_;
  std::vector<Case> cases_;
};

}   // namespace

void bench_memory(const Settings& s, const std::string& group) {
  const Sizes z = Sizes::of(s);
  const PeerTimes peer = run_peer(s, "ops_torch.py", {group, fmt::format("images={}", z.images)});
  on_backend(s, [&]<class T>(auto be) {
    Cases<decltype(be), T> all(s, be);
    // The limits: a copy of an array, on a CPU also a read and a write of one, between the runs of each case.
    const std::int64_t floats = z.elements() * static_cast<std::int64_t>(sizeof(T)) / 4;
    const double array = 4. * static_cast<double>(floats);
    Tensor from = numbers(s, floats, 20), to = numbers(s, floats, 21);
    const float* x = from.data<float>();
    float* y = to.data<float>();
    std::vector<Contender> contenders(1);
    if (s.device == Device::cuda) {
      contenders.push_back({"copy", [&] { cuda_device().copy(cuda(), y, x, to.bytes()); }});
    } else if (!s.once) {
      contenders.push_back({"copy", [&] { streaming_copy(x, y, floats); }});
      contenders.push_back({"read", [&] { read(x, floats); }});
      contenders.push_back({"fill", [&] { fill(y, floats); }});
    }
    if (!s.json && !s.once)
      fmt::print(
          "\ncopy {:.1f} GB/s; per cent are of one between the runs, and of the time that is needed at least: by a copy of as many bytes, by what is "
          "read, by what is written\n",
          2e-9 * array / median_seconds(s, {contenders[1]})[0]);
    Report report(s, group, {.unit = "GB/s", .percents = {"copy", "floor"}, .others = {}});
    for (const Case& c : group == "norm" ? all.norm() : all.elementwise()) {
      if (c.name.find(s.only) == std::string::npos) continue;
      contenders[0] = {c.name, c.run};
      const std::vector<double> t = median_seconds(s, contenders);
      Report::Line line{.what = c.name, .seconds = t[0], .rate = 1e-9 * c.bytes / t[0]};
      if (!s.once) {
        const double copied = c.bytes / (2 * array) * t[1];
        double floor = copied;
        if (t.size() > 2) floor = std::max({copied, (c.bytes - c.written) / array * t[2], c.written / array * t[3]});
        line.percents = {100 * copied / t[0], 100 * floor / t[0]};
      }
      report.line(line, peer);
    }
  });
}

}   // namespace fovea::bench
