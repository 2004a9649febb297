// bench_attention.cpp: attention and shifted-window attention beside the peak, and beside PyTorch (peers/ops_torch.py, same names).
//
// Forward is two products of queries * keys * dim multiply-adds a head, backward five. A window layer has its two projections, too, so
// that it is the layer that torchvision has.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>

#include "bench/report.h"
#include "kernels/attention.h"
#include "kernels/gemm.h"
#include "kernels/reduce.h"
#include "kernels/window_attention.h"

namespace fovea::bench {
namespace {

using namespace kernels;

struct Case {
  std::string name;
  double operations;
  std::function<void()> run;
};

/// q, k and v lie in one projection (batch, tokens, 3, heads, dim).
struct Attention {
  std::int64_t batch, heads, tokens, dim;
  bool gradient;
  Attention small() const {
    return {.batch = 1, .heads = 2, .tokens = std::min<std::int64_t>(tokens, 40), .dim = dim, .gradient = gradient};
  }
  std::string name() const { return fmt::format("attention {}x{}x{}x{}{}", batch, heads, tokens, dim, gradient ? " with gradient" : ""); }

  template <class Be, class T> Case make(const Settings& settings, Be be) const {
    const std::int64_t channels = heads * dim;
    const RowStrides strides{.batch = tokens * 3 * channels, .token = 3 * channels, .head = dim};
    const AttentionShape s{.batch = batch,
                           .heads = heads,
                           .queries = tokens,
                           .keys = tokens,
                           .dim = dim,
                           .q = strides,
                           .kv = strides,
                           .scale = 1 / std::sqrt(static_cast<double>(dim))};
    struct Arrays {
      Tensor qkv, dqkv, y, dy, lse;
      Memory workspace;
    };
    const auto values = [&](std::int64_t n, std::uint64_t seed) { return numbers(settings, n, seed, dtype_of<T>); };
    const auto m = std::make_shared<Arrays>(Arrays{.qkv = values(batch * tokens * 3 * channels, 1),
                                                   .dqkv = values(batch * tokens * 3 * channels, 2),
                                                   .y = values(batch * tokens * channels, 3),
                                                   .dy = values(batch * tokens * channels, 4),
                                                   .lse = numbers(settings, batch * heads * tokens, 5),
                                                   .workspace = Memory(settings, attention_workspace_bytes<T>(be, s))});
    const double product = 2. * static_cast<double>(batch * heads * tokens * tokens * dim);
    return {name(), (gradient ? 7 : 2) * product, [=, this_gradient = gradient] {
              const T* q = m->qkv.template data<T>();
              T* y = m->y.template data<T>();
              float* lse = m->lse.template data<float>();
              attention_forward<T>(be, q, q + channels, q + 2 * channels, nullptr, y, lse, s, m->workspace.data());
              if (!this_gradient) return;
              T* dq = m->dqkv.template data<T>();
              attention_backward<T>(be, q, q + channels, q + 2 * channels, nullptr, lse, m->dy.template data<T>(),
                                    {.dq = dq, .dk = dq + channels, .dv = dq + 2 * channels}, s, m->workspace.data());
            }};
  }
};

/// The layer: qkv projection, window attention, output projection.
struct WindowLayer {
  std::int64_t batch, size, heads, shift;
  bool gradient;
  WindowLayer small() const { return {.batch = 1, .size = 14, .heads = 2, .shift = shift, .gradient = gradient}; }
  std::string name() const {
    return fmt::format("window layer {}x{}x{}x{} shift {}{}", batch, size, size, heads * 32, shift, gradient ? " with gradient" : "");
  }

