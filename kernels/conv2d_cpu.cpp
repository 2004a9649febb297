// conv2d_cpu.cpp: convolution on the CPU as implicit GEMM (cpu/implicit_gemm.h, cpu/weight_gradient.h). This file says
// which patches and which weights each of the three products multiplies. A filter a channel is no matrix product: depthwise
// convolution has kernels of its own (conv2d_depthwise_cpu.cpp), which serve narrow groups, too, and which the public functions below choose by
// shape.
//
// Order of each sum, which fixes its bits:
//   forward          one chain over (r, s, c)
//   input gradient   one chain over the output pixels (p, q) that saw the input pixel, in memory order, then over k
//   weight gradient  pixels in order, in slices of slice_plan(); the slices' sums in order
#include "kernels/conv2d.h"

#include "kernels/conv2d_depthwise.h"
#include "kernels/cpu/conv2d_patches.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/weight_gradient.h"

namespace fovea::kernels {

template <class T> struct Conv2dFunctions {
  void (*forward)(const T*, const T*, T*, const Conv2dShape&, const Prologue<T>&, const Epilogue<T>&, void*);
  void (*input_gradient)(const T*, const T*, T*, const Conv2dShape&, bool, void*);
  void (*weight_gradient)(const T*, const T*, float*, const Conv2dShape&, const Prologue<T>&, bool, void*);
};
struct Conv2dTable {
  Conv2dFunctions<float> f32;
  Conv2dFunctions<bfloat16> bf16;
};
FOVEA_ISA_TABLES(Conv2dTable, conv2d_table)

namespace FOVEA_ISA {
namespace {

constexpr std::int64_t kPackedFloats = 4 << 20;   // packed weights of several groups, at most (or one group's): 16 MB

FOVEA_INLINE std::int64_t wave(const Conv2dShape& s, std::int64_t taps, std::int64_t n) {
  return max_of(1, min_of(s.groups, kPackedFloats / max_of(1, packed_floats(taps, n))));
}

template <class T>
void forward(const T* x, const T* w, T* y, const Conv2dShape& s, const Prologue<T>& pro, const Epilogue<T>& e, void* workspace) {
  const std::int64_t cg = s.c / s.groups, kg = s.k / s.groups;
  const Weights<T> weights{.w = w, .n = kg, .step_n = s.taps(), .step_c = 1, .step_r = s.s * cg, .step_s = cg};
  const Output<T> out{.y = y, .image_step = s.p() * s.q() * s.k, .row_step = s.q() * s.k, .pixel_step = s.k, .e = e, .partials_n = s.k};
  const Repeat groups{.count = s.groups, .x = cg, .w = kg * s.taps(), .y = kg, .x_channels = cg, .y_channels = kg};
  multiply(forward_patches(x, s, pro), weights, out, groups, wave(s, s.taps(), kg), static_cast<float*>(workspace));
}

/// One product for each phase (cpu/conv2d_patches.h). Phases without a tap are 0.
template <class T> void input_gradient(const T* dy, const T* w, T* dx, const Conv2dShape& s, bool accumulate, void* workspace) {
  const std::int64_t cg = s.c / s.groups, kg = s.k / s.groups;
  const bool gaps = s.stride_h > s.r || s.stride_w > s.s || s.dilation_h > 1 || s.dilation_w > 1;   // some phase may be without a tap
  const std::int64_t image = s.h * s.w * s.c;
  if (gaps && !accumulate)
    parallel_for(
        s.n, [&](std::int64_t i) { __builtin_memset(static_cast<void*>(dx + i * image), 0, static_cast<std::size_t>(image) * sizeof(T)); });
  for (std::int64_t a = 0; a < min_of(s.stride_h, s.h); ++a)
    for (std::int64_t b = 0; b < min_of(s.stride_w, s.w); ++b) {
      const Phase<T> phase = input_gradient_phase(dy, dx, s, a, b, accumulate);
      if (phase.rows.count == 0 || phase.columns.count == 0) continue;
      const Weights<T> weights{.w = w + (phase.rows.last * s.s + phase.columns.last) * cg,
                               .n = cg,
                               .step_n = 1,
                               .step_c = s.taps(),
                               .step_r = -phase.rows.step * s.s * cg,
                               .step_s = -phase.columns.step * cg};
      const Repeat groups{.count = s.groups, .x = kg, .w = kg * s.taps(), .y = cg};
      multiply(phase.patches, weights, phase.out, groups, wave(s, s.r * s.s * kg, cg), static_cast<float*>(workspace));
    }
}

template <class T>
void weight_gradient_of(const T* x, const T* dy, float* dw, const Conv2dShape& s, const Prologue<T>& pro, bool accumulate,
                        void* workspace) {
  weight_gradient(forward_patches(x, s, pro), dy, s.k, s.k / s.groups, s.groups, dw, accumulate, static_cast<float*>(workspace));
}

}   // namespace

const Conv2dTable conv2d_table{{forward<float>, input_gradient<float>, weight_gradient_of<float>},
                               {forward<bfloat16>, input_gradient<bfloat16>, weight_gradient_of<bfloat16>}};

}   // namespace FOVEA_ISA

#ifdef FOVEA_BASELINE
namespace {

FOVEA_INLINE const Conv2dFunctions<float>& functions(const float*) { return conv2d_table().f32; }
FOVEA_INLINE const Conv2dFunctions<bfloat16>& functions(const bfloat16*) { return conv2d_table().bf16; }

}   // namespace

template <class T> std::size_t conv2d_workspace_bytes(Cpu, const Conv2dShape& s, ConvProduct product) {
  using namespace FOVEA_ISA;
  if (in_lanes(s)) return depthwise_workspace_bytes(s, product);
  const std::int64_t cg = s.c / s.groups, kg = s.k / s.groups;
  std::int64_t floats = 0;
  const Repeat groups{.count = s.groups, .w = kg * s.taps()};
  if (product == ConvProduct::forward) floats = workspace_floats(s.rows(), s.taps(), kg, groups, wave(s, s.taps(), kg));
  if (product == ConvProduct::input_gradient) {
    const std::int64_t pixels = s.n * ceil_div(s.h, s.stride_h) * ceil_div(s.w, s.stride_w), taps = s.r * s.s * kg;   // of a phase, at most
    floats = workspace_floats(pixels, taps, cg, groups, wave(s, taps, cg));
  }
  if (product == ConvProduct::weight_gradient) {
    const SlicePlan plan = slice_plan(forward_patches<T>(nullptr, s, {}), kg, s.groups);
    floats = plan.slices * s.groups * plan.floats();
  }
  return static_cast<std::size_t>(floats) * sizeof(float);
}

template <class T>
void conv2d_forward(Cpu, const T* x, const T* w, T* y, const Conv2dShape& s, const Prologue<T>& pro, const Epilogue<T>& e,
                    void* workspace) {
  if (in_lanes(s)) return depthwise_forward(x, w, y, s, pro, e, workspace);
  functions(x).forward(x, w, y, s, pro, e, workspace);
}
template <class T> void conv2d_input_gradient(Cpu, const T* dy, const T* w, T* dx, const Conv2dShape& s, bool accumulate, void* workspace) {
  if (in_lanes(s)) return depthwise_input_gradient(dy, w, dx, s, accumulate, workspace);
  functions(dy).input_gradient(dy, w, dx, s, accumulate, workspace);
}
template <class T>
void conv2d_weight_gradient(Cpu, const T* x, const T* dy, acc_t<T>* dw, const Conv2dShape& s, const Prologue<T>& pro, bool accumulate,
                            void* workspace) {
  if (in_lanes(s)) return depthwise_weight_gradient(x, dy, dw, s, pro, accumulate, workspace);
  functions(x).weight_gradient(x, dy, dw, s, pro, accumulate, workspace);
}

#define FOVEA_CONV2D_CPU(T)                                                                                                     \
  template std::size_t conv2d_workspace_bytes<T>(Cpu, const Conv2dShape&, ConvProduct);                                         \
  template void conv2d_forward(Cpu, const T*, const T*, T*, const Conv2dShape&, const Prologue<T>&, const Epilogue<T>&, void*); \
  template void conv2d_input_gradient(Cpu, const T*, const T*, T*, const Conv2dShape&, bool, void*);                            \
  template void conv2d_weight_gradient(Cpu, const T*, const T*, acc_t<T>*, const Conv2dShape&, const Prologue<T>&, bool, void*);
FOVEA_CONV2D_CPU(float)
FOVEA_CONV2D_CPU(bfloat16)
#endif

}   // namespace fovea::kernels
