// argmax.cpp: one loop for the whole host: a step of a training compares a few thousand numbers so.
#include "kernels/argmax.h"

namespace fovea::kernels {
namespace {

template <class T> std::int64_t argmax(const T* x, std::int64_t cols) {
  std::int64_t best = 0;
  for (std::int64_t c = 0; c < cols; ++c) {
    if (x[c] != x[c]) return -1;
    if (x[c] > x[best]) best = c;
  }
  return best;
}
template <class T> void each_row(const T* x, std::int64_t* which, RowShape s) {
  for (std::int64_t r = 0; r < s.rows; ++r) which[r] = argmax(x + r * s.cols, s.cols);
}

}   // namespace

template <class T> void argmax_rows(Reference, const T* x, std::int64_t* which, RowShape s) { each_row(x, which, s); }
template <class T> void argmax_rows(Cpu, const T* x, std::int64_t* which, RowShape s) { each_row(x, which, s); }
template void argmax_rows(Reference, const float*, std::int64_t*, RowShape);
template void argmax_rows(Reference, const double*, std::int64_t*, RowShape);
template void argmax_rows(Cpu, const float*, std::int64_t*, RowShape);
template void argmax_rows(Cpu, const bfloat16*, std::int64_t*, RowShape);

}   // namespace fovea::kernels
