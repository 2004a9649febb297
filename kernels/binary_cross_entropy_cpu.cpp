// binary_cross_entropy_cpu.cpp: one pass in each direction; the sums of rows, and the check of the targets, ride along.
#include "kernels/binary_cross_entropy.h"

#include "kernels/cpu/isa.h"
#include "kernels/cpu/math.h"
#include "kernels/cpu/rows.h"

namespace fovea::kernels {

template <class T> struct BinaryCrossEntropyFunctions {
  void (*forward)(const T*, const float*, const float*, float*, float*, RowShape);
  void (*backward)(const T*, const float*, const float*, const float*, float, T*, RowShape, bool);
};
struct BinaryCrossEntropyTable {
  BinaryCrossEntropyFunctions<float> f32;
  BinaryCrossEntropyFunctions<bfloat16> bf16;
};
FOVEA_ISA_TABLES(BinaryCrossEntropyTable, binary_cross_entropy_table)

namespace FOVEA_ISA {
namespace {

constexpr std::int64_t kTask = kGrain / 4;   // exp, log and a division cost more than moving their arguments

constexpr float kNone = -1e30f;   // the logit past a row's end: with target 0 its loss is 0

FOVEA_INLINE F16 weights(const float* w, std::int64_t j, std::int64_t lanes) { return w ? load(w + j, lanes) : F16(1.f); }

template <class T> void forward(const T* x, const float* t, const float* positive_weights, float* loss, float* row_loss, RowShape s) {
  parallel_rows(s, kTask, [&](std::int64_t r) {
    F16 total, bad;
    for_lanes(s.cols, [&](std::int64_t j, std::int64_t lanes) FOVEA_LANES_INLINE {
      const std::int64_t i = r * s.cols + j;
      const F16 target = load(t + i, lanes);
      const F16 value = BinaryCrossEntropy::value(load(x + i, lanes, kNone), target, weights(positive_weights, j, lanes));
      total = total + value;
      bad = bad + outside_unit_interval(target);
      if (loss) store(loss + i, lanes, value);
    });
    row_loss[r] = sum(bad) == 0.f ? sum(total) : -1.f;
  });
}

template <class T>
void backward(const T* x, const float* t, const float* positive_weights, const float* dloss, float factor, T* dx, RowShape s,
              bool accumulate) {
  parallel_rows(s, kTask, [&](std::int64_t r) {
    for_lanes(s.cols, [&](std::int64_t j, std::int64_t lanes) FOVEA_LANES_INLINE {
      const std::int64_t i = r * s.cols + j;
      F16 dl(factor);
      if (dloss) dl = dl * load(dloss + i, lanes);
      const F16 gradient = dl * BinaryCrossEntropy::gradient(load(x + i, lanes), load(t + i, lanes), weights(positive_weights, j, lanes));
      store(dx + i, lanes, accumulate ? load(dx + i, lanes) + gradient : gradient);
    });
  });
}

template <class T> constexpr BinaryCrossEntropyFunctions<T> functions{forward<T>, backward<T>};

}   // namespace
const BinaryCrossEntropyTable binary_cross_entropy_table{functions<float>, functions<bfloat16>};
}   // namespace FOVEA_ISA

#ifdef FOVEA_BASELINE
template <class T>
void binary_cross_entropy_forward(Cpu, const T* x, const acc_t<T>* t, const acc_t<T>* positive_weights, acc_t<T>* loss, acc_t<T>* row_loss,
                                  RowShape s) {
  for_type<T>(binary_cross_entropy_table()).forward(x, t, positive_weights, loss, row_loss, s);
}
template <class T>
void binary_cross_entropy_backward(Cpu, const T* x, const acc_t<T>* t, const acc_t<T>* positive_weights, const acc_t<T>* dloss, bool each,
                                   acc_t<T> factor, T* dx, RowShape s, bool accumulate) {
  for_type<T>(binary_cross_entropy_table())
      .backward(x, t, positive_weights, each ? dloss : nullptr, each ? factor : factor * *dloss, dx, s, accumulate);
}

#define FOVEA_INSTANTIATE(T)                                                                                       \
  template void binary_cross_entropy_forward(Cpu, const T*, const float*, const float*, float*, float*, RowShape); \
  template void binary_cross_entropy_backward(Cpu, const T*, const float*, const float*, const float*, bool, float, T*, RowShape, bool);
FOVEA_INSTANTIATE(float)
FOVEA_INSTANTIATE(bfloat16)
#undef FOVEA_INSTANTIATE
#endif

}   // namespace fovea::kernels
