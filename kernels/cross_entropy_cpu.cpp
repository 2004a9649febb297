// cross_entropy_cpu.cpp: forward passes over a row two or three times (maximum; exponentials; what soft targets need), but once from memory; backward once.
#include "kernels/cross_entropy.h"

#include "kernels/cpu/isa.h"
#include "kernels/cpu/math.h"
#include "kernels/cpu/rows.h"

namespace fovea::kernels {

template <class T> struct CrossEntropyFunctions {
  void (*forward)(const T*, const CrossEntropyTarget<T>&, float*, float*, RowShape);
  void (*backward)(const T*, const CrossEntropyTarget<T>&, const float*, const float*, T*, RowShape, bool);
};
struct CrossEntropyTable {
  CrossEntropyFunctions<float> f32;
  CrossEntropyFunctions<bfloat16> bf16;
};
FOVEA_ISA_TABLES(CrossEntropyTable, cross_entropy_table)

namespace FOVEA_ISA {
namespace {

constexpr std::int64_t kTask = kGrain / 4;   // an exp costs more than moving its argument

/// What is the same for all rows: v_j = w_j (keep t_j + spread).
struct Smoothing {
  float keep, spread, spread_total;   // spread_total = sum_j w_j spread

  template <class T> FOVEA_INLINE Smoothing(const CrossEntropyTarget<T>& t, std::int64_t cols) {
    keep = 1.f - t.smoothing;
    spread = t.smoothing / float(cols);
    double weights = t.class_weights ? 0 : double(cols);
    for (std::int64_t j = 0; t.class_weights && j < cols; ++j) weights += double(t.class_weights[j]);
    spread_total = float(double(spread) * weights);
  }
};

/// onehot(label) from column j on.
FOVEA_INLINE F16 onehot(std::int64_t label, std::int64_t j) {
  float lanes[16] = {};
  lanes[label - j] = 1.f;
  return F16::load(lanes);
}

template <class T> void forward(const T* x, const CrossEntropyTarget<T>& t, float* loss, float* kept, RowShape s) {
  const Smoothing smooth(t, s.cols);
  parallel_rows(s, kTask, [&](std::int64_t r) {
    const T* row = x + r * s.cols;
    const float row_maximum = row_max(row, s.cols);
    const F16 largest(row_maximum);
    const float sum_z = row_sum(s.cols, [&](std::int64_t j, std::int64_t lanes) FOVEA_LANES_INLINE {
      ask_for_next_row(row + j, s);
      return exp_beside_1(load(row + j, lanes, kMinusInf) - largest);
    });
    F16 soft, all, total, bad;   // soft = sum_j w_j t_j (x_j - max), all = sum_j w_j (x_j - max), total = sum_j w_j t_j
    const bool spread_out = t.probabilities || smooth.spread > 0.f;   // beyond one label
    for_lanes(spread_out ? s.cols : 0, [&](std::int64_t j, std::int64_t lanes) FOVEA_LANES_INLINE {
      const F16 d = load(row + j, lanes, row_maximum) - largest;   // 0 past the end
      if (t.probabilities) {
        const F16 p = load(t.probabilities + r * s.cols + j, lanes);
        bad = bad + outside_unit_interval(p);
        const F16 v = t.class_weights ? load(t.class_weights + j, lanes) * p : p;
        soft = soft + where_positive(v, v * d);   // not 0 * (-inf)
        total = total + v;
      }
      if (smooth.spread > 0.f && t.class_weights) {
        const F16 w = load(t.class_weights + j, lanes);
        all = all + where_positive(w, w * d);
      } else if (smooth.spread > 0.f) {
        all = all + d;
      }
    });
    float hot = sum(soft), weight = sum(total);
    if (t.labels) {
      weight = t.class_weights ? t.class_weights[t.labels[r]] : 1.f;
      hot = weight > 0.f ? weight * (float(row[t.labels[r]]) - row_maximum) : 0.f;
    }
    const float v = smooth.keep * weight + smooth.spread_total;
    float expected = smooth.keep * hot;
    if (smooth.spread > 0.f) expected += smooth.spread * sum(all);
    loss[r] = v * log(broadcast(sum_z))[0] - expected;
    kept[3 * r] = row_maximum;
    kept[3 * r + 1] = sum_z;
    kept[3 * r + 2] = sum(bad) == 0.f ? v : -1.f;
  });
}

template <class T>
void backward(const T* x, const CrossEntropyTarget<T>& t, const float* kept, const float* dloss, T* dx, RowShape s, bool accumulate) {
  const Smoothing smooth(t, s.cols);
  const bool streamed = streams(dx, s.rows * s.cols, s.cols) && !accumulate && dx != x;
  const auto row_backward = [&](std::int64_t r) FOVEA_LANES_INLINE {
    const T* row = x + r * s.cols;
    T* out = dx + r * s.cols;
    const std::int64_t label = t.labels ? t.labels[r] : -1;
    const F16 largest(kept[3 * r]), factor(dloss[r] * kept[3 * r + 2] / kept[3 * r + 1]);   // factor * exp(x - max) = dloss V p
    const F16 keep(smooth.keep), spread(smooth.spread), minus_dloss(-dloss[r]);
    for_lane_blocks(s.cols, [&]<int Blocks>(std::int64_t first, std::int64_t lanes) FOVEA_LANES_INLINE {
      F16 share[Blocks];
      for (int b = 0; b < Blocks; ++b) share[b] = exp_below_88(load(row + first + 16 * b, lanes) - largest);
      for (int b = 0; b < Blocks; ++b) {
        const std::int64_t j = first + 16 * b;
        F16 v = spread;
        if (t.probabilities) v = fma(keep, load(t.probabilities + r * s.cols + j, lanes), spread);
        if (t.labels && label >= j && label < j + lanes) v = fma(keep, onehot(label, j), spread);
        if (t.class_weights) v = v * load(t.class_weights + j, lanes);
        const F16 gradient = fma(share[b], factor, minus_dloss * v);
        store(out + j, lanes, accumulate ? load(out + j, lanes) + gradient : gradient, streamed);
      }
    });
  };
  parallel_rows(s, kTask, row_backward, streamed);
}

template <class T> constexpr CrossEntropyFunctions<T> functions{forward<T>, backward<T>};

}   // namespace
const CrossEntropyTable cross_entropy_table{functions<float>, functions<bfloat16>};
}   // namespace FOVEA_ISA

#ifdef FOVEA_BASELINE
template <class T> void cross_entropy_forward(Cpu, const T* x, const CrossEntropyTarget<T>& t, acc_t<T>* loss, acc_t<T>* kept, RowShape s) {
  for_type<T>(cross_entropy_table()).forward(x, t, loss, kept, s);
}
template <class T>
void cross_entropy_backward(Cpu, const T* x, const CrossEntropyTarget<T>& t, const acc_t<T>* kept, const acc_t<T>* dloss, T* dx, RowShape s,
                            bool accumulate) {
  for_type<T>(cross_entropy_table()).backward(x, t, kept, dloss, dx, s, accumulate);
}

#define FOVEA_INSTANTIATE(T)                                                                                  \
  template void cross_entropy_forward(Cpu, const T*, const CrossEntropyTarget<T>&, float*, float*, RowShape); \
  template void cross_entropy_backward(Cpu, const T*, const CrossEntropyTarget<T>&, const float*, const float*, T*, RowShape, bool);
FOVEA_INSTANTIATE(float)
FOVEA_INSTANTIATE(bfloat16)
#undef FOVEA_INSTANTIATE
#endif

}   // namespace fovea::kernels
