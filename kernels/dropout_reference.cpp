// dropout_reference.cpp: one random word an element, or a row.
#include "kernels/dropout.h"

namespace fovea::kernels {

template <class T> void dropout(Reference be, const T* x, T* y, std::int64_t n, double p, PhiloxKey key, bool accumulate) {
  drop_rows(be, x, y, {.rows = n, .cols = 1}, p, key, accumulate);
}

template <class T> void drop_rows(Reference, const T* x, T* y, RowShape s, double p, PhiloxKey key, bool accumulate) {
  const KeepRule rule(p);
  for (std::int64_t r = 0; r < s.rows; ++r) {
    const bool stays = rule.keeps(key.bits(std::uint64_t(r)));
    for (std::int64_t i = r * s.cols; i < (r + 1) * s.cols; ++i) y[i] = T((accumulate ? y[i] : 0) + (stays ? rule.scale * x[i] : 0));
  }
}

#define FOVEA_INSTANTIATE(T)                                                             \
  template void dropout(Reference, const T*, T*, std::int64_t, double, PhiloxKey, bool); \
  template void drop_rows(Reference, const T*, T*, RowShape, double, PhiloxKey, bool);
FOVEA_INSTANTIATE(float)
FOVEA_INSTANTIATE(double)
#undef FOVEA_INSTANTIATE

}   // namespace fovea::kernels
