// cross_entropy_cpu.cpp: softmax and its cross-entropy; a row is read two or three times, the later ones from a near cache.
#include "kernels/cross_entropy.h"

#include "kernels/cpu/isa.h"
#include "kernels/cpu/map.h"
#include "kernels/cpu/math.h"

namespace fovea::kernels {

template <class T> struct CrossEntropyFunctions {
  void (*forward)(const T*, const std::int64_t*, float, float*, RowShape);
  void (*backward)(const T*, const std::int64_t*, float, const float*, T*, RowShape, bool);
  void (*softmax)(const T*, T*, RowShape);
};
struct CrossEntropyTable {
  CrossEntropyFunctions<float> f32;
  CrossEntropyFunctions<bfloat16> bf16;
};
FOVEA_ISA_TABLES(CrossEntropyTable, cross_entropy_table)

namespace FOVEA_ISA {
namespace {

constexpr float kMinusInf = -__builtin_inff();

/// softmax(x)_j = exp(x_j - max) / z
struct Normaliser {
  float max, z;
};
template <class T> FOVEA_INLINE Normaliser normaliser(const T* x, std::int64_t cols) {
  F16 largest(kMinusInf), z;
  for_lanes(cols, [&](std::int64_t j, std::int64_t lanes) FOVEA_LANES_INLINE { largest = max(largest, load(x + j, lanes, kMinusInf)); });
  const float row_max = max_lane(largest);   // a NaN may get lost here; it comes back through z
  for_lanes(cols,
            [&](std::int64_t j, std::int64_t lanes) FOVEA_LANES_INLINE { z = z + exp(load(x + j, lanes, kMinusInf) - F16(row_max)); });
  return {.max = row_max, .z = sum(z)};
}

/// 16 targets t_j from column j on.
FOVEA_INLINE F16 targets(std::int64_t label, std::int64_t j, float smoothing, std::int64_t cols) {
  float lanes[16];
  for (int i = 0; i < 16; ++i) lanes[i] = smoothing / float(cols);
  if (label >= j && label < j + 16) lanes[label - j] += 1.f - smoothing;
  return F16::load(lanes);
}

/// f(row) for every row, on the pool. An exp costs more than moving its argument, so tasks are smaller than a copy's.
template <class F> FOVEA_INLINE void parallel_rows(RowShape s, const F& f) {
  parallel_ranges(s.rows, max(1, kGrain / 4 / max(1, s.cols)), [&](std::int64_t first, std::int64_t count) {
    for (std::int64_t r = first; r < first + count; ++r) f(r);
  });
}

/// loss = log z - sum_j t_j (x_j - max), since the t_j sum to 1.
template <class T> void forward(const T* x, const std::int64_t* labels, float smoothing, float* loss, RowShape s) {
  parallel_rows(s, [&](std::int64_t r) {
    const T* row = x + r * s.cols;
    const Normaliser n = normaliser(row, s.cols);
    float expected = (1.f - smoothing) * (float(row[labels[r]]) - n.max);
    if (smoothing > 0.f) {   // else 0 * (-inf) would come in
      F16 total;
      for_lanes(s.cols,
                [&](std::int64_t j, std::int64_t lanes) FOVEA_LANES_INLINE { total = total + (load(row + j, lanes, n.max) - F16(n.max)); });
      expected += smoothing / float(s.cols) * sum(total);
    }
    loss[r] = log(broadcast(n.z))[0] - expected;
  });
}

template <class T>
void backward(const T* x, const std::int64_t* labels, float smoothing, const float* dloss, T* dx, RowShape s, bool accumulate) {
  parallel_rows(s, [&](std::int64_t r) {
    const T* row = x + r * s.cols;
    T* out = dx + r * s.cols;
    const Normaliser n = normaliser(row, s.cols);
    const F16 max(n.max), inverse_z(1.f / n.z), dl(dloss[r]);
    for_lanes(s.cols, [&](std::int64_t j, std::int64_t lanes) FOVEA_LANES_INLINE {
      const F16 p = exp(load(row + j, lanes) - max) * inverse_z;
      const F16 gradient = dl * (p - targets(labels[r], j, smoothing, s.cols));
      store(out + j, lanes, accumulate ? load(out + j, lanes) + gradient : gradient);
    });
  });
}

template <class T> void softmax(const T* x, T* y, RowShape s) {
  parallel_rows(s, [&](std::int64_t r) {
    const T* row = x + r * s.cols;
    T* out = y + r * s.cols;
    const Normaliser n = normaliser(row, s.cols);
    const F16 max(n.max), inverse_z(1.f / n.z);
    for_lanes(s.cols, [&](std::int64_t j, std::int64_t lanes)
                          FOVEA_LANES_INLINE { store(out + j, lanes, exp(load(row + j, lanes) - max) * inverse_z); });
  });
}

template <class T> constexpr CrossEntropyFunctions<T> functions{forward<T>, backward<T>, softmax<T>};

}   // namespace
const CrossEntropyTable cross_entropy_table{functions<float>, functions<bfloat16>};
}   // namespace FOVEA_ISA

#ifdef FOVEA_BASELINE
template <class T> void cross_entropy_forward(Cpu, const T* x, const std::int64_t* labels, acc_t<T> smoothing, acc_t<T>* loss, RowShape s) {
  for_type<T>(cross_entropy_table()).forward(x, labels, smoothing, loss, s);
}
template <class T>
void cross_entropy_backward(Cpu, const T* x, const std::int64_t* labels, acc_t<T> smoothing, const acc_t<T>* dloss, T* dx, RowShape s,
                            bool accumulate) {
  for_type<T>(cross_entropy_table()).backward(x, labels, smoothing, dloss, dx, s, accumulate);
}
template <class T> void softmax(Cpu, const T* x, T* y, RowShape s) { for_type<T>(cross_entropy_table()).softmax(x, y, s); }

#define FOVEA_INSTANTIATE(T)                                                                                         \
  template void cross_entropy_forward(Cpu, const T*, const std::int64_t*, float, float*, RowShape);                  \
  template void cross_entropy_backward(Cpu, const T*, const std::int64_t*, float, const float*, T*, RowShape, bool); \
  template void softmax(Cpu, const T*, T*, RowShape);
FOVEA_INSTANTIATE(float)
FOVEA_INSTANTIATE(bfloat16)
#undef FOVEA_INSTANTIATE
#endif

}   // namespace fovea::kernels
