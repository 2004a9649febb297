// conv2d_depthwise_cuda.cu: convolution with one filter a channel, 3x3, 5x5 and 7x7. There is no matrix product in it: an output is R R
// multiply-adds on numbers of its own channel, so a lane takes two neighbouring channels and walks along the line.
//
//   forward          A block owns kStatRows pixels x 64 channels, a warp 24 pixels of them. Filters sit in registers. A column of R pixels is
//                    read once and added to the R outputs of the line that see it; the oldest is then finished: column reuse of Lu et al.
//                    2021, "Optimizing Depthwise Separable Convolution Operations on GPUs" (TPDS), section 4. With a stride or dilation each
//                    output reads its R R pixels itself.
//   input gradient   the same on dy, with the taps in reverse; with a stride, of the taps that fall on a pixel of dy
//   weight gradient  a warp takes one row of taps and walks over lines, the R pixels under it in a ring of registers; lines are cut in
//                    slices by the shape, whose sums are added in order
//
// Cost: 2 R R operations an output in float; x and y move once through memory. From the first-level cache come R (24 + R - 1) / 24 pixels for
// each output of a long line: 3.2 of a 3x3, 8.8 of a 7x7.
#include <algorithm>

#include "kernels/conv2d_depthwise.h"
#include "kernels/cuda_join.h"
#include "kernels/cuda_patches.h"

