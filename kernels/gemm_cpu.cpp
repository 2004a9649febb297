// gemm_cpu.cpp: matrix product on the CPU. A matrix is a convolution's input of one row of m pixels with k channels, and a
// 1x1 kernel: the driver is that of cpu/implicit_gemm.h, and this file only says where the matrices lie.
//
// A few rows times a large B that lies transposed, a linear layer's weights for a small batch, would write a packed copy of B for a handful of
// products with it. There the product is turned around, C^T = B^T A^T: B is read where it lies, once, and A is packed.
#include "kernels/gemm.h"

#include "kernels/cpu/implicit_gemm.h"
#include "kernels/cpu/isa.h"

namespace fovea::kernels {

template <class T, class TC> using GemmFunction = void (*)(const T*, const T*, TC*, const GemmShape&, const Epilogue<TC>&, void*);
struct GemmTable {
  GemmFunction<float, float> f32;
  GemmFunction<bfloat16, bfloat16> bf16;
  GemmFunction<bfloat16, float> bf16_to_f32;
};
FOVEA_ISA_TABLES(GemmTable, gemm_table)

namespace FOVEA_ISA {
namespace {

/// A batch of matrices that follow each other row by row, all times the same B, is one tall matrix.
FOVEA_INLINE bool one_matrix(const GemmShape& s) {
  return s.batch == 1 || (s.stride_b == 0 && !s.transpose_a && s.stride_a == s.m * s.row_a() && s.stride_c == s.m * s.row_c());
}

/// Right matrices that are packed before their products start: what fits 16 MB, for small matrices need company to fill
/// the threads.
FOVEA_INLINE std::int64_t wave(const GemmShape& s) {
  const std::int64_t floats = packed_floats(s.k, s.n);
  if (one_matrix(s)) return 1;
  if (s.stride_b == 0) return s.batch;
  return max_of(1, min_of(s.batch, (std::int64_t{4} << 20) / max_of(1, floats)));
}

/// From 16 MB of B on, 1.25 to 1.8 times as fast for every number of rows up to 32; where a cache holds the packed copy, slower.
FOVEA_INLINE bool turned(const GemmShape& s) {
  return s.batch == 1 && !s.transpose_a && s.transpose_b && s.m <= 32 && s.n * s.k >= 4'000'000;
}
template <class T, class TC> void run_turned(const T* a, const T* b, TC* c, const GemmShape& s, const Epilogue<TC>& e, void* workspace) {
  float *packed = static_cast<float*>(workspace), *sums = packed + packed_floats(s.k, s.m);   // C^T (n, m)
  const Patches<T> left{.x = b, .h = 1, .w = s.n, .c = s.k, .pixel = s.row_b(), .images = 1, .p = 1, .q = s.n};
  const Weights<T> right{.w = a, .n = s.m, .step_n = s.row_a(), .step_c = 1};
  multiply(left, right, Output<float>{.y = sums, .image_step = s.n * s.m, .row_step = s.n * s.m, .pixel_step = s.m, .e = {}}, Repeat{}, 1,
           packed);
  const Output<TC> out{.y = c, .image_step = 0, .row_step = 0, .pixel_step = s.row_c(), .e = e};
  parallel_for(ceil_div(s.n, 64), [&](std::int64_t block) {
    const std::int64_t n0 = 64 * block, n1 = min_of(s.n, n0 + 64);
    float tile[32 * 64];   // C (m, 64)
    transpose(sums + n0 * s.m, s.m, n1 - n0, s.m, tile, 64);
    finish_rows(tile, 64, s.m, n1 - n0, n0, out, [&](std::int64_t i) { return i * s.row_c(); });
    if (e.partials) tile_statistics(c + n0, s.m, n1 - n0, s.row_c(), e.partials + n0, e.partials + s.n + n0);
  });
}

template <class T, class TC> void run(const T* a, const T* b, TC* c, const GemmShape& s, const Epilogue<TC>& e, void* workspace) {
  if (turned(s)) return run_turned(a, b, c, s, e, workspace);
  const std::int64_t m = one_matrix(s) ? s.m * s.batch : s.m;
  const Patches<T> left{.x = a, .h = 1, .w = m, .c = s.k, .pixel = s.row_a(), .images = 1, .p = 1, .q = m, .transposed = s.transpose_a};
  const Weights<T> right{.w = b, .n = s.n, .step_n = s.transpose_b ? s.row_b() : 1, .step_c = s.transpose_b ? 1 : s.row_b()};
  const Output<TC> out{.y = c, .image_step = m * s.row_c(), .row_step = m * s.row_c(), .pixel_step = s.row_c(), .e = e, .partials_n = s.n};
  Repeat repeat;
  if (!one_matrix(s)) repeat = {.count = s.batch, .x = s.stride_a, .w = s.stride_b, .y = s.stride_c};
  multiply(left, right, out, repeat, wave(s), static_cast<float*>(workspace));
}

}   // namespace

const GemmTable gemm_table{run<float, float>, run<bfloat16, bfloat16>, run<bfloat16, float>};

}   // namespace FOVEA_ISA

#ifdef FOVEA_BASELINE
template <class T> std::size_t gemm_workspace_bytes(Cpu, const GemmShape& s) {
  if (FOVEA_ISA::turned(s)) return static_cast<std::size_t>(FOVEA_ISA::packed_floats(s.k, s.m) + s.n * s.m) * sizeof(float);
  const std::int64_t matrices = s.stride_b == 0 ? 1 : FOVEA_ISA::wave(s);
  return static_cast<std::size_t>(matrices * FOVEA_ISA::packed_floats(s.k, s.n)) * sizeof(float);
}
template std::size_t gemm_workspace_bytes<float>(Cpu, const GemmShape&);
template std::size_t gemm_workspace_bytes<bfloat16>(Cpu, const GemmShape&);

template <> void gemm(Cpu, const float* a, const float* b, float* c, const GemmShape& s, const Epilogue<float>& e, void* workspace) {
  gemm_table().f32(a, b, c, s, e, workspace);
}
template <>
void gemm(Cpu, const bfloat16* a, const bfloat16* b, bfloat16* c, const GemmShape& s, const Epilogue<bfloat16>& e, void* workspace) {
  gemm_table().bf16(a, b, c, s, e, workspace);
}
template <> void gemm(Cpu, const bfloat16* a, const bfloat16* b, float* c, const GemmShape& s, const Epilogue<float>& e, void* workspace) {
  gemm_table().bf16_to_f32(a, b, c, s, e, workspace);
}
#endif

}   // namespace fovea::kernels
