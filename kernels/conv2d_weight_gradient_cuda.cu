// conv2d_weight_gradient_cuda.cu: dw (k, (r, s, c)) = sum over pixels of dy (pixel, k) x' (pixel, (r, s, c)), as implicit GEMM: both operands
// have k of the product, the pixels, as their lines, so ldmatrix transposes both.
//
// There are few outputs and a long sum, so it is cut in slices, as many as fill a large card whatever card it is; cuda_join.h adds their
// results in order: 4 (slices + 1) bytes a weight beside what conv2d_cuda.cu says.
#include <algorithm>

#include "kernels/conv2d_depthwise.h"
#include "kernels/cuda_colours.h"
#include "kernels/cuda_join.h"
#include "kernels/cuda_patches.h"

namespace fovea::kernels {
namespace {

constexpr std::int64_t kBlocksToFill = 512;   // a few for each multiprocessor of a large card
constexpr std::int64_t kSliceRows = 512;      // pixels of a slice, at least: it then reads four times what it writes, or more

/// How the sum over pixels is cut, and in which tiles: by the shape alone.
struct SlicePlan {
  std::int64_t tile, slices, slice_rows;
  explicit SlicePlan(const Conv2dShape& s, bool eights) {
    const Tiling t(s);
    const std::int64_t taps = s.r * s.s * t.cg;
    tile = eights && t.together == 1 && wide(t.kg) && wide(taps) ? 128 : 64;
    const std::int64_t tiles = std::max<std::int64_t>(1, ceil_div(t.kg, tile) * ceil_div(taps, tile) * t.groups);
    slices = std::clamp<std::int64_t>(s.rows() / kSliceRows, 1, ceil_div(kBlocksToFill, tiles));
    slice_rows = std::max<std::int64_t>(32, ceil_div(s.rows(), slices * 32) * 32);   // whole steps of the pipeline
    slices = std::max<std::int64_t>(1, ceil_div(s.rows(), slice_rows));
  }
};
template <class T> bool eight_neighbours(const Conv2dShape& s) {
  return sizeof(T) == 2 && s.c / s.groups % 8 == 0 && s.k / s.groups % 8 == 0;
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
      if constexpr (kV == 8 && std::is_same_v<std::decay_t<decltype(wants)>, Dense>)
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
  if (parts) join_tiles(be, workspace, {1, plan.slices, weights}, StoreSum<float>{dw, accumulate});
}

}   // namespace

template <class T> std::size_t conv2d_workspace_bytes(Cuda be, const Conv2dShape& s, ConvProduct product) {
  if (is_depthwise(be, s)) return depthwise_workspace_bytes(be, s, product);
  if (has_colours(s) && product != ConvProduct::input_gradient) {
    const std::size_t pictures = bytes_of_fours<T>(s.n * s.h * s.w), weights = s.k * s.r * s.s;
    if (product == ConvProduct::forward) return pictures + bytes_of_fours<T>(weights);
    return pictures + bytes_of_fours<float>(weights) + conv2d_workspace_bytes<T>(be, with_four_colours(s), product);
  }
  if (product != ConvProduct::weight_gradient) return 0;
  const SlicePlan plan(s, eight_neighbours<T>(s));
  return plan.slices > 1 ? static_cast<std::size_t>(plan.slices * s.k * s.taps()) * sizeof(float) : 0;
}
template <class T>
void conv2d_weight_gradient(Cuda be, const T* x, const T* dy, acc_t<T>* dw, const Conv2dShape& s, const Prologue<T>& p, bool accumulate,
                            void* workspace) {
  if (is_depthwise(be, s)) return depthwise_weight_gradient(be, x, dy, dw, s, p, accumulate, static_cast<float*>(workspace));
  if (!has_colours(s) || !p.empty()) return weight_gradient(be, x, dy, dw, s, p, accumulate, static_cast<float*>(workspace));
  const std::int64_t pixels = s.n * s.h * s.w, weights = s.k * s.r * s.s;
  T* x4 = static_cast<T*>(workspace);
  float* dw4 = reinterpret_cast<float*>(x4 + bytes_of_fours<T>(pixels) / sizeof(T));
  widen_colours(be, x, x4, pixels);
  weight_gradient<T>(be, x4, dy, dw4, with_four_colours(s), p, false, dw4 + 4 * weights);
  narrow_colours<float>(be, dw4, dw, weights, accumulate);
}

#define FOVEA_CONV2D_CUDA(T)                                                             \
  template std::size_t conv2d_workspace_bytes<T>(Cuda, const Conv2dShape&, ConvProduct); \
  template void conv2d_weight_gradient(Cuda, const T*, const T*, acc_t<T>*, const Conv2dShape&, const Prologue<T>&, bool, void*);
FOVEA_CONV2D_CUDA(float)
FOVEA_CONV2D_CUDA(bfloat16)
#undef FOVEA_CONV2D_CUDA

}   // namespace fovea::kernels
