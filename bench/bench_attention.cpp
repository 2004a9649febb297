// bench_attention.cpp: attention and shifted-window attention beside the FMA peak, and beside PyTorch (peers/ops_torch.py, same names).
//
// Forward is two products of queries * keys * dim multiply-adds a head, backward five. A window layer has its two projections, too, so
// that it is the layer that torchvision has.
#include <fmt/core.h>

#include "bench/measure.h"
#include "kernels/attention.h"
#include "kernels/gemm.h"
#include "kernels/reduce.h"
#include "kernels/window_attention.h"

namespace fovea::bench {
namespace {

using namespace kernels;
constexpr Cpu kCpu{};

struct Case {
  std::string name;
  double operations;
  std::function<void()> run;
};

struct Arrays {
  std::vector<float> qkv, dqkv, y, dy, lse;
  std::vector<char> workspace;
};

/// q, k and v lie in one projection (batch, tokens, 3, heads, dim).
Case attention_case(std::int64_t batch, std::int64_t heads, std::int64_t tokens, std::int64_t dim, bool gradient) {
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
  const auto m = std::make_shared<Arrays>(Arrays{.qkv = random_floats(batch * tokens * 3 * channels, 1),
                                                 .dqkv = random_floats(batch * tokens * 3 * channels, 2),
                                                 .y = random_floats(batch * tokens * channels, 3),
                                                 .dy = random_floats(batch * tokens * channels, 4),
                                                 .lse = random_floats(batch * heads * tokens, 5),
                                                 .workspace = std::vector<char>(attention_workspace_bytes<float>(kCpu, s))});
  const double product = 2. * static_cast<double>(batch * heads * tokens * tokens * dim);
  return {fmt::format("attention {}x{}x{}x{}{}", batch, heads, tokens, dim, gradient ? " with gradient" : ""), (gradient ? 7 : 2) * product,
          [=] {
            const float* q = m->qkv.data();
            attention_forward<float>(kCpu, q, q + channels, q + 2 * channels, nullptr, m->y.data(), m->lse.data(), s, m->workspace.data());
            if (!gradient) return;
            float* dq = m->dqkv.data();
            attention_backward<float>(kCpu, q, q + channels, q + 2 * channels, nullptr, m->lse.data(), m->dy.data(),
                                      {.dq = dq, .dk = dq + channels, .dv = dq + 2 * channels}, s, m->workspace.data());
          }};
}

struct WindowArrays : Arrays {
  std::vector<float> x, dx, out, w_qkv, w_proj, b_qkv, b_proj, table, dw_qkv, dw_proj, db_qkv, db_proj, dtable, dpadding;
};

/// The layer: qkv projection, window attention, output projection.
Case window_case(std::int64_t batch, std::int64_t size, std::int64_t heads, std::int64_t shift, bool gradient) {
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
  const auto m = std::make_shared<WindowArrays>();
  m->x = random_floats(rows * c, 1), m->dx = m->x, m->out = m->x, m->y = m->x, m->dy = random_floats(rows * c, 2);
  m->qkv = random_floats(rows * 3 * c, 3), m->dqkv = m->qkv;
  m->lse = random_floats(batch * s.windows() * heads * s.tokens(), 4);
  m->w_qkv = random_floats(3 * c * c, 5), m->dw_qkv = m->w_qkv, m->w_proj = random_floats(c * c, 6), m->dw_proj = m->w_proj;
  m->b_qkv = random_floats(3 * c, 7), m->db_qkv = m->b_qkv, m->dpadding = m->b_qkv, m->b_proj = random_floats(c, 8), m->db_proj = m->b_proj;
  m->table = random_floats(s.table_rows() * heads, 9), m->dtable = m->table;
  const GemmShape in{.m = rows, .n = 3 * c, .k = c, .transpose_b = true}, out{.m = rows, .n = c, .k = c, .transpose_b = true};
  const GemmShape dproj{.m = rows, .n = c, .k = c}, dw_proj{.m = c, .n = c, .k = rows, .transpose_a = true};
  const GemmShape dx{.m = rows, .n = c, .k = 3 * c}, dw_qkv{.m = 3 * c, .n = c, .k = rows, .transpose_a = true};
  const RowShape wide{.rows = rows, .cols = 3 * c}, narrow{.rows = rows, .cols = c};
  std::size_t bytes = std::max({window_attention_workspace_bytes<float>(kCpu, s), reduce_workspace_bytes<float>(kCpu, wide),
                                reduce_workspace_bytes<float>(kCpu, narrow)});
  for (const GemmShape& g : {in, out, dproj, dw_proj, dx, dw_qkv}) bytes = std::max(bytes, gemm_workspace_bytes<float>(kCpu, g));
  m->workspace.resize(bytes);
  const double products = 2. * static_cast<double>(batch * s.windows() * s.tokens() * s.tokens() * c);
  const double projections = 2. * static_cast<double>(rows * 4 * c * c);
  return {fmt::format("window layer {}x{}x{}x{} shift {}{}", batch, size, size, c, shift, gradient ? " with gradient" : ""),
          gradient ? 7 * products + 3 * projections : 2 * products + projections, [=] {
            void* ws = m->workspace.data();
            gemm<float, float>(kCpu, m->x.data(), m->w_qkv.data(), m->qkv.data(), in, {.shift = m->b_qkv.data()}, ws);
            window_attention_forward(kCpu, m->qkv.data(), m->b_qkv.data(), m->table.data(), m->y.data(), m->lse.data(), s, ws);
            gemm<float, float>(kCpu, m->y.data(), m->w_proj.data(), m->out.data(), out, {.shift = m->b_proj.data()}, ws);
            if (!gradient) return;
            sum_rows(kCpu, m->dy.data(), 1.f, m->db_proj.data(), narrow, false, ws);
            gemm<float, float>(kCpu, m->dy.data(), m->y.data(), m->dw_proj.data(), dw_proj, {}, ws);
            gemm<float, float>(kCpu, m->dy.data(), m->w_proj.data(), m->out.data(), dproj, {}, ws);
            window_attention_backward<float>(kCpu, m->qkv.data(), m->b_qkv.data(), m->table.data(), m->lse.data(), m->out.data(),
                                             {.dqkv = m->dqkv.data(), .dpadding = m->dpadding.data(), .dtable = m->dtable.data()}, s, ws);
            sum_rows(kCpu, m->dqkv.data(), 1.f, m->db_qkv.data(), wide, false, ws);
            gemm<float, float>(kCpu, m->dqkv.data(), m->x.data(), m->dw_qkv.data(), dw_qkv, {}, ws);
            gemm<float, float>(kCpu, m->dqkv.data(), m->w_qkv.data(), m->dx.data(), dx, {}, ws);
          }};
}

}   // namespace

void bench_attention(const Settings& s) {
  const auto peer = run_peer(s, "attention");
  std::vector<std::function<Case()>> cases;   // made one after the other: their arrays are large
  for (const bool gradient : {false, true})
    for (const auto& [b, h, t, d] : {std::array{8, 12, 197, 64}, std::array{8, 3, 197, 64}, std::array{2, 12, 577, 64}})
      cases.push_back([=, b = b, h = h, t = t, d = d] { return attention_case(b, h, t, d, gradient); });
  for (const bool gradient : {false, true})
    for (const auto& [b, size, h, shift] : {std::array{8, 56, 3, 0}, std::array{8, 56, 3, 3}, std::array{8, 14, 12, 3}})
      cases.push_back([=, b = b, size = size, h = h, shift = shift] { return window_case(b, size, h, shift, gradient); });
  const double peak = measure_peak(s.threads);
  if (!s.json)
    fmt::print("\n{:<46}{:>9}{:>9}{:>8}{:>16}{:>16}\n", "attention", "ms", "GFLOP/s", "% peak", "PyTorch eager", "torch.compile");
  for (const auto& make : cases) {
    const Case c = make();
    const double seconds = median_seconds({{c.name, c.run}}, s.repeats)[0];
    if (s.json) {
      print_json({{"bench", "attention"},
                  {"what", c.name},
                  {"ms", seconds * 1e3},
                  {"gflops", c.operations / seconds / 1e9},
                  {"percent_of_peak", 100 * c.operations / seconds / peak}},
                 peer, c.name);
      continue;
    }
    fmt::print("{:<46}{:>9.2f}{:>9.0f}{:>7.0f}%{:>16}{:>16}\n", c.name, seconds * 1e3, c.operations / seconds / 1e9,
               100 * c.operations / seconds / peak, peer_time(peer, c.name, "eager_ms", seconds),
               peer_time(peer, c.name, "compiled_ms", seconds));
    std::fflush(stdout);
  }
}

}   // namespace fovea::bench
