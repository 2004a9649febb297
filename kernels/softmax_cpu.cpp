// softmax_cpu.cpp: three passes over a row that is in a near cache after the first: maximum; exponentials and their sum; quotient.
#include "kernels/softmax.h"

#include "kernels/cpu/isa.h"
#include "kernels/cpu/math.h"
#include "kernels/cpu/rows.h"

namespace fovea::kernels {

template <class T> struct SoftmaxFunctions {
  void (*forward)(const T*, T*, RowShape);
  void (*backward)(const T*, const T*, T*, RowShape, bool);
  void (*log_forward)(const T*, T*, RowShape);
  void (*log_backward)(const T*, const T*, T*, RowShape, bool);
};
struct SoftmaxTable {
  SoftmaxFunctions<float> f32;
  SoftmaxFunctions<bfloat16> bf16;
};
FOVEA_ISA_TABLES(SoftmaxTable, softmax_table)

namespace FOVEA_ISA {
namespace {

/// The exponentials of a row wait for their sum: in the nearest cache if y goes past the caches, else in y if it can hold them (float); else
/// they are computed twice.
template <class T> void forward(const T* x, T* y, RowShape s) {
  constexpr bool kKeep = std::is_same_v<T, float>;
  constexpr std::int64_t kWaiting = 4096;
  const bool streamed = streams(y, s.rows * s.cols, s.cols) && y != x && s.cols <= kWaiting;
  const auto row_forward = [&](std::int64_t r) FOVEA_LANES_INLINE {
    alignas(64) T waiting[kKeep ? kWaiting : 1];
    const T* row = x + r * s.cols;
    T *out = y + r * s.cols, *kept = streamed ? waiting : out;
    const F16 largest(row_max(row, s.cols));
    const F16 inverse_z(1.f / row_sum(s.cols, [&](std::int64_t j, std::int64_t lanes) FOVEA_LANES_INLINE {
                          ask_for_next_row(row + j, s);
                          const F16 e = exp_below_88(load(row + j, lanes, kMinusInf) - largest);
                          if constexpr (kKeep) store(kept + j, lanes, e);
                          return e;
                        }));
    for_lanes(s.cols, [&](std::int64_t j, std::int64_t lanes) FOVEA_LANES_INLINE {
      const F16 e = kKeep ? load(kept + j, lanes) : exp_below_88(load(row + j, lanes) - largest);
      store(out + j, lanes, e * inverse_z, streamed);
    });
  };
  parallel_rows(s, kGrain, row_forward, streamed);
}

template <class T> void backward(const T* y, const T* dy, T* dx, RowShape s, bool accumulate) {
  const bool streamed = streams(dx, s.rows * s.cols, s.cols) && !accumulate && dx != dy && dx != y;
  const auto row_backward = [&](std::int64_t r) FOVEA_LANES_INLINE {
    const T *p = y + r * s.cols, *g = dy + r * s.cols;
    T* out = dx + r * s.cols;
    const F16 dot(
        row_sum(s.cols, [&](std::int64_t j, std::int64_t lanes) FOVEA_LANES_INLINE { return load(p + j, lanes) * load(g + j, lanes); }));
    for_lanes(s.cols, [&](std::int64_t j, std::int64_t lanes) FOVEA_LANES_INLINE {
      const F16 gradient = load(p + j, lanes) * (load(g + j, lanes) - dot);
      store(out + j, lanes, accumulate ? load(out + j, lanes) + gradient : gradient, streamed);
    });
  };
  parallel_rows(s, kGrain, row_backward, streamed);
}

template <class T> void log_forward(const T* x, T* y, RowShape s) {
  const bool streamed = streams(y, s.rows * s.cols, s.cols) && y != x;
  const auto row_forward = [&](std::int64_t r) FOVEA_LANES_INLINE {
    const T* row = x + r * s.cols;
    T* out = y + r * s.cols;
    const F16 largest(row_max(row, s.cols));
    const float z = row_sum(s.cols, [&](std::int64_t j, std::int64_t lanes) FOVEA_LANES_INLINE {
      ask_for_next_row(row + j, s);
      return exp_beside_1(load(row + j, lanes, kMinusInf) - largest);
    });
    const F16 log_z(log(broadcast(z))[0]);
    for_lanes(s.cols, [&](std::int64_t j, std::int64_t lanes)
                          FOVEA_LANES_INLINE { store(out + j, lanes, load(row + j, lanes) - largest - log_z, streamed); });
  };
  parallel_rows(s, kGrain, row_forward, streamed);
}

template <class T> void log_backward(const T* y, const T* dy, T* dx, RowShape s, bool accumulate) {
  const bool streamed = streams(dx, s.rows * s.cols, s.cols) && !accumulate && dx != dy && dx != y;
  const auto row_backward = [&](std::int64_t r) FOVEA_LANES_INLINE {
    const T *log_p = y + r * s.cols, *g = dy + r * s.cols;
    T* out = dx + r * s.cols;
    const F16 total(row_sum(s.cols, [&](std::int64_t j, std::int64_t lanes) FOVEA_LANES_INLINE { return load(g + j, lanes); }));
    for_lane_blocks(s.cols, [&]<int Blocks>(std::int64_t j, std::int64_t lanes) FOVEA_LANES_INLINE {
      F16 gradient[Blocks];
      for (int b = 0; b < Blocks; ++b) gradient[b] = load(g + j + 16 * b, lanes) - exp_below_88(load(log_p + j + 16 * b, lanes)) * total;
      for (int b = 0; b < Blocks; ++b) {
        T* to = out + j + 16 * b;
        store(to, lanes, accumulate ? load(to, lanes) + gradient[b] : gradient[b], streamed);
      }
    });
  };
  parallel_rows(s, kGrain, row_backward, streamed);
}

template <class T> constexpr SoftmaxFunctions<T> functions{forward<T>, backward<T>, log_forward<T>, log_backward<T>};

}   // namespace
const SoftmaxTable softmax_table{functions<float>, functions<bfloat16>};
}   // namespace FOVEA_ISA

#ifdef FOVEA_BASELINE
template <class T> void softmax_forward(Cpu, const T* x, T* y, RowShape s) { for_type<T>(softmax_table()).forward(x, y, s); }
template <class T> void softmax_backward(Cpu, const T* y, const T* dy, T* dx, RowShape s, bool accumulate) {
  for_type<T>(softmax_table()).backward(y, dy, dx, s, accumulate);
}
template <class T> void log_softmax_forward(Cpu, const T* x, T* y, RowShape s) { for_type<T>(softmax_table()).log_forward(x, y, s); }
template <class T> void log_softmax_backward(Cpu, const T* y, const T* dy, T* dx, RowShape s, bool accumulate) {
  for_type<T>(softmax_table()).log_backward(y, dy, dx, s, accumulate);
}

#define FOVEA_INSTANTIATE(T)                                                   \
  template void softmax_forward(Cpu, const T*, T*, RowShape);                  \
  template void softmax_backward(Cpu, const T*, const T*, T*, RowShape, bool); \
  template void log_softmax_forward(Cpu, const T*, T*, RowShape);              \
  template void log_softmax_backward(Cpu, const T*, const T*, T*, RowShape, bool);
FOVEA_INSTANTIATE(float)
FOVEA_INSTANTIATE(bfloat16)
#undef FOVEA_INSTANTIATE
#endif

}   // namespace fovea::kernels
