#include "optim/clip.h"

#include <cmath>

#include "kernels/gradient_clip.h"

namespace fovea::optim {

Tensor clip_norm(Arena& arena, double max_norm, NonFinite non_finite) {
  require(max_norm > 0, "clip_norm: expected max_norm above 0, got ", max_norm);
  arena.gather();
  const std::vector<Arena::Range> ranges = arena.gradient_ranges();
  Tensor squares = Tensor::zeros({2}, DType::f64, arena.gradients().device());   // their sum, and its root
  const Tensor norm = squares.slice(1, 2).reshape({});
  on_arena("clip_norm", arena.gradients(), [&]<class T>(auto be) {
    T* g = arena.gradients().data<T>();
    const Workspace workspace(be, kernels::sum_squares_workspace_bytes<T>(be, ranges.data(), std::ssize(ranges)));
    kernels::sum_squares<T>(be, g, ranges.data(), std::ssize(ranges), squares.data<double>(), workspace.data());
    if (non_finite == NonFinite::error && !std::isfinite(norm.item()))
      throw Error(detail::join("clip_norm: the norm of the gradients is ", std::isnan(norm.item()) ? "not a number" : "infinite"));
    kernels::clip_norm<T>(be, g, ranges.data(), std::ssize(ranges), norm.data<double>(),
                          {.most = max_norm, .keep_non_finite = non_finite == NonFinite::keep});
  });
  return norm;
}

void clip_value(Arena& arena, double limit) {
  require(limit > 0, "clip_value: expected a limit above 0, got ", limit);
  arena.gather();
  on_arena("clip_value", arena.gradients(), [&]<class T>(auto be) {
    for (const auto& [begin, end] : arena.gradient_ranges())
      kernels::clip_value<T>(be, arena.gradients().data<T>() + begin, limit, end - begin);
  });
}

void clip_adaptive(Arena& arena, const AdaptiveClipOptions& o) {
  require(std::isfinite(o.limit) && o.limit > 0, "clip_adaptive: expected a limit above 0, got ", o.limit);
  require(std::isfinite(o.eps) && o.eps > 0, "clip_adaptive: expected eps above 0, got ", o.eps);
  arena.gather();
  on_arena("clip_adaptive", arena.gradients(), [&]<class T>(auto be) {
    for (std::size_t i = 0; i < arena.parameters().size(); ++i) {
      const Parameter& p = arena.parameters()[i];
      if (!p.adaptive_clipping || !p.value.has_grad() || p.value.shape().elements() == 0) continue;
      const std::int64_t n = p.value.shape().elements(), rows = p.value.rank() <= 1 ? 1 : p.value.dim(0), at = arena.range(i, i + 1).begin;
      kernels::clip_rows<T>(be, arena.values().data<T>() + at, arena.gradients().data<T>() + at, {.rows = rows, .cols = n / rows}, o.limit,
                            o.eps);
    }
  });
}

}   // namespace fovea::optim
