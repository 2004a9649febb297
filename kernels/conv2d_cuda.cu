// conv2d_cuda.cu: convolution and its gradients as implicit GEMM: one kernel (cuda_product.h), which multiplies what cuda_patches.h points at.
// This file says which.
//
//                     rows (m)                    columns (n)    k, in the order of the sum
//   forward           pixels of y                 filters        taps (r, s, c)            patches of x  *  filters
//   input gradient    pixels of dx, of a phase    channels       the phase's (r, s, k)     patches of dy *  filters
//   weight gradient   filters                     (r, s, c)      pixels of y, in slices    dy            *  patches of x
//
// With stride t, an input pixel has been seen by every t-th tap only, and which ones depends on its position modulo t: a phase. Each phase
// is a convolution of dy with stride 1 and its own taps: Dumoulin & Visin 2016, "A guide to convolution arithmetic" (arXiv:1603.07285),
// section 4.5, without the zeros. A phase without a tap is 0.
//
// A weight gradient has few outputs and a long sum, so k is cut in slices, as many as fill a large card whatever card it is; a second
// kernel adds their results in order. Groups narrower than a tile share one: their filters stand on the diagonal of a matrix whose zeros
// are not read, and products of 16 x 8 x 16 that meet only zeros are left out. (An infinity or NaN of a channel reaches those groups that
// share its product: 0 times it is NaN.)
//
// Cost: 2 rows() k taps() operations for each product, on tensor cores for bfloat16; x, w and y move once through memory, and through the
// second-level cache as often as cuda_product.h says. With a prologue in bfloat16, x' is rounded to bfloat16 before it is multiplied.
#include "kernels/conv2d.h"

#include <algorithm>
#include <numeric>

#include "kernels/cuda_patches.h"