  template <class Be, class T> struct Arrays {
    const Settings& settings;
    Be be;
    std::int64_t c, rows;
    WindowAttentionShape s;
    Tensor x = values(rows * c, 1), dx = x.clone(), out = x.clone(), y = x.clone(), dy = values(rows * c, 2), qkv = values(rows * 3 * c, 3),
           dqkv = qkv.clone(), lse = numbers(settings, s.images*s.windows() * s.heads * s.tokens(), 4), w_qkv = values(3 * c * c, 5),
           w_proj = values(c * c, 6), padding = values(3 * c, 7), b_qkv = floats(3 * c, 7), b_proj = floats(c, 8),
           dw_qkv = floats(3 * c * c, 5), dw_proj = floats(c * c, 6), db_qkv = floats(3 * c, 7), db_proj = floats(c, 8),
           dpadding = floats(3 * c, 7), table = floats(s.table_rows() * s.heads, 9), dtable = table.clone();
    GemmShape in{.m = rows, .n = 3 * c, .k = c, .transpose_b = true}, project{.m = rows, .n = c, .k = c, .transpose_b = true};
    GemmShape project_back{.m = rows, .n = c, .k = c}, project_weight{.m = c, .n = c, .k = rows, .transpose_a = true};
    GemmShape in_back{.m = rows, .n = c, .k = 3 * c}, in_weight{.m = 3 * c, .n = c, .k = rows, .transpose_a = true};
    RowShape wide{.rows = rows, .cols = 3 * c}, narrow{.rows = rows, .cols = c};
    Memory workspace{settings, bytes()};

    Tensor values(std::int64_t n, std::uint64_t seed) const { return numbers(settings, n, seed, dtype_of<T>); }
    Tensor floats(std::int64_t n, std::uint64_t seed) const { return numbers(settings, n, seed); }
    std::size_t bytes() const {
      std::size_t most = std::max(
          {window_attention_workspace_bytes<T>(be, s), reduce_workspace_bytes<T>(be, wide), reduce_workspace_bytes<T>(be, narrow)});
      for (const GemmShape& g : {in, project, project_back, project_weight, in_back, in_weight})
        most = std::max(most, gemm_workspace_bytes<T>(be, g));
      return most;
    }
    static T* at(Tensor& t) { return t.data<T>(); }
    static float* at_float(Tensor& t) { return t.data<float>(); }
    void run(bool gradient) {
      void* ws = workspace.data();
      gemm<T, T>(be, at(x), at(w_qkv), at(qkv), in, {.shift = at_float(b_qkv)}, ws);
      window_attention_forward<T>(be, at(qkv), at(padding), at_float(table), at(y), at_float(lse), s, ws);
      gemm<T, T>(be, at(y), at(w_proj), at(out), project, {.shift = at_float(b_proj)}, ws);
      if (!gradient) return;
      sum_rows(be, at(dy), 1.f, at_float(db_proj), narrow, false, ws);
      gemm<T, float>(be, at(dy), at(y), at_float(dw_proj), project_weight, {}, ws);
      gemm<T, T>(be, at(dy), at(w_proj), at(out), project_back, {}, ws);
      window_attention_backward<T>(be, at(qkv), at(padding), at_float(table), at_float(lse), at(out),
                                   {.dqkv = at(dqkv), .dpadding = at_float(dpadding), .dtable = at_float(dtable)}, s, ws);
      sum_rows(be, at(dqkv), 1.f, at_float(db_qkv), wide, false, ws);
      gemm<T, float>(be, at(dqkv), at(x), at_float(dw_qkv), in_weight, {}, ws);
      gemm<T, T>(be, at(dqkv), at(w_qkv), at(dx), in_back, {}, ws);
    }
  };

  template <class Be, class T> Case make(const Settings& settings, Be be) const {
    const std::int64_t c = heads * 32, rows = batch * size * size;
    const WindowAttentionShape s{.images = batch,
                                 .h = size,
                                 .w = size,
                                 .heads = heads,
                                 .dim = 32,
                                 .window_h = 7,
                                 .window_w = 7,
                                 .shift_h = shift,
                                 .shift_w = shift,
                                 .scale = 1 / std::sqrt(32.)};
    const auto m = std::shared_ptr<Arrays<Be, T>>(new Arrays<Be, T>{settings, be, c, rows, s});
    const double products = 2. * static_cast<double>(batch * s.windows() * s.tokens() * s.tokens() * c);
    const double projections = 2. * static_cast<double>(rows * 4 * c * c);
    return {name(), gradient ? 7 * products + 3 * projections : 2 * products + projections, [m, with = gradient] { m->run(with); }};
  }
};

}   // namespace

void bench_attention(const Settings& s) {
  const std::int64_t batch = s.device == Device::cuda ? 64 : 8;
  const PeerTimes peer = run_peer(s, "ops_torch.py", {"attention", fmt::format("batch={}", batch)});
  const double peak = measure_peak(s);
  Report report(s, "attention", {.unit = "GFLOP/s", .percents = {"peak"}, .others = {}});
  on_backend(s, [&]<class T>(auto be) {
    const auto time = [&](const auto& what) {   // one after the other: their arrays are large
      if (what.name().find(s.only) == std::string::npos) return;
      const Case c = (s.once ? what.small() : what).template make<decltype(be), T>(s, be);
      const double seconds = median_seconds(s, {{c.name, c.run}})[0], rate = 1e-9 * c.operations / seconds;
      report.line({.what = what.name(), .seconds = seconds, .rate = rate, .percents = {peak > 0 ? 1e11 * rate / peak : 0}}, peer);
    };
    for (const bool gradient : {false, true}) {
      time(Attention{.batch = batch, .heads = 12, .tokens = 197, .dim = 64, .gradient = gradient});
      time(Attention{.batch = batch, .heads = 3, .tokens = 197, .dim = 64, .gradient = gradient});
      time(Attention{.batch = batch / 4, .heads = 12, .tokens = 577, .dim = 64, .gradient = gradient});
    }
    for (const bool gradient : {false, true}) {
      time(WindowLayer{.batch = batch, .size = 56, .heads = 3, .shift = 0, .gradient = gradient});
      time(WindowLayer{.batch = batch, .size = 56, .heads = 3, .shift = 3, .gradient = gradient});
      time(WindowLayer{.batch = batch, .size = 14, .heads = 12, .shift = 3, .gradient = gradient});
    }
  });
}

}   // namespace fovea::bench