namespace fovea::kernels {
namespace {

constexpr int kChannels = 2 * kWarp, kWarps = 4, kRun = static_cast<int>(kStatRows) / kWarps;   // of a block; pixels of a warp

/// Two neighbouring channels.
struct Pair {
  float a, b;
};
using FourBytes __attribute__((may_alias)) = std::uint32_t;
/// p[0] and p[1] as one access where left < 0; else those of them that `left` says are left, and zeros.
template <class T> __device__ __forceinline__ Pair load_pair(const T* p, int left) {
  if constexpr (sizeof(T) == 2) {
    if (left < 0) {
      const std::uint32_t both = *reinterpret_cast<const FourBytes*>(p);
      return {std::bit_cast<float>(both << 16), std::bit_cast<float>(both & 0xffff0000u)};
    }
  } else if (left < 0) {
    const std::uint64_t both = load8(p);
    return {std::bit_cast<float>(static_cast<std::uint32_t>(both)), std::bit_cast<float>(static_cast<std::uint32_t>(both >> 32))};
  }
  return {left > 0 ? float(p[0]) : 0.f, left > 1 ? float(p[1]) : 0.f};
}

/// One axis: output i and tap r meet at (i mul + start + r step) / div, if that is whole and inside.
struct Axis {
  int mul, start, step, size;
  FastDivide div;
  __device__ __forceinline__ int at(int i, int r) const {
    const int v = i * mul + start + r * step;
    if (v < 0) return -1;
    const int p = div(v);
    return p * div.divisor() == v && p < size ? p : -1;
  }
};

template <class T> struct DepthwisePass {
  const T *x, *w;   // (images, rows.size, cols.size, c); (c, R, R)
  T* y;
  int c, pixels;
  bool pairs;               // c is even, and addresses multiples of two elements
  bool reverse;             // taps from last to first
  FastDivide image, line;   // by pixels of y's images and lines
  Axis rows, cols;
};

template <int R> union DepthwiseMemory {
  float w[R * R][kChannels + 2];
  float staged[kStatRows][kChannels];
};

template <class T, int R, bool sliding>
__global__ void __launch_bounds__(kWarps* kWarp, R == 7 ? 2 : 4) depthwise_kernel(DepthwisePass<T> a, Prologue<T> pro, Epilogue<T> e) {
  auto& memory = shared_memory<DepthwiseMemory<R>>();
  const int lane = static_cast<int>(threadIdx.x), warp = static_cast<int>(threadIdx.y), thread = warp * kWarp + lane;
  const int c0 = static_cast<int>(blockIdx.y) * kChannels, m0 = static_cast<int>(blockIdx.x) * static_cast<int>(kStatRows);
  for (int i = thread; i < kChannels * R * R; i += kWarps * kWarp) {
    const int channel = i / (R * R), tap = i % (R * R);
    memory.w[a.reverse ? R * R - 1 - tap : tap][channel] = c0 + channel < a.c ? float(a.w[std::int64_t{c0} * R * R + i]) : 0.f;
  }
  __syncthreads();
  Pair w[R][R];
  FOVEA_UNROLL
  for (int r = 0; r < R; ++r) {
    FOVEA_UNROLL
    for (int s = 0; s < R; ++s) w[r][s] = load_pair(&memory.w[r * R + s][2 * lane], -1);
  }
  __syncthreads();                               // the place is free for outputs
  const int c = c0 + 2 * lane, have = a.c - c;   // channels of this lane that exist: some lanes' none
  const int left = have <= 0 ? 0 : a.pairs ? -1 : have;
  Pair scale{1, 1}, shift{0, 0};
  if (!pro.empty()) {
    if (have > 0) scale.a = pro.scale[c], shift.a = pro.shift[c];
    if (have > 1) scale.b = pro.scale[c + 1], shift.b = pro.shift[c + 1];
  }
  const auto load = [&](const T* image, int row, int col) -> Pair {   // x', and 0 outside
    if (row < 0 || col < 0) return {0, 0};
    Pair v = load_pair(image + (std::int64_t{row} * a.cols.size + col) * a.c, left);
    if (!pro.empty()) v = {start_value(pro, scale.a, shift.a, v.a), start_value(pro, scale.b, shift.b, v.b)};
    return v;
  };
  const auto emit = [&](int m, Pair sum) {
    const std::int64_t offset = std::int64_t{m} * a.c + c;
    const float sums[2] = {sum.a, sum.b};
    T out[2]{};
    FOVEA_UNROLL
    for (int i = 0; i < 2; ++i)
      if (have > i) out[i] = finish_sum<T>(e, sums[i], c + i, a.y, offset + i);
    if (a.pairs && have > 1) {
      if constexpr (sizeof(T) == 2)
        *reinterpret_cast<FourBytes*>(a.y + offset) = out[0].bits | std::uint32_t{out[1].bits} << 16;
      else
        store8(a.y + offset, out[0], out[1]);
    } else {
      for (int i = 0; i < 2 && i < have; ++i) a.y[offset + i] = out[i];
    }
    if (e.partials) store8(&memory.staged[m - m0][2 * lane], float(out[0]), float(out[1]));
  };

  const int last = m0 + (warp + 1) * kRun < a.pixels ? m0 + (warp + 1) * kRun : a.pixels;
  for (int m = m0 + warp * kRun; m < last;) {   // the pixels of one line at a time
    const int n = a.image(m), rest = m - n * a.image.divisor(), i = a.line(rest), j = rest - i * a.line.divisor();
    const int run = a.line.divisor() - j < last - m ? a.line.divisor() - j : last - m;
    const T* image = a.x + n * (std::int64_t{a.rows.size} * a.cols.size * a.c) + c;
    if constexpr (sliding) {
      Pair sum[R] = {};   // sum[k]: of the output k columns back, which this column meets with tap k
      for (int col = 0; col < run + R - 1; ++col) {
        const int at = a.cols.at(j, col);
        FOVEA_UNROLL
        for (int r = 0; r < R; ++r) {
          const Pair v = load(image, a.rows.at(i, r), at);
          FOVEA_UNROLL
          for (int k = 0; k < R; ++k) sum[k] = {fmaf(v.a, w[r][k].a, sum[k].a), fmaf(v.b, w[r][k].b, sum[k].b)};
        }
        if (col >= R - 1) emit(m + col - (R - 1), sum[R - 1]);
        FOVEA_UNROLL
        for (int k = R - 1; k > 0; --k) sum[k] = sum[k - 1];
        sum[0] = {0, 0};
      }
    } else {
      for (int u = 0; u < run; ++u) {
        Pair sum{0, 0};
        FOVEA_UNROLL
        for (int r = 0; r < R; ++r) {
          FOVEA_UNROLL
          for (int s = 0; s < R; ++s) {
            const Pair v = load(image, a.rows.at(i, r), a.cols.at(j + u, s));
            sum = {fmaf(v.a, w[r][s].a, sum.a), fmaf(v.b, w[r][s].b, sum.b)};
          }
        }
        emit(m + u, sum);
      }
    }
    m += run;
  }
  if (!e.partials) return;
  __syncthreads();
  if (thread < kChannels && c0 + thread < a.c) {
    const int rows = a.pixels - m0 < kStatRows ? a.pixels - m0 : static_cast<int>(kStatRows);
    write_partials<kChannels>(&memory.staged[0][thread], rows, e.partials + 2 * std::int64_t{blockIdx.x} * a.c + c0 + thread, a.c);
  }
}

/// parts (slices, c, R, R): sums over some lines of y of dy x'. Warp r of a block takes row r of the taps.
template <class T, int R, bool sliding>
__global__ void __launch_bounds__(R* kWarp, R == 7 ? 3 : 5)
    depthwise_weight_kernel(const T* __restrict__ x, const T* __restrict__ dy, float* parts, Prologue<T> pro, Axis rows, Axis cols,
                            FastDivide lines, int width, int c_all, int all_lines, int slice_lines, bool pairs, bool accumulate) {
  const int r = static_cast<int>(threadIdx.y), c = static_cast<int>(blockIdx.x) * kChannels + 2 * static_cast<int>(threadIdx.x);
  const int have = c_all - c, left = have <= 0 ? 0 : pairs ? -1 : have, first = static_cast<int>(blockIdx.y) * slice_lines;
  const int last = first + slice_lines < all_lines ? first + slice_lines : all_lines;
  Pair scale{1, 1}, shift{0, 0};
  if (!pro.empty()) {
    if (have > 0) scale.a = pro.scale[c], shift.a = pro.shift[c];
    if (have > 1) scale.b = pro.scale[c + 1], shift.b = pro.shift[c + 1];
  }
  Pair sum[R] = {};
  for (int line = first; line < last; ++line) {
    const int n = lines(line), row = rows.at(line - n * lines.divisor(), r);
    if (row < 0) continue;   // all of the line meets padding
    const T* from = x + (std::int64_t{n} * rows.size + row) * cols.size * c_all + c;
    const T* gradient = dy + std::int64_t{line} * width * c_all + c;
    const auto load = [&](int col) -> Pair {
      if (col < 0) return {0, 0};
      Pair v = load_pair(from + std::int64_t{col} * c_all, left);
      if (!pro.empty()) v = {start_value(pro, scale.a, shift.a, v.a), start_value(pro, scale.b, shift.b, v.b)};
      return v;
    };
    const auto add = [&](Pair d, int s, Pair v) { sum[s] = {fmaf(d.a, v.a, sum[s].a), fmaf(d.b, v.b, sum[s].b)}; };
    if constexpr (sliding) {
      Pair ring[R];   // column q + s of the window stands at (q + s) mod R
      FOVEA_UNROLL
      for (int s = 0; s < R - 1; ++s) ring[s] = load(cols.at(0, s));
      for (int q0 = 0; q0 < width; q0 += R) {
        FOVEA_UNROLL
        for (int u = 0; u < R; ++u) {
          if (q0 + u >= width) continue;
          ring[(u + R - 1) % R] = load(cols.at(q0 + u, R - 1));
          const Pair d = load_pair(gradient + std::int64_t{q0 + u} * c_all, left);
          FOVEA_UNROLL
          for (int s = 0; s < R; ++s) add(d, s, ring[(u + s) % R]);
        }
      }
    } else {
      for (int q = 0; q < width; ++q) {
        const Pair d = load_pair(gradient + std::int64_t{q} * c_all, left);
        FOVEA_UNROLL
        for (int s = 0; s < R; ++s) add(d, s, load(cols.at(q, s)));
      }
    }
  }
  float* to = parts + (std::int64_t{blockIdx.y} * c_all + c) * (R * R) + r * R;
  FOVEA_UNROLL
  for (int s = 0; s < R; ++s) {
    if (have > 0) to[s] = accumulate ? to[s] + sum[s].a : sum[s].a;
    if (have > 1) to[R * R + s] = accumulate ? to[R * R + s] + sum[s].b : sum[s].b;
  }
}

Axis forward_axis(std::int64_t stride, std::int64_t pad, std::int64_t dilation, std::int64_t size) {
  return {static_cast<int>(stride), static_cast<int>(-pad), static_cast<int>(dilation), static_cast<int>(size), FastDivide(1)};
}
/// Pixel i of dx and tap r meet at (i + pad - r dilation) / stride of dy; where taps are taken in reverse, r becomes filter - 1 - r.
Axis gradient_axis(std::int64_t stride, std::int64_t pad, std::int64_t dilation, std::int64_t filter, std::int64_t size) {
  return {1, static_cast<int>(pad - (filter - 1) * dilation), static_cast<int>(dilation), static_cast<int>(size), FastDivide(stride)};
}
bool slides(const Conv2dShape& s) { return s.stride_h == 1 && s.stride_w == 1 && s.dilation_h == 1 && s.dilation_w == 1; }
template <class T> bool in_pairs(std::int64_t c, const void* a, const void* b) {
  return c % 2 == 0 && (reinterpret_cast<std::uintptr_t>(a) | reinterpret_cast<std::uintptr_t>(b)) % (2 * sizeof(T)) == 0;
}
template <class F> void with_filter(std::int64_t r, bool sliding, const F& f) {
  const auto size = [&](auto constant) { sliding ? f(constant, std::true_type{}) : f(constant, std::false_type{}); };
  if (r == 3) size(std::integral_constant<int, 3>{});
  if (r == 5) size(std::integral_constant<int, 5>{});
  if (r == 7) size(std::integral_constant<int, 7>{});
}
template <class T> void run(Cuda be, const DepthwisePass<T>& a, const Conv2dShape& s, const Prologue<T>& p, const Epilogue<T>& e) {
  with_filter(s.r, slides(s), [&](auto filter, auto sliding) {
    constexpr int R = decltype(filter)::value;
    launch(depthwise_kernel<T, R, decltype(sliding)::value>,
           {.grid = {blocks(a.pixels, kStatRows), blocks(s.c, kChannels)},
            .block = {kWarp, kWarps},
            .smem = sizeof(DepthwiseMemory<R>),
            .stream = be.stream},
           a, p, e);
  });
}

/// Lines of y that one block of the weight gradient sums up: enough of them to be worth writing R R sums, blocks enough for a large card.
struct LinePlan {
  std::int64_t lines, slices;
  explicit LinePlan(const Conv2dShape& s) {
    const std::int64_t all = s.n * s.p(), channels = ceil_div(s.c, kChannels);
    slices = std::clamp<std::int64_t>(all / 8, 1, ceil_div(1024, channels));
    lines = std::max<std::int64_t>(1, ceil_div(all, slices));
    slices = std::max<std::int64_t>(1, ceil_div(all, lines));
  }
};

}   // namespace

bool is_depthwise(Cuda, const Conv2dShape& s) { return s.groups == s.c && s.k == s.c && s.r == s.s && (s.r == 3 || s.r == 5 || s.r == 7); }

std::size_t depthwise_workspace_bytes(Cuda, const Conv2dShape& s, ConvProduct product) {
  if (product != ConvProduct::weight_gradient) return 0;
  const LinePlan plan(s);
  return plan.slices > 1 ? static_cast<std::size_t>(plan.slices * s.c * s.r * s.s) * sizeof(float) : 0;
}

template <class T>
void depthwise_forward(Cuda be, const T* x, const T* w, T* y, const Conv2dShape& s, const Prologue<T>& p, const Epilogue<T>& e) {
  if (s.rows() * s.c == 0) return;
  check_sizes(s);
  run(be,
      DepthwisePass<T>{.x = x,
                       .w = w,
                       .y = y,
                       .c = static_cast<int>(s.c),
                       .pixels = static_cast<int>(s.rows()),
                       .pairs = in_pairs<T>(s.c, x, y),
                       .reverse = false,
                       .image = FastDivide(s.p() * s.q()),
                       .line = FastDivide(s.q()),
                       .rows = forward_axis(s.stride_h, s.pad_h, s.dilation_h, s.h),
                       .cols = forward_axis(s.stride_w, s.pad_w, s.dilation_w, s.w)},
      s, p, e);
}

template <class T> void depthwise_input_gradient(Cuda be, const T* dy, const T* w, T* dx, const Conv2dShape& s, bool accumulate) {
  if (s.n * s.h * s.w * s.c == 0) return;
  check_sizes(s);
  run(be,
      DepthwisePass<T>{.x = dy,
                       .w = w,
                       .y = dx,
                       .c = static_cast<int>(s.c),
                       .pixels = static_cast<int>(s.n * s.h * s.w),
                       .pairs = in_pairs<T>(s.c, dy, dx),
                       .reverse = true,
                       .image = FastDivide(s.h * s.w),
                       .line = FastDivide(s.w),
                       .rows = gradient_axis(s.stride_h, s.pad_h, s.dilation_h, s.r, s.p()),
                       .cols = gradient_axis(s.stride_w, s.pad_w, s.dilation_w, s.s, s.q())},
      s, Prologue<T>{}, Epilogue<T>{.accumulate = accumulate});
}

template <class T>
void depthwise_weight_gradient(Cuda be, const T* x, const T* dy, float* dw, const Conv2dShape& s, const Prologue<T>& p, bool accumulate,
                               float* workspace) {
  if (s.c == 0) return;
  check_sizes(s);
  const LinePlan plan(s);
  const bool parts = plan.slices > 1;
  const auto i32 = [](std::int64_t v) { return static_cast<int>(v); };
  with_filter(s.r, slides(s), [&](auto filter, auto sliding) {
    constexpr int R = decltype(filter)::value;
    launch(depthwise_weight_kernel<T, R, decltype(sliding)::value>,
           {.grid = {blocks(s.c, kChannels), blocks(plan.slices, 1)}, .block = {kWarp, R}, .stream = be.stream}, x, dy,
           parts ? workspace : dw, p, forward_axis(s.stride_h, s.pad_h, s.dilation_h, s.h),
           forward_axis(s.stride_w, s.pad_w, s.dilation_w, s.w), FastDivide(s.p()), i32(s.q()), i32(s.c), i32(s.n * s.p()), i32(plan.lines),
           in_pairs<T>(s.c, x, dy), accumulate && !parts);
  });
  if (parts) join_tiles(be, workspace, {1, plan.slices, s.c * s.r * s.s}, StoreSum<float>{dw, accumulate});
}

#define FOVEA_DEPTHWISE_CUDA(T)                                                                                              \
  template void depthwise_forward(Cuda, const T*, const T*, T*, const Conv2dShape&, const Prologue<T>&, const Epilogue<T>&); \
  template void depthwise_input_gradient(Cuda, const T*, const T*, T*, const Conv2dShape&, bool);                            \
  template void depthwise_weight_gradient(Cuda, const T*, const T*, float*, const Conv2dShape&, const Prologue<T>&, bool, float*);
FOVEA_DEPTHWISE_CUDA(float)
FOVEA_DEPTHWISE_CUDA(bfloat16)
#undef FOVEA_DEPTHWISE_CUDA

}   // namespace fovea::kernels
