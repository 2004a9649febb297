// conv2d_cuda.cu: convolution and its gradients as implicit GEMM: one kernel (cuda_product.h), which multiplies what cuda_patches.h points at.
// This file says which for the first two, conv2d_weight_gradient_cuda.cu for the third.
//
//                     rows (m)                    columns (n)    k, in the order of the sum
//   forward           pixels of y                 filters        taps (r, s, c)            patches of x  *  filters
//   input gradient    pixels of dx, of a phase    channels       the phase's (r, s, k)     patches of dy *  filters
//   weight gradient   filters                     (r, s, c)      pixels of y               dy            *  patches of x
//
// With stride t, an input pixel has been seen by every t-th tap only, and which ones depends on its position modulo t: a phase. Each phase
// is a convolution of dy with stride 1 and its own taps: Dumoulin & Visin 2016, "A guide to convolution arithmetic" (arXiv:1603.07285),
// section 4.5, without the zeros. A phase without a tap is 0.
//
// Groups narrower than a tile share one: their filters stand on the diagonal of a matrix whose zeros are not read, and products of 16 x 8 x
// 16 that meet only zeros are left out on tensor cores: with 4 channels and filters a group 4 times the needed products remain, with 8
// twice, with 16 or 32 no more than needed. (An infinity or NaN of a channel reaches groups of its tile: 0 times it is NaN.) A filter a
// channel is no matrix product: conv2d_depthwise_cuda.cu. Three colours become four: cuda_colours.h.
//
// Cost: 2 rows() k taps() operations for each product, on tensor cores for bfloat16; x, w and y move once through memory, and through the
// second-level cache as often as cuda_product.h says. With a prologue in bfloat16, x' is rounded to bfloat16 before it is multiplied.
#include "kernels/conv2d.h"

#include <algorithm>
#include <numeric>

#include "kernels/conv2d_depthwise.h"
#include "kernels/cuda_colours.h"
#include "kernels/cuda_patches.h"

namespace fovea::kernels {
namespace {

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
    taps = ceil_div(filter - first_tap, tap_step);
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
      const std::int64_t h = ceil_div(s.h - a, s.stride_h), width = ceil_div(s.w - b, s.stride_w);
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

}   // namespace

template <class T>
void conv2d_forward(Cuda be, const T* x, const T* w, T* y, const Conv2dShape& s, const Prologue<T>& p, const Epilogue<T>& e,
                    void* workspace) {
  if (is_depthwise(be, s)) return depthwise_forward(be, x, w, y, s, p, e);
  if (!has_colours(s) || !p.empty()) return forward(be, x, w, y, s, p, e);
  T* x4 = static_cast<T*>(workspace);
  T* w4 = x4 + bytes_of_fours<T>(s.n * s.h * s.w) / sizeof(T);
  widen_colours(be, x, x4, s.n * s.h * s.w);
  widen_colours(be, w, w4, s.k * s.r * s.s);
  forward<T>(be, x4, w4, y, with_four_colours(s), p, e);
}
template <class T> void conv2d_input_gradient(Cuda be, const T* dy, const T* w, T* dx, const Conv2dShape& s, bool accumulate, void*) {
  if (is_depthwise(be, s)) return depthwise_input_gradient(be, dy, w, dx, s, accumulate);
  input_gradient(be, dy, w, dx, s, accumulate);
}

#define FOVEA_CONV2D_CUDA(T)                                                                                                     \
  template void conv2d_forward(Cuda, const T*, const T*, T*, const Conv2dShape&, const Prologue<T>&, const Epilogue<T>&, void*); \
  template void conv2d_input_gradient(Cuda, const T*, const T*, T*, const Conv2dShape&, bool, void*);
FOVEA_CONV2D_CUDA(float)
FOVEA_CONV2D_CUDA(bfloat16)
#undef FOVEA_CONV2D_CUDA

}   // namespace fovea::kernels
