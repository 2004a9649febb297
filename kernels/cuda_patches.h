// cuda_patches.h: what a convolution's three products multiply, as sources and outputs of cuda_product.h: where the numbers of a row of
// the im2col matrix lie, which nobody ever builds; and the weights, of one group, or of several side by side.
#pragma once

#include "kernels/conv2d.h"
#include "kernels/cuda_product.h"

namespace fovea::kernels {

/// Rows in memory, `step` elements apart, `length` long.
template <class T> struct Rows {
  const T* p;
  std::int64_t step;
  int rows, length;
  std::int64_t group_step = 0;

  struct Line {
    const T* p;   // null: beyond the last
  };
  using Place = int;   // < 0: beyond the end
  __device__ __forceinline__ void select(int group) { p += group * group_step; }
  __device__ __forceinline__ Line line(int i) const { return {i < rows ? p + i * step : nullptr}; }
  __device__ __forceinline__ Place place(int i) const { return i < length ? i : -1; }
  __device__ __forceinline__ const T* at(Line l, Place i) const { return l.p && i >= 0 ? l.p + i : nullptr; }
  __device__ __forceinline__ int channel(Place i) const { return i; }
};

/// Lines are output pixels (image, i, j), places are (r, s, c): x[image, i stride_h + start_h + r step_h, .., c], and 0 outside of x.
template <class T> struct Patches {
  const T* x;   // (images, h, w, pixel_step)
  int h, w, pixel_step;
  int stride_h, stride_w, start_h, start_w, step_h, step_w;
  int pixels, taps;              // lines, and places
  FastDivide image, row;         // by output pixels of an image and of a row
  FastDivide channels, taps_s;   // by places of a tap, and by taps of a row of taps
  std::int64_t group_step = 0;

  struct Line {
    const T* image;   // null: beyond the last
    int h, w;
  };
  struct Place {
    int h, w, channel;   // channel < 0: beyond the last
  };
  __device__ __forceinline__ void select(int group) { x += group * group_step; }
  __device__ __forceinline__ Line line(int at) const {
    const int n = image(at), rest = at - n * image.divisor(), i = row(rest), j = rest - i * row.divisor();
    return {at < pixels ? x + n * (std::int64_t{h} * w * pixel_step) : nullptr, i * stride_h + start_h, j * stride_w + start_w};
  }
  __device__ __forceinline__ Place place(int at) const {
    const int tap = channels(at), r = taps_s(tap), s = tap - r * taps_s.divisor();
    return {r * step_h, s * step_w, at < taps ? at - tap * channels.divisor() : -1};
  }
  __device__ __forceinline__ const T* at(const Line& l, const Place& p) const {
    const int y = l.h + p.h, z = l.w + p.w;
    const bool inside = l.image && p.channel >= 0 && y >= 0 && y < h && z >= 0 && z < w;
    return inside ? l.image + (std::int64_t{y} * w + z) * pixel_step + p.channel : nullptr;
  }
  __device__ __forceinline__ int channel(const Place& p) const { return p.channel; }
};

/// Channels of `groups` groups side by side, as if they were one: the weights between different groups are zeros that nobody reads.
struct Diagonal {
  FastDivide in, out;   // by a group's input and output channels
};

/// Weights of the forward product: lines are filters, places (r, s, c) with c counted through all groups of the tile.
template <class T> struct DiagonalFilters {
  const T* w;                  // (k, taps, c / groups)
  int filters, taps, taps_c;   // taps_c: weights of a filter
  FastDivide all_in;           // by places of a tap
  Diagonal groups;
  std::int64_t group_step = 0;

  struct Line {
    const T* p;
    int first;   // of the filter's own channels
  };
  struct Place {
    int tap, channel;
  };
  __device__ __forceinline__ void select(int group) { w += group * group_step; }
  __device__ __forceinline__ Line line(int k) const {
    return {k < filters ? w + std::int64_t{k} * taps_c : nullptr, groups.out(k) * groups.in.divisor()};
  }
  __device__ __forceinline__ Place place(int i) const {
    const int tap = all_in(i);
    return {tap, tap < taps ? i - tap * all_in.divisor() : -1};
  }
  __device__ __forceinline__ const T* at(const Line& l, const Place& p) const {
    const int own = p.channel - l.first;
    return l.p && p.channel >= 0 && own >= 0 && own < groups.in.divisor() ? l.p + p.tap * groups.in.divisor() + own : nullptr;
  }
  __device__ __forceinline__ int channel(const Place& p) const { return p.channel; }
};

/// Weights of the input gradient's product: lines are (r, s, k) of one phase's taps, places input channels. One group or several.
template <class T> struct PhaseFilters {
  const T* w;                             // (k, r, s, c / groups)
  int lines, taps_c;                      // taps_c: weights of a filter
  int width;                              // s: taps in a row of the whole filter
  int first_r, first_s, step_r, step_s;   // the phase's
  FastDivide all_out, phase_s;            // by k of all groups, and by the phase's taps in a row
  Diagonal groups;
  std::int64_t group_step = 0;

  struct Line {
    const T* p;
    int first;   // input channel of its group
  };
  using Place = int;
  __device__ __forceinline__ void select(int group) { w += group * group_step; }
  __device__ __forceinline__ Line line(int i) const {
    const int tap = all_out(i), k = i - tap * all_out.divisor(), r = phase_s(tap), s = tap - r * phase_s.divisor();
    const int at = (first_r + r * step_r) * width + first_s + s * step_s;
    return {i < lines ? w + std::int64_t{k} * taps_c + at * groups.in.divisor() : nullptr, groups.out(k) * groups.in.divisor()};
  }
  __device__ __forceinline__ Place place(int c) const { return c; }
  __device__ __forceinline__ const T* at(const Line& l, Place c) const {
    const int own = c - l.first;
    return l.p && own >= 0 && own < groups.in.divisor() ? l.p + own : nullptr;
  }
  __device__ __forceinline__ int channel(Place c) const { return c; }
};

/// Is anything of these 8 columns and 16 places of k in one group? (Channels that are no multiple of 16: always, they straddle.)
struct SameGroup {
  FastDivide n, k, all_k;   // by a group's columns, by its places of k, and by places of a tap
  __device__ __forceinline__ bool operator()(int, int col, int at) const {
    if (all_k.divisor() % 16 != 0) return true;
    const int place = at - all_k(at) * all_k.divisor();
    return n(col) <= k(place + 15) && k(place) <= n(col + 7);
  }
};
/// The same for the weight gradient: 16 rows, which are filters, and 8 columns, which are places (r, s, c).
struct SameGroupOfWeights {
  FastDivide out, in, all_in;
  __device__ __forceinline__ bool operator()(int row, int col, int) const {
    if (all_in.divisor() % 8 != 0) return true;
    const int place = col - all_in(col) * all_in.divisor();
    return out(row) <= in(place + 7) && in(place) <= out(row + 15);
  }
};

// ---- outputs --------------------------------------------------------------------------------------------------------------------------------

/// Rows of C are `step` elements apart.
template <class TC> struct RowOutput : Target<TC> {
  std::int64_t step;
  __device__ __forceinline__ std::int64_t offset(int line, int place) const { return line * step + place; }
};
/// Rows of C are pixels (image, i, j) of a grid with gaps.
template <class TC> struct PixelOutput : Target<TC> {
  FastDivide image, row;
  std::int64_t image_step, row_step, pixel_step;
  __device__ __forceinline__ std::int64_t offset(int line, int place) const {
    const int b = image(line), rest = line - b * image.divisor(), i = row(rest), j = rest - i * row.divisor();
    return b * image_step + i * row_step + j * pixel_step + place;
  }
};
/// The weight gradient of several groups: rows are filters, columns places (r, s, c) with c through all groups; a filter's own ones count.
template <class TC> struct DiagonalOutput : Target<TC> {
  std::int64_t step;   // weights of a filter
  FastDivide all_in;
  Diagonal groups;
  __device__ __forceinline__ std::int64_t offset(int line, int place) const {
    const int tap = all_in(place), own = place - tap * all_in.divisor() - groups.out(line) * groups.in.divisor();
    return own >= 0 && own < groups.in.divisor() ? line * step + tap * groups.in.divisor() + own : -1;
  }
};

// ---- on the host: how a shape is tiled -----------------------------------------------------------------------------------------------------

/// The groups that share a tile: they divide the number of groups, and their filters and channels fit 64 columns.
inline std::int64_t groups_of_a_tile(const Conv2dShape& s) {
  std::int64_t best = 1;
  for (std::int64_t t = 2; t <= s.groups; ++t)
    if (s.groups % t == 0 && t * (s.k / s.groups) <= 64 && t * (s.c / s.groups) <= 64) best = t;
  return best;
}
/// The shape with so many groups as one, and how its channels divide into groups again.
struct Tiling {
  std::int64_t together, groups, cg, kg;   // groups of a tile, tiles' groups; channels and filters of one of those
  Diagonal diagonal;
  explicit Tiling(const Conv2dShape& s)
      : together(groups_of_a_tile(s)),
        groups(s.groups / together),
        cg(s.c / groups),
        kg(s.k / groups),
        diagonal{FastDivide(s.c / s.groups), FastDivide(s.k / s.groups)} {}
};

/// Neighbours that one copy may take: they divide both runs and all addresses are multiples of them.
template <class T> int neighbours(std::int64_t run_a, std::int64_t run_b, const void* a, const void* b) {
  for (int v : {16 / static_cast<int>(sizeof(T)), 4}) {
    const std::uintptr_t addresses = reinterpret_cast<std::uintptr_t>(a) | reinterpret_cast<std::uintptr_t>(b);
    if (run_a % v == 0 && run_b % v == 0 && addresses % (static_cast<std::size_t>(v) * sizeof(T)) == 0) return v;
  }
  return 1;
}
template <class T> bool in_fours(std::int64_t n, const void* a, const void* b = nullptr) {
  return n % 4 == 0 && (reinterpret_cast<std::uintptr_t>(a) | reinterpret_cast<std::uintptr_t>(b)) % (4 * sizeof(T)) == 0;
}

inline void check_sizes(const Conv2dShape& s) {   // numbers of pixels, taps and tiles are 32 bits
  constexpr std::int64_t limit = 0x7fffffff - 4096;
  if (s.rows() > limit || s.n * s.h * s.w > limit || s.r * s.s * s.k > limit || s.r * s.s * s.c > limit || s.c > limit)
    throw std::length_error("conv2d on CUDA: expected fewer than 2^31 pixels and taps, got " + std::to_string(s.rows()) + " pixels of y, " +
                            std::to_string(s.n * s.h * s.w) + " of x, " + std::to_string(s.r * s.s * s.c) + " taps");
}

template <class T> Patches<T> forward_patches(const T* x, const Conv2dShape& s, const Tiling& t) {
  const auto i = [](std::int64_t v) { return static_cast<int>(v); };
  return {.x = x,
          .h = i(s.h),
          .w = i(s.w),
          .pixel_step = i(s.c),
          .stride_h = i(s.stride_h),
          .stride_w = i(s.stride_w),
          .start_h = i(-s.pad_h),
          .start_w = i(-s.pad_w),
          .step_h = i(s.dilation_h),
          .step_w = i(s.dilation_w),
          .pixels = i(s.rows()),
          .taps = i(s.r * s.s * t.cg),
          .image = FastDivide(s.p() * s.q()),
          .row = FastDivide(s.q()),
          .channels = FastDivide(t.cg),
          .taps_s = FastDivide(s.s),
          .group_step = t.cg};
}

/// One product: the kernel for tiles of M x N, the grid that covers it.
template <class T, Major a_major, Major b_major, bool prologue_on_a, int M, int N, int V, class A, class B, class Output, class TC,
          class Wants>
void multiply_tiles(Cuda be, const A& a, const B& b, const Output& out, ProductGrid grid, std::int64_t repeats, const Prologue<T>& p,
                    const Epilogue<TC>& e, const Wants& wants) {
  const std::int64_t tiles_n = ceil_div(out.n, N), tiles = ceil_div(out.m, M) * tiles_n;
  const unsigned all = blocks(tiles * repeats, 1);
  grid.tiles = FastDivide(tiles), grid.tiles_n = FastDivide(tiles_n);
  launch(product_kernel<T, a_major, b_major, M, N, V, prologue_on_a, A, B, Output, TC, Wants>,
         {.grid = all, .block = kProductThreads, .smem = sizeof(ProductMemory<T, a_major, b_major, M, N>), .stream = be.stream}, a, b, out,
         grid, p, e, wants);
}

/// f(V) for the V that `neighbours` gave.
template <class T, class F> void with_neighbours(int v, const F& f) {
  if constexpr (sizeof(T) == 2)
    if (v == 8) return f(std::integral_constant<int, 8>{});
  if (v == 4) return f(std::integral_constant<int, 4>{});
  f(std::integral_constant<int, 1>{});
}
/// Tiles of 128 columns, where those of 64 would leave as many idle.
inline bool wide(std::int64_t n) { return 2 * ceil_div(n, 128) == ceil_div(n, 64); }

}   // namespace fovea::kernels
