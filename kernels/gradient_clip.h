// gradient_clip.h: what clipping a network's gradients needs: a norm over all of them (Pascanu et al. 2013, arXiv:1211.5063, Algorithm 1),
// and gradients made smaller. The rules are in optim/clip.h.
#pragma once

#include "kernels/backend.h"
#include "kernels/math.h"
#include "kernels/runs.h"

namespace fovea::kernels {

template <class T> std::size_t sum_squares_workspace_bytes(Reference, const Run* runs, std::int64_t count);
template <class T> std::size_t sum_squares_workspace_bytes(Cpu, const Run* runs, std::int64_t count);
template <class T> std::size_t sum_squares_workspace_bytes(Cuda, const Run* runs, std::int64_t count);
/// sum[0] = the sum of x^2 over `count` runs of x, in the order of the runs: the same bits for any number of threads. sum[1] = its root, the
/// norm. Reads 4 B for each float32 element. T is float or double.
template <class T> void sum_squares(Reference, const T* x, const Run* runs, std::int64_t count, double* sum, void* workspace);
template <class T> void sum_squares(Cpu, const T* x, const Run* runs, std::int64_t count, double* sum, void* workspace);
template <class T> void sum_squares(Cuda, const T* x, const Run* runs, std::int64_t count, double* sum, void* workspace);

/// How gradients of norm *norm become no longer than `most`.
struct ClipNorm {
  double most;
  bool keep_non_finite = false;   // a norm that is no number or infinite clips nothing; else it makes every gradient NaN or 0
  FOVEA_INLINE double factor(double norm) const {
    constexpr double kInfinity = __builtin_inf();
    if (most == kInfinity || (keep_non_finite && !(norm < kInfinity))) return 1;
    const double f = most / (norm + 1e-6);
    return f >= 1 ? 1 : f;
  }
};
/// x *= c.factor(*norm) in `count` runs of x. Moves 8 B for each float32 element, or nothing where the factor is 1.
template <class T> void clip_norm(Reference, T* x, const Run* runs, std::int64_t count, const double* norm, ClipNorm c);
template <class T> void clip_norm(Cpu, T* x, const Run* runs, std::int64_t count, const double* norm, ClipNorm c);
template <class T> void clip_norm(Cuda, T* x, const Run* runs, std::int64_t count, const double* norm, ClipNorm c);

/// A gradient moved into [-limit, limit]; a NaN stays one.
struct Clip {
  double limit;
  template <class V> FOVEA_INLINE V value(V g) const { return min(V(limit), max(V(-limit), g)); }
};
/// For n gradients. 8 B move for each float32 element.
template <class T> void clip_value(Reference, T* g, double limit, std::int64_t n);
template <class T> void clip_value(Cpu, T* g, double limit, std::int64_t n);
template <class T> void clip_value(Cuda, T* g, double limit, std::int64_t n);

/// Adaptive clipping, row by row (one row for each output unit): Brock et al. 2021 (arXiv:2102.06171), Eq. (3):
///   g_r *= min(1, limit max(|w_r|, eps) / |g_r|)
/// 8 B are read for each float32 element, and 4 B written in the rows that are too long.
template <class T> void clip_rows(Reference, const T* w, T* g, RowShape s, double limit, double eps);
template <class T> void clip_rows(Cpu, const T* w, T* g, RowShape s, double limit, double eps);
template <class T> void clip_rows(Cuda, const T* w, T* g, RowShape s, double limit, double eps);

}   // namespace fovea::kernels
