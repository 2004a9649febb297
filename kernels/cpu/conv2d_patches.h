// conv2d_patches.h: which pixels a convolution and its input gradient multiply, for dense, grouped and depthwise kernels alike.
//
// dx is a convolution of dy with the taps in reverse order. With a stride, the input pixels of each phase (row and column
// modulo the stride) see a subset of the taps of their own: one stride-1 convolution of dy each.
#pragma once

#include "kernels/conv2d.h"
#include "kernels/cpu/implicit_gemm.h"

namespace fovea::kernels::FOVEA_ISA {
namespace {

/// What the outputs of a convolution see of x; of one group.
template <class T> Patches<T> forward_patches(const T* x, const Conv2dShape& s, const Prologue<T>& pro) {
  return {.x = x,
          .h = s.h,
          .w = s.w,
          .c = s.c / s.groups,
          .pixel = s.c,
          .images = s.n,
          .p = s.p(),
          .q = s.q(),
          .step_h = s.stride_h,
          .step_w = s.stride_w,
          .h0 = -s.pad_h,
          .w0 = -s.pad_w,
          .tap_h = s.dilation_h,
          .tap_w = s.dilation_w,
          .r = s.r,
          .s = s.s,
          .scale = pro.scale,
          .shift = pro.shift,
          .activation = pro.activation};
}

/// Along one axis, the taps that reach input pixels = phase (mod stride): r = last, last - step, ... (count of them), which
/// see the outputs p = i + first, i + first + reach, ... for the i-th such pixel.
struct PhaseTaps {
  std::int64_t count, last, step, first, reach;
};
FOVEA_INLINE PhaseTaps phase_taps(std::int64_t phase, std::int64_t kernel, std::int64_t stride, std::int64_t pad, std::int64_t dilation) {
  PhaseTaps t{.count = 0, .last = 0, .step = 0, .first = 0, .reach = 1};
  std::int64_t next = -1;   // the second largest
  for (std::int64_t r = kernel - 1; r >= 0; --r) {
    if ((phase + pad - r * dilation) % stride != 0) continue;
    if (t.count == 0) t.last = r;
    if (t.count == 1) next = r;
    ++t.count;
  }
  if (t.count > 0) t.first = (phase + pad - t.last * dilation) / stride;
  if (t.count > 1) t.step = t.last - next, t.reach = t.step * dilation / stride;
  return t;
}

/// The input pixels at (i * stride_h + a, j * stride_w + b): what of dy they see, and where in dx they lie. Tap (i, j) of the patches
/// is the filter's (rows.last - i * rows.step, columns.last - j * columns.step).
template <class T> struct Phase {
  PhaseTaps rows, columns;
  Patches<T> patches;
  Output<T> out;
};
template <class T>
Phase<T> input_gradient_phase(const T* dy, T* dx, const Conv2dShape& s, std::int64_t a, std::int64_t b, bool accumulate) {
  const PhaseTaps rows = phase_taps(a, s.r, s.stride_h, s.pad_h, s.dilation_h),
                  columns = phase_taps(b, s.s, s.stride_w, s.pad_w, s.dilation_w);
  const Patches<T> patches{.x = dy,
                           .h = s.p(),
                           .w = s.q(),
                           .c = s.k / s.groups,
                           .pixel = s.k,
                           .images = s.n,
                           .p = ceil_div(s.h - a, s.stride_h),
                           .q = ceil_div(s.w - b, s.stride_w),
                           .h0 = rows.first,
                           .w0 = columns.first,
                           .tap_h = rows.reach,
                           .tap_w = columns.reach,
                           .r = rows.count,
                           .s = columns.count};
  const Output<T> out{.y = dx + (a * s.w + b) * s.c,
                      .image_step = s.h * s.w * s.c,
                      .row_step = s.stride_h * s.w * s.c,
                      .pixel_step = s.stride_w * s.c,
                      .e = {.accumulate = accumulate}};
  return {rows, columns, patches, out};
}

}   // namespace
}   // namespace fovea::kernels::FOVEA_ISA
