// gradient_clip_reference.cpp: as the formulas stand, in double.
#include "kernels/activation.h"
#include "kernels/gradient_clip.h"
#include "kernels/map_reference.h"
#include "kernels/math.h"

namespace fovea::kernels {
namespace {

template <class T> double sum_of_squares(const T* x, std::int64_t n) {
  double sum = 0;
  for (std::int64_t i = 0; i < n; ++i) sum += double(x[i]) * double(x[i]);
  return sum;
}

}   // namespace

template <class T> std::size_t sum_squares_workspace_bytes(Reference, const Run*, std::int64_t) { return 0; }
template <class T> void sum_squares(Reference, const T* x, const Run* runs, std::int64_t count, double* sum, void*) {
  sum[0] = 0;
  for (std::int64_t r = 0; r < count; ++r) sum[0] += sum_of_squares(x + runs[r].begin, runs[r].end - runs[r].begin);
  sum[1] = sqrt(sum[0]);
}

template <class T> void clip_norm(Reference, T* x, const Run* runs, std::int64_t count, const double* norm, ClipNorm c) {
  const double factor = c.factor(*norm);
  for (std::int64_t r = 0; r < count && factor != 1; ++r)
    for (std::int64_t i = runs[r].begin; i < runs[r].end; ++i) x[i] = T(x[i] * factor);
}

template <class T> void clip_value(Reference, T* g, double limit, std::int64_t n) { map(n, Clip{limit}, g, false, g); }

template <class T> void clip_rows(Reference, const T* w, T* g, RowShape s, double limit, double eps) {
  for (std::int64_t r = 0; r < s.rows; ++r) {
    const double longest = limit * max(sqrt(sum_of_squares(w + r * s.cols, s.cols)), eps);
    const double length = sqrt(sum_of_squares(g + r * s.cols, s.cols));
    if (length > longest)
      for (std::int64_t c = 0; c < s.cols; ++c) g[r * s.cols + c] = T(g[r * s.cols + c] * (longest / length));
  }
}

#define FOVEA_INSTANTIATE(T)                                                                 \
  template std::size_t sum_squares_workspace_bytes<T>(Reference, const Run*, std::int64_t);  \
  template void sum_squares(Reference, const T*, const Run*, std::int64_t, double*, void*);  \
  template void clip_norm(Reference, T*, const Run*, std::int64_t, const double*, ClipNorm); \
  template void clip_value(Reference, T*, double, std::int64_t);                             \
  template void clip_rows(Reference, const T*, T*, RowShape, double, double);
FOVEA_INSTANTIATE(float)
FOVEA_INSTANTIATE(double)
#undef FOVEA_INSTANTIATE

}   // namespace fovea::kernels
