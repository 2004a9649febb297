#include "optim/clip.h"

#include <cmath>

#include "kernels/broadcast.h"
#include "kernels/gradient_clip.h"

namespace fovea::optim {

double clip_norm(Arena& arena, double max_norm, NonFinite non_finite) {
  require(max_norm > 0, "clip_norm: expected max_norm above 0, got ", max_norm);
  arena.gather();
  const std::vector<Arena::Range> ranges = arena.gradient_ranges();
  double norm = 0;
  on_arena("clip_norm", arena.gradients(), [&]<class T>(auto be) {
    T* g = arena.gradients().data<T>();
    const Workspace workspace(kernels::sum_squares_workspace_bytes<T>(be, ranges.data(), std::ssize(ranges)));
    norm = std::sqrt(kernels::sum_squares<T>(be, g, ranges.data(), std::ssize(ranges), workspace.data()));
    if (!std::isfinite(norm)) {
      if (non_finite == NonFinite::error)
        throw Error(detail::join("clip_norm: the norm of the gradients is ", std::isnan(norm) ? "not a number" : "infinite"));
      if (non_finite == NonFinite::keep) return;
    }
    const double factor = max_norm / (norm + 1e-6);
    if (factor >= 1 || std::isinf(max_norm)) return;
    for (const auto& [begin, end] : ranges) kernels::affine<T>(be, g + begin, static_cast<T>(factor), T(0), g + begin, end - begin, false);
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