namespace fovea::kernels {
namespace {

constexpr std::int64_t kBlocksToFill = 512;   // a few for each multiprocessor of a large card
constexpr std::int64_t kSliceRows = 512;      // pixels of a slice, at least: beneath, writing it costs more than it brings

/// The groups that share a tile: they divide the number of groups, and their filters and channels fit 64 columns.
std::int64_t groups_of_a_tile(const Conv2dShape& s) {
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

void check_sizes(const Conv2dShape& s) {   // numbers of pixels, taps and tiles are 32 bits
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
  const unsigned tiles_n = blocks(out.n, N);
  grid.tiles_n = FastDivide(tiles_n);
  launch(product_kernel<T, a_major, b_major, M, N, V, prologue_on_a, A, B, Output, TC, Wants>,
         {.grid = {blocks(std::int64_t{blocks(out.m, M)} * tiles_n, 1), blocks(repeats, 1)},
          .block = kProductThreads,
          .smem = sizeof(ProductMemory<T, a_major, b_major, M, N>),
          .stream = be.stream},
         a, b, out, grid, p, e, wants);
}

/// f(V) for the V that `neighbours` gave.
template <class T, class F> void with_neighbours(int v, const F& f) {
  if constexpr (sizeof(T) == 2)
    if (v == 8) return f(std::integral_constant<int, 8>{});
  if (v == 4) return f(std::integral_constant<int, 4>{});
  f(std::integral_constant<int, 1>{});
}
/// Tiles of 128 columns, where those of 64 would leave as many idle.
bool wide(std::int64_t n) { return (n + 127) / 128 * 2 == (n + 63) / 64; }

/// Rows are pixels: tiles of kStatRows of them.
template <class T, Major b_major, class A, class B, class Output, class Wants>
void multiply_pixels(Cuda be, const A& a, const B& b, const Output& out, const ProductGrid& grid, int v, const Prologue<T>& p,
                     const Epilogue<T>& e, const Wants& wants) {
  constexpr int kM = static_cast<int>(kStatRows);
  with_neighbours<T>(v, [&](auto neighbours) {
    constexpr int kV = decltype(neighbours)::value;
    const std::int64_t repeats = grid.groups.divisor();
    if constexpr (kV == 8 && std::is_same_v<Wants, Dense>)
      if (wide(out.n)) return multiply_tiles<T, Major::k, b_major, true, kM, 128, kV>(be, a, b, out, grid, repeats, p, e, wants);
    multiply_tiles<T, Major::k, b_major, true, kM, 64, kV>(be, a, b, out, grid, repeats, p, e, wants);
  });
}

template <class T> void forward(Cuda be, const T* x, const T* w, T* y, const Conv2dShape& s, const Prologue<T>& p, const Epilogue<T>& e) {
  if (s.rows() == 0 || s.k == 0) return;
  check_sizes(s);
  const Tiling t(s);
  const int m = static_cast<int>(s.rows()), kg = static_cast<int>(t.kg), taps = static_cast<int>(s.r * s.s);
  const int v = neighbours<T>(s.c / s.groups, s.c, x, w);
  RowOutput<T> out;
  out.c = y, out.m = m, out.n = kg, out.vector = in_fours<T>(t.kg, y, e.residual) && s.k % 4 == 0;
  out.group_step = t.kg, out.partials_n = s.k, out.group_channels = kg, out.step = s.k;
  const Patches<T> patches = forward_patches(x, s, t);
  const ProductGrid grid{
      .groups = FastDivide(t.groups), .k = patches.taps, .slice_k = patches.taps, .prologue_channels = static_cast<int>(t.cg)};
  if (t.together == 1) {
    const Rows<T> filters{.p = w, .step = s.taps(), .rows = kg, .length = patches.taps, .group_step = t.kg * s.taps()};
    multiply_pixels<T, Major::k>(be, patches, filters, out, grid, v, p, e, Dense{});
  } else {
    const DiagonalFilters<T> filters{.w = w,
                                     .filters = kg,
                                     .taps = taps,
                                     .taps_c = static_cast<int>(s.taps()),
                                     .all_in = FastDivide(t.cg),
                                     .groups = t.diagonal,
                                     .group_step = t.kg * s.taps()};
    multiply_pixels<T, Major::k>(be, patches, filters, out, grid, v, p, e, SameGroup{t.diagonal.out, t.diagonal.in, FastDivide(t.cg)});
  }
}

/// The taps r that pixels a, a + stride, a + 2 stride, ... of dx have been seen through, and by which pixels of dy. One axis.
struct PhaseAxis {
  std::int64_t first_tap = 0, tap_step, taps = 0;   // r = first_tap + u tap_step
  std::int64_t start = 0, step;                     // pixel a + i stride has been seen by pixel i + start + u step of dy
  PhaseAxis(std::int64_t a, std::int64_t stride, std::int64_t pad, std::int64_t dilation, std::int64_t filter)
      : tap_step(stride / std::gcd(stride, dilation)), step(-tap_step * dilation / stride) {
    while (first_tap < filter && (a + pad - first_tap * dilation) % stride != 0)
      ++first_tap;   // i stride + a + pad - r dilation = p stride
    if (first_tap >= filter) return;
    taps = (filter - first_tap + tap_step - 1) / tap_step;
    start = (a + pad - first_tap * dilation) / stride;
  }
};

template <class T> void input_gradient(Cuda be, const T* dy, const T* w, T* dx, const Conv2dShape& s, bool accumulate) {
  if (s.n * s.h * s.w * s.c == 0) return;
  check_sizes(s);
  const auto i32 = [](std::int64_t v) { return static_cast<int>(v); };
  const Tiling t(s);
  const int v = neighbours<T>(s.c / s.groups, s.k / s.groups, dy, w);
  for (std::int64_t a = 0; a < std::min(s.stride_h, s.h); ++a)
    for (std::int64_t b = 0; b < std::min(s.stride_w, s.w); ++b) {
      const PhaseAxis rows(a, s.stride_h, s.pad_h, s.dilation_h, s.r), cols(b, s.stride_w, s.pad_w, s.dilation_w, s.s);
      const std::int64_t h = (s.h - a + s.stride_h - 1) / s.stride_h, width = (s.w - b + s.stride_w - 1) / s.stride_w;
      const std::int64_t taps = s.rows() > 0 ? rows.taps * cols.taps * t.kg : 0;
      if (taps == 0 && accumulate) continue;
      const Patches<T> patches{.x = dy,
                               .h = i32(s.p()),
                               .w = i32(s.q()),
                               .pixel_step = i32(s.k),
                               .stride_h = 1,
                               .stride_w = 1,
                               .start_h = i32(rows.start),
                               .start_w = i32(cols.start),
                               .step_h = i32(rows.step),
                               .step_w = i32(cols.step),
                               .pixels = i32(s.n * h * width),
                               .taps = i32(taps),
                               .image = FastDivide(h * width),
                               .row = FastDivide(width),
                               .channels = FastDivide(t.kg),
                               .taps_s = FastDivide(cols.taps),
                               .group_step = t.kg};
      const PhaseFilters<T> filters{.w = w,
                                    .lines = i32(taps),
                                    .taps_c = i32(s.taps()),
                                    .width = i32(s.s),
                                    .first_r = i32(rows.first_tap),
                                    .first_s = i32(cols.first_tap),
                                    .step_r = i32(rows.tap_step),
                                    .step_s = i32(cols.tap_step),
                                    .all_out = FastDivide(t.kg),
                                    .phase_s = FastDivide(cols.taps),
                                    .groups = t.diagonal,
                                    .group_step = t.kg * s.taps()};
      PixelOutput<T> out;
      out.c = dx + (a * s.w + b) * s.c, out.m = patches.pixels, out.n = i32(t.cg);
      out.vector = in_fours<T>(t.cg, dx) && s.c % 4 == 0, out.group_step = t.cg;
      out.image = patches.image, out.row = patches.row;
      out.image_step = s.h * s.w * s.c, out.row_step = s.stride_h * s.w * s.c, out.pixel_step = s.stride_w * s.c;
      const ProductGrid grid{.groups = FastDivide(t.groups), .k = patches.taps, .slice_k = patches.taps};
      const Epilogue<T> e{.accumulate = accumulate};
      if (t.together == 1)
        multiply_pixels<T, Major::line>(be, patches, filters, out, grid, v, {}, e, Dense{});
      else
        multiply_pixels<T, Major::line>(be, patches, filters, out, grid, v, {}, e,
                                        SameGroup{t.diagonal.in, t.diagonal.out, FastDivide(t.kg)});
    }
}

/// How the sum over pixels is cut, and in which tiles: by the shape alone.
struct SlicePlan {
  std::int64_t tile, slices, slice_rows;
  explicit SlicePlan(const Conv2dShape& s, bool eights) {
    const Tiling t(s);
    const std::int64_t taps = s.r * s.s * t.cg;
    tile = eights && t.together == 1 && wide(t.kg) && wide(taps) ? 128 : 64;
    const std::int64_t tiles = std::max<std::int64_t>(1, (t.kg + tile - 1) / tile * ((taps + tile - 1) / tile) * t.groups);
    slices = std::clamp<std::int64_t>(s.rows() / kSliceRows, 1, (kBlocksToFill + tiles - 1) / tiles);
    slice_rows = ((s.rows() + slices - 1) / slices + 31) / 32 * 32;   // whole steps of the pipeline
    slices = std::max<std::int64_t>(1, (s.rows() + slice_rows - 1) / slice_rows);
  }
};
template <class T> bool eight_neighbours(const Conv2dShape& s) {
  return sizeof(T) == 2 && s.c / s.groups % 8 == 0 && s.k / s.groups % 8 == 0;
}

/// dw = sum over slices, in order (+ dw).
__global__ void add_slices_kernel(const float* __restrict__ parts, float* __restrict__ dw, std::int64_t n, int slices, bool accumulate) {
  const std::int64_t i = blockIdx.x * std::int64_t{256} + threadIdx.x;
  if (i >= n) return;
  float sum = 0;
  for (int slice = 0; slice < slices; ++slice) sum += parts[slice * n + i];
  dw[i] = accumulate ? dw[i] + sum : sum;
}

template <class T>
void weight_gradient(Cuda be, const T* x, const T* dy, float* dw, const Conv2dShape& s, const Prologue<T>& p, bool accumulate,
                     float* workspace) {
  const std::int64_t weights = s.k * s.taps();
  if (weights == 0) return;
  check_sizes(s);
  const Tiling t(s);
  const SlicePlan plan(s, eight_neighbours<T>(s));
  const bool parts = plan.slices > 1;
  const int v = neighbours<T>(s.c / s.groups, s.k / s.groups, x, dy);
  const Patches<T> patches = forward_patches(x, s, t);
  const Rows<T> gradients{.p = dy, .step = s.k, .rows = static_cast<int>(s.rows()), .length = static_cast<int>(t.kg), .group_step = t.kg};
  const auto multiply = [&](auto out, const auto& wants) {
    out.c = parts ? workspace : dw, out.m = static_cast<int>(t.kg), out.n = patches.taps;
    out.vector = in_fours<float>(s.c / s.groups, out.c), out.group_step = t.kg * s.taps(), out.slice_step = weights, out.step = s.taps();
    const ProductGrid grid{.groups = FastDivide(t.groups),
                           .k = static_cast<int>(s.rows()),
                           .slice_k = static_cast<int>(plan.slice_rows),
                           .prologue_channels = static_cast<int>(t.cg)};
    const Epilogue<float> e{.accumulate = accumulate && !parts};
    const std::int64_t repeats = t.groups * plan.slices;
    with_neighbours<T>(v, [&](auto neighbours) {
      constexpr int kV = decltype(neighbours)::value;
      if constexpr (kV == 8)
        if (plan.tile == 128)
          return multiply_tiles<T, Major::line, Major::line, false, 128, 128, kV>(be, gradients, patches, out, grid, repeats, p, e, wants);
      multiply_tiles<T, Major::line, Major::line, false, 64, 64, kV>(be, gradients, patches, out, grid, repeats, p, e, wants);
    });
  };
  if (t.together == 1) {
    multiply(RowOutput<float>{}, Dense{});
  } else {
    DiagonalOutput<float> out;
    out.all_in = FastDivide(t.cg), out.groups = t.diagonal;
    multiply(out, SameGroupOfWeights{t.diagonal.out, t.diagonal.in, FastDivide(t.cg)});
  }
  if (parts)
    launch(add_slices_kernel, {.grid = blocks(weights, 256), .block = 256, .stream = be.stream}, static_cast<const float*>(workspace), dw,
           weights, static_cast<int>(plan.slices), accumulate);
}

}   // namespace

template <class T> std::size_t conv2d_workspace_bytes(Cuda, const Conv2dShape& s, ConvProduct product) {
  if (product != ConvProduct::weight_gradient) return 0;
  const SlicePlan plan(s, eight_neighbours<T>(s));
  return plan.slices > 1 ? static_cast<std::size_t>(plan.slices * s.k * s.taps()) * sizeof(float) : 0;
}

template <class T>
void conv2d_forward(Cuda be, const T* x, const T* w, T* y, const Conv2dShape& s, const Prologue<T>& p, const Epilogue<T>& e, void*) {
  forward(be, x, w, y, s, p, e);
}
template <class T> void conv2d_input_gradient(Cuda be, const T* dy, const T* w, T* dx, const Conv2dShape& s, bool accumulate, void*) {
  input_gradient(be, dy, w, dx, s, accumulate);
}
template <class T>
void conv2d_weight_gradient(Cuda be, const T* x, const T* dy, acc_t<T>* dw, const Conv2dShape& s, const Prologue<T>& p, bool accumulate,
                            void* workspace) {
  weight_gradient(be, x, dy, dw, s, p, accumulate, static_cast<float*>(workspace));
}

#define FOVEA_CONV2D_CUDA(T)                                                                                                     \
  template std::size_t conv2d_workspace_bytes<T>(Cuda, const Conv2dShape&, ConvProduct);                                         \
  template void conv2d_forward(Cuda, const T*, const T*, T*, const Conv2dShape&, const Prologue<T>&, const Epilogue<T>&, void*); \
  template void conv2d_input_gradient(Cuda, const T*, const T*, T*, const Conv2dShape&, bool, void*);                            \
  template void conv2d_weight_gradient(Cuda, const T*, const T*, acc_t<T>*, const Conv2dShape&, const Prologue<T>&, bool, void*);
FOVEA_CONV2D_CUDA(float)
FOVEA_CONV2D_CUDA(bfloat16)
#undef FOVEA_CONV2D_CUDA

}   // namespace fovea::kernels
